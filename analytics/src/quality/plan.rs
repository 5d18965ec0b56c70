//! What the limits mean, in milliseconds and units per second, once they were found sound. A plan whose limits
//! contradict each other does not load, so that nothing is judged by it at night.

use std::sync::Arc;
use std::time::Duration;

use domain::Range;

use super::climatology::Calendar;
use super::limits::{Check, Gaps, Levels, Limits};
use super::window::Span;
use super::{Learned, Season};

/// The tests of one series, ready to run.
#[derive(Debug, Clone)]
pub struct TestPlan {
    pub(super) gaps: Gaps,
    pub(super) gap_ms: i64,
    pub(super) fresh_below: Option<f64>,
    pub(super) gross: Option<Bounds>,
    pub(super) calendar: Calendar,
    pub(super) spike_average: Option<Levels>,
    pub(super) spike_differential: Option<Levels>,
    pub(super) rate_per_s: Option<Levels>,
    pub(super) flat: Option<FlatPlan>,
    pub(super) window: Option<Span>,
    pub(super) attenuated: Option<AttenuatedPlan>,
    pub(super) slip: Option<SlipPlan>,
}

/// Two closed intervals, one within the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) fail: Option<Range>,
    pub(super) suspect: Option<Range>,
}

/// Lengths in the ruler of the gaps: milliseconds where they break, rows where they are bridged.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlatPlan {
    pub(super) gaps: Gaps,
    pub(super) suspect: i64,
    pub(super) fail: Option<i64>,
    pub(super) tolerance: f64,
    pub(super) above: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AttenuatedPlan {
    pub(super) suspect: f64,
    pub(super) fail: Option<f64>,
    pub(super) min_obs: u32,
    pub(super) check: Check,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SlipPlan {
    pub(super) least: f64,
    pub(super) hold_ms: i64,
}

/// How far the flags of a reading and the readings around it touch each other: beside what lies so near, only the one
/// reading next to it on either side, however far, because a gap is measured from it. [`Duration::MAX`] for a plan that
/// bridges gaps: the whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The flags of a reading depend on what lies so far before it, and on the one reading before that.
    pub before: Duration,
    /// A reading changes flags of what lies so far after it, and of the one reading after that.
    pub after: Duration,
}

/// Why limits are not a plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadPlan {
    /// Not a number, infinite, zero or negative where a positive number is needed.
    #[error("`{key}` is {found}; a number above zero is needed")]
    NotPositive {
        /// Where it stands.
        key: &'static str,
        /// What was found.
        found: f64,
    },
    /// Not a number or infinite.
    #[error("`{key}` is {found}; a finite number is needed")]
    NotFinite {
        /// Where it stands.
        key: &'static str,
        /// What was found.
        found: f64,
    },
    /// An interval the wrong way round.
    #[error("`{key}` is [{low}, {high}]: its low end is not below its high end")]
    Reversed {
        /// Where it stands.
        key: &'static str,
        /// Its first number.
        low: f64,
        /// Its second number.
        high: f64,
    },
    /// A limit that never speaks because another one speaks first.
    #[error("`{inner}` must lie within `{outer}`")]
    Outside {
        /// What is to lie within.
        inner: &'static str,
        /// What it is to lie in.
        outer: &'static str,
    },
    /// Suspect would begin after bad.
    #[error("`{milder}` ({milder_is}) must come before `{harder}` ({harder_is})")]
    Order {
        /// The limit of suspect.
        milder: &'static str,
        /// As it is.
        milder_is: f64,
        /// The limit of bad.
        harder: &'static str,
        /// As it is.
        harder_is: f64,
    },
    /// A time that the rhythm of the station cannot fill.
    #[error("`{key}` is shorter than {least_s} s, which the interval asks for")]
    TooShort {
        /// Where it stands.
        key: &'static str,
        /// The least that makes sense, in seconds.
        least_s: i64,
    },
    /// Longer than any season of a tide.
    #[error("`{key}` is longer than 40 days")]
    TooLong {
        /// Where it stands.
        key: &'static str,
    },
    /// More values than the period can hold.
    #[error("`attenuated.min_obs` is {found}, but a period holds {most}")]
    TooMany {
        /// What was found.
        found: u32,
        /// What fits.
        most: i64,
    },
    /// No such month, week or day.
    #[error("`climatology` counts from {from} to {to}, but its period has 1 to {most}")]
    NoSuchTime {
        /// Its first.
        from: u16,
        /// Its last.
        to: u16,
        /// The largest there is.
        most: u16,
    },
}

/// A lunar day in hours (two M2 periods of 12.4206 h): the swing of every tide is in it.
const LUNAR_DAY_H: f64 = 24.84;
const HOUR_MS: f64 = 3_600_000.0;
/// Below the 49 days that 32 bits of milliseconds hold; see `window`.
const LONGEST_MS: i64 = 40 * 86_400_000;

