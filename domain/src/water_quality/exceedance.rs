//! Pollution is time over a limit. One reading over it is a spike, a bubble or a boat; hours over it, or much of a day, are
//! water that people should not take.

use std::time::Duration;

use super::limits::Bound;
use crate::{Flag, Timestamp};

/// What counts as pollution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExceedanceRule {
    /// What the water should be.
    pub bound: Bound,
    /// Over it for this long without a break is pollution.
    pub hold: Duration,
    /// Over it for this share of the time that is known is pollution too, 0 to 1.
    pub share: f64,
    /// Below this share of the window known nobody can say that there was none, 0 to 1.
    pub known_min: f64,
    /// Between good readings farther apart than this nobody knows what the water did.
    pub gap: Duration,
}

/// Three hours without a break or a quarter of the window, of which half is to be known; for readings of every hour or
/// faster. These are the product's own: no regulation read for it says them.
impl ExceedanceRule {
    /// The product's own defaults around a bound.
    #[must_use]
    pub const fn of(bound: Bound) -> Self {
        Self {
            bound,
            hold: Duration::from_secs(3 * 3_600),
            share: 0.25,
            known_min: 0.5,
            gap: Duration::from_secs(2 * 3_600),
        }
    }
}

/// A spell over the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverLimit {
    /// The first reading over it.
    pub from: Timestamp,
    /// When a reading was inside again, or the last that is known.
    pub to: Timestamp,
}

impl OverLimit {
    /// How long it was.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// Was the water polluted?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pollution {
    /// It stood over the limit for longer than it may at a time.
    Held,
    /// It stood over the limit for more of the time than it may.
    Share,
    /// It did not, and enough is known to say so.
    None,
    /// Too little is known to say that it was not.
    Unknown,
}

/// What a window of readings says.
#[derive(Debug, Clone, PartialEq)]
pub struct Exceedance {
    /// Was the water polluted?
    pub pollution: Pollution,
    /// How much of the window is known.
    pub known: Duration,
    /// How much of that was over the limit.
    pub over: Duration,
    /// The share of the known time over the limit, 0 to 1; `None` where nothing is known.
    pub share: Option<f64>,
    /// The spells over the limit, oldest first.
    pub spells: Vec<OverLimit>,
}

/// How long the water was over a limit, from `from` to `to`, out of readings (time, value, flag), oldest first.
///
/// Only good readings count. A reading stands until the next, where that is not farther than the rule's gap; the time in a
/// longer gap is not known, and ends a spell. A reading that nobody follows stands for no time: a spike at the end is
/// none. Readings that are no number, or not after the one before, are left out. A window without length, or a rule whose
/// shares are no shares, gives [`Pollution::Unknown`].
#[must_use]
pub fn exceedance(
    readings: &[(Timestamp, f64, Flag)],
    from: Timestamp,
    to: Timestamp,
    rule: &ExceedanceRule,
) -> Exceedance {
    let window = to.since(from);
    let (mut known, mut spells): (Duration, Vec<OverLimit>) = (Duration::ZERO, Vec::new());
    let good = believed(readings);
    for pair in good.windows(2) {
        let (begin, end) = (pair[0].0.max(from), pair[1].0.min(to));
        if end <= begin || rule.gap < pair[1].0.since(pair[0].0) {
            continue;
        }
        known += end.since(begin);
        if rule.bound.holds(pair[0].1) {
            continue;
        }
        match spells.last_mut() {
            Some(spell) if spell.to == begin => spell.to = end,
            _ => spells.push(OverLimit { from: begin, to: end }),
        }
    }
    let over = spells.iter().map(OverLimit::length).sum::<Duration>();
    let share = (!known.is_zero()).then(|| over.as_secs_f64() / known.as_secs_f64());
    let known_share = known.as_secs_f64() / window.as_secs_f64();
    let longest = spells.iter().map(OverLimit::length).max();
    let pollution = judge(longest, share, known_share, rule);
    Exceedance { pollution, known, over, share, spells }
}

fn judge(
    longest: Option<Duration>,
    share: Option<f64>,
    known_share: f64,
    rule: &ExceedanceRule,
) -> Pollution {
    let shares = [rule.share, rule.known_min];
    if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
        return Pollution::Unknown;
    }
    match (longest, share) {
        (Some(longest), _) if rule.hold <= longest => Pollution::Held,
        // A share of a little known time is not one of the window. Not known at all is not a number, and is not less.
        (_, Some(share)) if rule.known_min <= known_share => {
            if rule.share < share {
                Pollution::Share
            } else {
                Pollution::None
            }
        }
        _ => Pollution::Unknown,
    }
}

