//! High and low waters out of a series of levels. The tide has turned where the level has come up to it by more than noise
//! can, and gone down again by as much: evidence on both sides, in one unbroken stretch of readings. What stands at the end
//! of the series, or beside a gap, may be a high water and is none yet.
//!
//! Steps: readings that are bad are left out; the series is cut where a gap is longer than the rule allows; spikes of one
//! reading go (the middle one of three); extremes are those of a zigzag whose every leg is at least as high as the rule's
//! prominence; of turns closer than the rule allows the lesser go, by pairs; the time and height are those of the parabola
//! through the readings around, which takes 4 mm from a metre of a half-daily tide and the noise from all of them.

use std::time::Duration;

use super::smooth::{medians_of_three, parabola_turn};
use crate::{Flag, Timestamp};

/// What counts as a turn of the tide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TurningRule {
    /// How far the level must move before and after it, m: more than waves and noise do.
    pub prominence_m: f64,
    /// How far apart a high and the next low water are at least.
    pub apart: Duration,
    /// Between readings farther apart than this nobody knows what the water did.
    pub gap: Duration,
    /// The readings this near on each side tell the time and height of the turn.
    pub around: Duration,
}

/// For the Tiền and its like: tides of 2 to 3 m at the mouth, of which the smaller of a day may be 0.2 m; a half tide is 6.2
/// hours, the shorter one of a mixed tide some 4.
impl Default for TurningRule {
    fn default() -> Self {
        Self {
            prominence_m: 0.10,
            apart: Duration::from_secs(2 * 3_600),
            gap: Duration::from_secs(2 * 3_600),
            around: Duration::from_secs(2 * 3_600),
        }
    }
}

/// Which way the tide turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// High water (đỉnh triều).
    High,
    /// Low water (chân triều).
    Low,
}

/// A turn of the tide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TurningWater {
    /// Which way.
    pub turn: Turn,
    /// When.
    pub at: Timestamp,
    /// How high the water stood, m.
    pub level_m: f64,
    /// The flag of the readings that it was told from.
    pub flag: Flag,
    /// No gap lies between it and the one before.
    pub unbroken: bool,
}

/// How far the water rose or fell from one turn to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TidalRange {
    /// The turn it began with.
    pub from: Timestamp,
    /// The turn it ended with.
    pub to: Timestamp,
    /// The difference of their heights, m, positive.
    pub range_m: f64,
    /// The flag of both.
    pub flag: Flag,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Timestamp,
    level_m: f64,
    flag: Flag,
}

/// The turns of the tide in readings (time, level in m, flag), oldest first.
///
/// Bad and missing readings, ones that are no number and ones that are not after the one before are left out. None where
/// the rule's prominence is not above zero.
#[must_use]
pub fn turning_waters(
    readings: &[(Timestamp, f64, Flag)],
    rule: &TurningRule,
) -> Vec<TurningWater> {
    if !(rule.prominence_m.is_finite() && 0.0 < rule.prominence_m) {
        return Vec::new();
    }
    let readings = believed(readings);
    let far = |pair: &Reading, next: &Reading| next.at.since(pair.at) <= rule.gap;
    readings.chunk_by(far).flat_map(|stretch| turns_of(stretch, rule)).collect()
}

/// The ranges between turns that follow each other without a gap.
#[must_use]
pub fn tidal_ranges(turns: &[TurningWater]) -> Vec<TidalRange> {
    let follows = |pair: &&[TurningWater]| pair[1].unbroken && pair[0].turn != pair[1].turn;
    let range = |pair: &[TurningWater]| TidalRange {
        from: pair[0].at,
        to: pair[1].at,
        range_m: (pair[1].level_m - pair[0].level_m).abs(),
        flag: Flag::composed([pair[0].flag, pair[1].flag]),
    };
    turns.windows(2).filter(follows).map(range).collect()
}

fn believed(readings: &[(Timestamp, f64, Flag)]) -> Vec<Reading> {
    let mut believed: Vec<Reading> = Vec::with_capacity(readings.len());
    for &(at, level_m, flag) in readings {
        let counts = level_m.is_finite() && !matches!(flag, Flag::Bad | Flag::Missing);
        if counts && believed.last().is_none_or(|last| last.at < at) {
            believed.push(Reading { at, level_m, flag });
        }
    }
    believed
}

