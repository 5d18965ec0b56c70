//! How long the water stands still, within what, and what is fresh.

use std::collections::BTreeSet;

use super::super::flat::Run;
use super::super::learned::quantile;
use super::super::limits::{Flat, Gaps, Limits};
use super::super::plan::FlatPlan;
use super::super::steps::Taken;
use super::super::window::Window;
use super::readings::{Piece, Readings};
use super::weeks::{WEEK_MS, Weeks};
use super::{BAD, NoPace, TestPlan, Unbearable, at_least, round};

const LUNAR_DAY_MS: i64 = 89_424_000;
/// Suspect is a standstill so many times the longest of most weeks.
const MARGIN: f64 = 1.25;
/// No standstill of interest is longer.
const KEEP_MS: i64 = 40 * 86_400_000;
/// Nobody waits longer to hear of a frozen probe; and the reach of a plan, which late readings are judged within, is
/// twice that.
const LONGEST_H: f64 = 72.0;
/// Water that stands for days is fresh up to so many times the limit to begin with; beyond, it is a broken probe.
const FRESH_AT_MOST: f64 = 3.0;
/// A broken probe is seen to within a week or two; fresh water stands for a season.
const FRESH_WEEKS: usize = 4;

/// For how long the value had stood when it was read.
pub(super) struct Stand {
    pub(super) at: i64,
    value: f64,
    pub(super) length_ms: i64,
    /// The highest of the lunar day before it.
    highest: Option<f64>,
}

impl Stand {
    /// Had the whole day been fresh?
    pub(super) fn is_fresh(&self, fresh_below: Option<f64>) -> bool {
        fresh_below.is_some_and(|fresh| self.highest.is_some_and(|highest| highest <= fresh))
    }
}

/// Standstills within [`tolerance`], of each reading that a flat line is asked of; none where `begin` asks for none.
pub(super) fn stands(
    readings: &Readings,
    begin: &Limits,
    resolution: f64,
) -> Result<Vec<Stand>, NoPace> {
    let Some(typed) = begin.flat else { return Ok(Vec::new()) };
    let typed = Flat { tolerance: tolerance(typed, resolution), ..typed };
    let plan = TestPlan::new(&Limits { flat: Some(typed), gaps: Gaps::Break, ..begin.clone() })?;
    let Some(flat) = plan.flat else { return Ok(Vec::new()) };
    let mut window = Window::default();
    let of_piece = |piece: &Piece| of_piece(&plan, &flat, &mut window, &piece.quiet);
    Ok(readings.pieces.iter().flat_map(of_piece).collect())
}

fn of_piece(plan: &TestPlan, flat: &FlatPlan, window: &mut Window, piece: &[Taken]) -> Vec<Stand> {
    let mut run = Run::default();
    run.begin(piece.first().map_or(0, |it| it.at));
    let stand = |&Taken { at, value }: &Taken| {
        plan.window.iter().for_each(|span| window.step(span, at, Some(value)));
        let length_ms = run.step(flat, KEEP_MS, at, value);
        Stand { at, value, length_ms, highest: window.max() }
    };
    let asked = |stand: &Stand| flat.above.is_none_or(|above| above < stand.value);
    piece.iter().map(stand).filter(asked).collect()
}

/// Half a count of the sensor: values of one count stand still, and noise of one does not.
fn tolerance(typed: Flat, resolution: f64) -> f64 {
    at_least(typed.tolerance, resolution / 2.0)
}

/// The level below which the water is fresh: what it stands at for whole lunar days, in more weeks than a broken probe
/// does, where that is near the limit to begin with. A sensor whose zero is not at zero is so known.
pub(super) fn fresh_below(stands: &[Stand], begin: &Limits, resolution: f64) -> Option<f64> {
    let typed = begin.fresh_below?;
    let low = |it: &&Stand| LUNAR_DAY_MS <= it.length_ms && it.value <= FRESH_AT_MOST * typed;
    let fresh: Vec<&Stand> = stands.iter().filter(low).collect();
    let weeks: BTreeSet<i64> = fresh.iter().map(|it| it.at.div_euclid(WEEK_MS)).collect();
    if weeks.len() < FRESH_WEEKS {
        return Some(typed);
    }
    let mut levels: Vec<f64> = fresh.iter().map(|it| it.value).collect();
    levels.sort_unstable_by(f64::total_cmp);
    Some(at_least(typed, quantile(&levels, 0.99) + resolution / 2.0))
}

/// Standing so long is suspect.
pub(super) fn flat(weeks: &Weeks, typed: Flat, resolution: f64) -> Result<Flat, Unbearable> {
    let hours = weeks.stood_h();
    if LONGEST_H < hours * MARGIN {
        return Err(Unbearable::Stands { hours: round(hours) });
    }
    let learned = (hours * MARGIN * 10.0).ceil() / 10.0;
    Ok(Flat {
        suspect_h: at_least(typed.suspect_h, learned),
        fail_h: typed.fail_h.map(|fail_h| at_least(fail_h, BAD * learned)),
        tolerance: tolerance(typed, resolution),
        ..typed
    })
}