fn believed(readings: &[(Timestamp, f64, Flag)]) -> Vec<(Timestamp, f64)> {
    let mut good: Vec<(Timestamp, f64)> = Vec::with_capacity(readings.len());
    for &(at, value, flag) in readings {
        let later = good.last().is_none_or(|(before, _)| *before < at);
        if flag == Flag::Good && value.is_finite() && later {
            good.push((at, value));
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use Flag::{Bad, Good};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    /// A day of half hours: 1.0, but for these.
    fn day(over: &[(usize, f64, Flag)]) -> Vec<(Timestamp, f64, Flag)> {
        let mut day: Vec<_> = (0..=48).map(|n| (at(n * 30), 1.0, Good)).collect();
        for &(n, value, flag) in over {
            day[n] = (day[n].0, value, flag);
        }
        day
    }

    fn judged(readings: &[(Timestamp, f64, Flag)]) -> Exceedance {
        let rule = ExceedanceRule::of(Bound::AtMost(2.0));
        exceedance(readings, at(0), at(1_440), &rule)
    }

    fn hours(hours: f64) -> Duration {
        Duration::from_secs_f64(hours * 3_600.0)
    }

    #[test]
    fn a_spike_is_no_pollution_and_hours_are() {
        let spike = judged(&day(&[(10, 99.0, Good)]));
        assert_eq!((spike.pollution, spike.over), (Pollution::None, hours(0.5)));
        let held: Vec<_> = (10..16).map(|n| (n, 3.0, Good)).collect();
        assert_eq!(judged(&day(&held)).pollution, Pollution::Held);
        assert_eq!(judged(&day(&held[1..])).pollution, Pollution::None);
        let often: Vec<_> = (0..13).map(|n| (n * 3, 3.0, Good)).collect();
        let often = judged(&day(&often));
        assert_eq!((often.pollution, often.spells.len()), (Pollution::Share, 13));
        assert!((often.share.unwrap() - 13.0 / 48.0).abs() < 1e-12);
    }

    #[test]
    fn doubtful_readings_neither_pollute_nor_clear() {
        let bad: Vec<_> = (10..13).map(|n| (n, 99.0, Bad)).collect();
        assert_eq!(judged(&day(&bad)).pollution, Pollution::None);
        // A bad reading between two over the limit does not end the spell; two hours and more of them do.
        let mut held: Vec<_> = (10..16).map(|n| (n, 3.0, Good)).collect();
        held[3].2 = Bad;
        assert_eq!(judged(&day(&held)).spells.len(), 1);
        let mut torn: Vec<_> = (10..20).map(|n| (n, 3.0, Good)).collect();
        torn[3..7].iter_mut().for_each(|reading| reading.2 = Bad);
        let torn = judged(&day(&torn));
        assert_eq!((torn.spells.len(), torn.known), (2, hours(21.5)));
    }

    #[test]
    fn too_little_known_is_not_clean() {
        let few = &day(&[])[..20];
        assert_eq!(judged(few).pollution, Pollution::Unknown);
        assert_eq!(judged(&[]).pollution, Pollution::Unknown);
        assert_eq!(judged(&[]).share, None);
        let mut nan = day(&[]);
        nan.iter_mut().for_each(|reading| reading.1 = f64::NAN);
        assert_eq!(judged(&nan).known, Duration::ZERO);
        // Three hours over the limit are pollution, whatever else is not known.
        let held: Vec<_> = (0..7).map(|n| (n, 3.0, Good)).collect();
        assert_eq!(judged(&day(&held)[..9]).pollution, Pollution::Held);
    }

    #[test]
    fn a_window_cuts_what_reaches_out_of_it() {
        let all: Vec<_> = (0..=48).map(|n| (n, 3.0, Good)).collect();
        let rule = ExceedanceRule::of(Bound::AtMost(2.0));
        let hour = exceedance(&day(&all), at(100), at(160), &rule);
        assert_eq!((hour.known, hour.over), (hours(1.0), hours(1.0)));
        assert_eq!(hour.spells, [OverLimit { from: at(100), to: at(160) }]);
        for (from, to) in [(5, 5), (6, 5)] {
            let none = exceedance(&day(&all), at(from), at(to), &rule);
            assert_eq!(none.pollution, Pollution::Unknown);
        }
        let no_rule = ExceedanceRule { share: f64::NAN, ..rule };
        let judged = exceedance(&day(&[]), at(0), at(1_440), &no_rule);
        assert_eq!(judged.pollution, Pollution::Unknown);
    }
}