/// The turns of one stretch without a gap.
fn turns_of(stretch: &[Reading], rule: &TurningRule) -> Vec<TurningWater> {
    let levels: Vec<f64> = stretch.iter().map(|reading| reading.level_m).collect();
    let levels = medians_of_three(&levels);
    let turns = apart(zigzag(&levels, rule.prominence_m), &levels, stretch, rule.apart);
    let told = |(count, &turn)| tell(stretch, &levels, turn, rule, 0 < count);
    turns.iter().enumerate().map(told).collect()
}

/// The extremes between legs that are all at least this high. The first leg and the last have but one end, which is none.
fn zigzag(levels: &[f64], prominence_m: f64) -> Vec<(Turn, usize)> {
    let mut turns = Vec::new();
    let Some(_) = levels.first() else { return turns };
    let (mut lowest, mut highest, mut rising) = (0, 0, None);
    for (index, &level) in levels.iter().enumerate() {
        if levels[highest] < level {
            highest = index;
        }
        if level < levels[lowest] {
            lowest = index;
        }
        let fell = level <= levels[highest] - prominence_m && rising != Some(false);
        let rose = levels[lowest] + prominence_m <= level && rising != Some(true);
        if fell || rose {
            if rising.is_some() {
                turns.push(if fell { (Turn::High, highest) } else { (Turn::Low, lowest) });
            }
            rising = Some(rose);
            (lowest, highest) = (index, index);
        }
    }
    turns
}

/// Without the turns that are too close to the next: of a leg that is too short and its neighbours the lowest goes, with both
/// its ends. A leg is looked at when its neighbours are known, so one pass is enough: what goes makes its neighbours one
/// longer leg.
fn apart(
    turns: Vec<(Turn, usize)>,
    levels: &[f64],
    stretch: &[Reading],
    apart: Duration,
) -> Vec<(Turn, usize)> {
    let is_short = |kept: &[(Turn, usize)], leg: usize| {
        stretch[kept[leg + 1].1].at.since(stretch[kept[leg].1].at) < apart
    };
    let drop_lowest = |kept: &mut Vec<(Turn, usize)>, leg: usize| {
        let height = |leg: usize| (levels[kept[leg].1] - levels[kept[leg + 1].1]).abs();
        let around = leg.saturating_sub(1)..=(leg + 1).min(kept.len() - 2);
        let lowest = around.min_by(|&a, &b| height(a).total_cmp(&height(b))).unwrap_or(leg);
        kept.drain(lowest..=lowest + 1);
    };
    let mut kept: Vec<(Turn, usize)> = Vec::with_capacity(turns.len());
    for turn in turns {
        kept.push(turn);
        while 3 <= kept.len() && is_short(&kept, kept.len() - 3) {
            let leg = kept.len() - 3;
            drop_lowest(&mut kept, leg);
        }
    }
    while 2 <= kept.len() && is_short(&kept, kept.len() - 2) {
        let leg = kept.len() - 2;
        drop_lowest(&mut kept, leg);
    }
    kept
}

/// When and how high, by the parabola through what lies around; by the reading itself where there is too little around, or
/// the parabola turns elsewhere. A spike is not around: what is farther from the smoothed curve than the prominence,
/// and than half of what the curve moves there.
fn tell(
    stretch: &[Reading],
    levels: &[f64],
    (turn, index): (Turn, usize),
    rule: &TurningRule,
    unbroken: bool,
) -> TurningWater {
    let (peak, around_s) = (stretch[index].at, rule.around.as_secs_f64().max(1.0));
    let from_peak = |at: Timestamp| (at.as_millis() - peak.as_millis()) as f64 / 1e3 / around_s;
    let first = stretch.partition_point(|reading| from_peak(reading.at) < -1.0);
    let last = stretch.partition_point(|reading| from_peak(reading.at) <= 1.0);
    let (near, smooth) = (&stretch[first..last], &levels[first..last]);
    let (low, high) = smooth
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &m| (low.min(m), high.max(m)));
    let spike_m = rule.prominence_m.max((high - low) / 2.0);
    let points: Vec<(f64, f64)> = near
        .iter()
        .zip(smooth)
        .filter(|(reading, smooth)| (reading.level_m - **smooth).abs() <= spike_m)
        .map(|(reading, _)| (from_peak(reading.at), reading.level_m))
        .collect();
    let fitted = parabola_turn(&points)
        .filter(|(x, height)| x.abs() <= 0.75 && (height - levels[index]).abs() <= spike_m);
    let (offset, level_m) = fitted.unwrap_or((0.0, levels[index]));
    let at = Timestamp::from_millis(peak.as_millis() + (offset * around_s * 1e3).round() as i64);
    let flag = Flag::composed(near.iter().map(|reading| reading.flag));
    TurningWater { turn, at, level_m, flag, unbroken }
}