impl TestPlan {
    /// The plan that these limits ask for.
    ///
    /// # Errors
    /// [`BadPlan`] names the limits that contradict each other, or the one that is none.
    pub fn new(limits: &Limits) -> Result<Self, BadPlan> {
        let interval_ms = seconds("interval_s", limits.interval_s, 1)?;
        let gap_ms = seconds("gap_s", limits.gap_s, i64::from(limits.interval_s))?;
        if let Some(fresh) = limits.fresh_below {
            finite("fresh_below", fresh)?;
        }
        Ok(Self {
            gaps: limits.gaps,
            gap_ms,
            fresh_below: limits.fresh_below,
            gross: gross(limits)?,
            calendar: Calendar::new(limits.utc_offset_s, seasons(limits)?),
            spike_average: levels(
                "spike_average.suspect",
                "spike_average.fail",
                limits.spike_average,
            )?,
            spike_differential: levels(
                "spike_differential.suspect",
                "spike_differential.fail",
                limits.spike_differential,
            )?,
            rate_per_s: rate(limits)?,
            flat: flat(limits, interval_ms)?,
            window: window(limits, interval_ms)?,
            attenuated: attenuated(limits, interval_ms)?,
            slip: slip(limits, gap_ms)?,
        })
    }

    /// This plan, with a climatology that was learned beside the one that was typed.
    #[must_use]
    pub fn with_learned(mut self, learned: Arc<Learned>) -> Self {
        self.calendar.learned = Some(learned);
        self
    }

    /// How far readings touch each other: what is needed to rebuild a [`super::Stream`] or to [`super::rejudge`].
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.gaps == Gaps::Bridge {
            return Reach { before: Duration::MAX, after: Duration::MAX };
        }
        let window = self.window.map_or(0, |span| span.period_ms + span.slot_ms);
        let flat = self.flat.map_or(0, |flat| flat.longest() + self.gap_ms);
        let slip = self.slip.map_or(0, |slip| 3 * slip.hold_ms + self.gap_ms);
        // A gap more on both sides: the spike of the reading before, and what its own neighbour is.
        let reach = window.max(flat).max(slip) + 2 * self.gap_ms;
        let reach = Duration::from_millis(reach.unsigned_abs());
        Reach { before: reach, after: reach }
    }
}

impl FlatPlan {
    pub(super) fn longest(&self) -> i64 {
        self.fail.unwrap_or(self.suspect)
    }
}

fn gross(limits: &Limits) -> Result<Option<Bounds>, BadPlan> {
    let Some(gross) = limits.gross else { return Ok(None) };
    bounds(("gross.fail", gross.fail), ("gross.suspect", gross.suspect)).map(Some)
}

fn seasons(limits: &Limits) -> Result<Vec<(Season, Bounds)>, BadPlan> {
    let season = |season: &Season| {
        let (most, from, to) = (season.period.most(), season.from, season.to);
        if !(1..=most).contains(&from) || !(1..=most).contains(&to) {
            return Err(BadPlan::NoSuchTime { from, to, most });
        }
        let suspect = ("climatology.suspect", Some(season.suspect));
        Ok((*season, bounds(("climatology.fail", season.fail), suspect)?))
    };
    limits.climatology.iter().map(season).collect()
}

fn rate(limits: &Limits) -> Result<Option<Levels>, BadPlan> {
    let per_hour =
        limits.rate.map(|it| Levels { suspect: it.suspect_per_hour, fail: it.fail_per_hour });
    let sound = levels("rate.suspect_per_hour", "rate.fail_per_hour", per_hour)?;
    let per_second =
        |it: Levels| Levels { suspect: it.suspect / 3_600.0, fail: it.fail.map(|it| it / 3_600.0) };
    Ok(sound.map(per_second))
}

fn flat(limits: &Limits, interval_ms: i64) -> Result<Option<FlatPlan>, BadPlan> {
    let Some(flat) = limits.flat else { return Ok(None) };
    // `ioos_qc` asks whether the range is below the tolerance, so that 0 never fires; here it does not load.
    positive("flat.tolerance", flat.tolerance)?;
    if let Some(above) = flat.above {
        finite("flat.above", above)?;
    }
    let suspect = hours("flat.suspect_h", flat.suspect_h, interval_ms)?;
    let fail = flat.fail_h.map(|it| hours("flat.fail_h", it, interval_ms)).transpose()?;
    order("flat.suspect_h", flat.suspect_h, "flat.fail_h", flat.fail_h)?;
    let ruler = |ms: i64| match limits.gaps {
        Gaps::Break => ms,
        // Whole intervals, cut off, as `ioos_qc` counts them.
        Gaps::Bridge => ms / interval_ms,
    };
    let (gaps, tolerance, above) = (limits.gaps, flat.tolerance, flat.above);
    Ok(Some(FlatPlan { gaps, suspect: ruler(suspect), fail: fail.map(ruler), tolerance, above }))
}

fn window(limits: &Limits, interval_ms: i64) -> Result<Option<Span>, BadPlan> {
    let wanted = limits.attenuated.is_some() || limits.fresh_below.is_some();
    let least_h = 2.0 * interval_ms as f64 / HOUR_MS;
    let period_h = limits.attenuated.map_or(LUNAR_DAY_H.max(least_h), |it| it.period_h);
    let period = || hours("attenuated.period_h", period_h, 2 * interval_ms);
    let check = limits.attenuated.map_or(Check::Range, |it| it.check);
    Ok(wanted.then(period).transpose()?.map(|period| Span::new(period, interval_ms, check)))
}

fn attenuated(limits: &Limits, interval_ms: i64) -> Result<Option<AttenuatedPlan>, BadPlan> {
    let Some(it) = limits.attenuated else { return Ok(None) };
    positive("attenuated.suspect", it.suspect)?;
    if let Some(fail) = it.fail {
        positive("attenuated.fail", fail)?;
        order("attenuated.fail", fail, "attenuated.suspect", Some(it.suspect))?;
    }
    let most = hours("attenuated.period_h", it.period_h, 2 * interval_ms)? / interval_ms + 1;
    if most < i64::from(it.min_obs) {
        return Err(BadPlan::TooMany { found: it.min_obs, most });
    }
    let (suspect, fail, min_obs, check) = (it.suspect, it.fail, it.min_obs.max(1), it.check);
    Ok(Some(AttenuatedPlan { suspect, fail, min_obs, check }))
}

fn slip(limits: &Limits, gap_ms: i64) -> Result<Option<SlipPlan>, BadPlan> {
    let Some(slip) = limits.unit_slip else { return Ok(None) };
    positive("unit_slip.least", slip.least)?;
    let hold_ms = hours("unit_slip.hold_h", slip.hold_h, gap_ms)?;
    Ok(Some(SlipPlan { least: slip.least, hold_ms }))
}

fn levels(
    suspect: &'static str,
    fail: &'static str,
    levels: Option<Levels>,
) -> Result<Option<Levels>, BadPlan> {
    if let Some(it) = levels {
        positive(suspect, it.suspect)?;
        it.fail.map_or(Ok(()), |it| positive(fail, it))?;
        order(suspect, it.suspect, fail, it.fail)?;
    }
    Ok(levels)
}

fn finite(key: &'static str, found: f64) -> Result<(), BadPlan> {
    if found.is_finite() { Ok(()) } else { Err(BadPlan::NotFinite { key, found }) }
}

fn positive(key: &'static str, found: f64) -> Result<(), BadPlan> {
    if found.is_finite() && 0.0 < found { Ok(()) } else { Err(BadPlan::NotPositive { key, found }) }
}

fn range(key: &'static str, [low, high]: [f64; 2]) -> Result<Range, BadPlan> {
    finite(key, low)?;
    finite(key, high)?;
    if low < high { Ok(Range { low, high }) } else { Err(BadPlan::Reversed { key, low, high }) }
}

type Typed = (&'static str, Option<[f64; 2]>);

fn bounds((outer, fail): Typed, (inner, suspect): Typed) -> Result<Bounds, BadPlan> {
    let fail = fail.map(|it| range(outer, it)).transpose()?;
    let suspect = suspect.map(|it| range(inner, it)).transpose()?;
    match (fail, suspect) {
        (Some(fail), Some(suspect)) if !fail.holds(suspect.low) || !fail.holds(suspect.high) => {
            Err(BadPlan::Outside { inner, outer })
        }
        _ => Ok(Bounds { fail, suspect }),
    }
}

fn order(
    milder: &'static str,
    milder_is: f64,
    harder: &'static str,
    harder_is: Option<f64>,
) -> Result<(), BadPlan> {
    match harder_is {
        Some(harder_is) if harder_is <= milder_is => {
            Err(BadPlan::Order { milder, milder_is, harder, harder_is })
        }
        _ => Ok(()),
    }
}

fn seconds(key: &'static str, found_s: u32, least_s: i64) -> Result<i64, BadPlan> {
    let ms = i64::from(found_s) * 1_000;
    if i64::from(found_s) < least_s {
        return Err(BadPlan::TooShort { key, least_s });
    }
    if LONGEST_MS < ms { Err(BadPlan::TooLong { key }) } else { Ok(ms) }
}

fn hours(key: &'static str, found_h: f64, least_ms: i64) -> Result<i64, BadPlan> {
    positive(key, found_h)?;
    let ms = (found_h * HOUR_MS).round() as i64;
    if ms < least_ms {
        return Err(BadPlan::TooShort { key, least_s: least_ms / 1_000 });
    }
    if LONGEST_MS < ms { Err(BadPlan::TooLong { key }) } else { Ok(ms) }
}
