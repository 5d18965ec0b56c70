//! Rain added up over a window. A gauge that was silent for an hour of a storm has not measured no rain, so a sum says what
//! share of its window it knows.

use std::time::Duration;

use crate::{Flag, Timestamp};

/// Rain over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RainSum {
    /// What was measured, mm: with gaps the least that fell.
    pub total_mm: f64,
    /// The share of the window that was measured, 0 to 1.
    pub known: f64,
    /// The worst of what is in it; [`Flag::Suspect`] at best where something of the window is not known.
    pub flag: Flag,
}

impl RainSum {
    /// Was all of the window measured?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        1.0 <= self.known
    }
}

/// The largest rain that is believed of one reading, mm: as the gross range of the parameter.
const READING_MM_MAX: f64 = 300.0;

/// The rain after `from` up to and including `to`, out of readings (time, mm since the reading before, flag) of a gauge
/// that reports every `interval`, oldest first. A reading stands for the time since the one before it, where that is not
/// longer than an interval and a half (stations tremble), else for one interval; what reaches over an end of the window
/// counts by its share.
///
/// Bad and missing readings, negative ones, ones over 300 mm and ones that are no number are gaps, as is the time that no
/// reading stands for; a second reading of the same time is left out. `None` for a window or an interval without length.
#[must_use]
pub fn rain_sum(
    readings: &[(Timestamp, f64, Flag)],
    from: Timestamp,
    to: Timestamp,
    interval: Duration,
) -> Option<RainSum> {
    let window_ms = length_ms(from, to)?;
    let interval_ms = i64::try_from(interval.as_millis()).ok().filter(|&ms| 0 < ms)?;
    let (mut total_mm, mut known_ms, mut flags) = (0.0, 0_i64, Vec::new());
    let mut before: Option<i64> = None;
    for &(at, mm, flag) in readings {
        let at = at.as_millis();
        if before.is_some_and(|before| at <= before) {
            continue;
        }
        let begin = begin_of(at, before, interval_ms);
        before = Some(at);
        let inside_ms = at.min(to.as_millis()) - begin.max(from.as_millis());
        if 0 < inside_ms && counts(mm, flag) {
            total_mm += mm * (inside_ms as f64 / (at - begin) as f64);
            known_ms += inside_ms;
            flags.push(flag);
        }
    }
    let known = known_ms as f64 / window_ms as f64;
    let lacking = if known_ms == window_ms { Flag::Good } else { Flag::Suspect };
    let any = !flags.is_empty();
    let flag = if any { Flag::composed(flags.into_iter().chain([lacking])) } else { Flag::Missing };
    Some(RainSum { total_mm, known, flag })
}

/// When the time began that a reading stands for.
fn begin_of(at: i64, before: Option<i64>, interval_ms: i64) -> i64 {
    let near = at.saturating_sub(interval_ms.saturating_add(interval_ms / 2));
    before.filter(|&before| near <= before).unwrap_or(at.saturating_sub(interval_ms))
}

fn counts(mm: f64, flag: Flag) -> bool {
    !matches!(flag, Flag::Bad | Flag::Missing) && (0.0..=READING_MM_MAX).contains(&mm)
}

fn length_ms(from: Timestamp, to: Timestamp) -> Option<i64> {
    to.as_millis().checked_sub(from.as_millis()).filter(|&ms| 0 < ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Flag::{Bad, Good, Missing, NotEvaluated, Suspect};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    /// Rain of the hour that ends at minute 60, of a gauge that reports every ten minutes.
    fn check(readings: &[(i64, f64, Flag)], total: f64, known: f64, flag: Flag) {
        let readings: Vec<_> = readings.iter().map(|&(m, mm, flag)| (at(m), mm, flag)).collect();
        let sum = rain_sum(&readings, at(0), at(60), Duration::from_secs(600)).unwrap();
        assert!((sum.total_mm - total).abs() < 1e-12, "{sum:?}");
        assert!((sum.known - known).abs() < 1e-12, "{sum:?}");
        assert_eq!(sum.flag, flag);
        assert_eq!(sum.is_complete(), known == 1.0);
    }

    fn hour() -> Vec<(i64, f64, Flag)> {
        (0..=7).map(|n| (n * 10, 1.0, Good)).collect()
    }

    #[test]
    fn a_whole_hour_is_added_up() {
        check(&hour(), 6.0, 1.0, Good);
        let mut doubtful = hour();
        doubtful[3].2 = Suspect;
        check(&doubtful, 6.0, 1.0, Suspect);
        doubtful[3].2 = NotEvaluated;
        check(&doubtful, 6.0, 1.0, NotEvaluated);
    }

    #[test]
    fn a_gap_is_not_no_rain() {
        for gap in [(30, 1.0, Bad), (30, 1.0, Missing), (30, f64::NAN, Good), (30, -1.0, Good)] {
            let mut gappy = hour();
            gappy[3] = gap;
            check(&gappy, 5.0, 5.0 / 6.0, Suspect);
        }
        check(&[], 0.0, 0.0, Missing);
        check(&hour()[..3], 2.0, 2.0 / 6.0, Suspect);
    }

    #[test]
    fn what_reaches_over_an_end_counts_by_its_share() {
        check(&[(5, 2.0, Good), (65, 4.0, Good)], 3.0, 10.0 / 60.0, Suspect);
    }

    #[test]
    fn no_moment_is_measured_twice_and_trembling_stations_leave_none_out() {
        let mut twice = hour();
        twice.insert(3, twice[3]);
        check(&twice, 6.0, 1.0, Good);
        let mut jittery = hour();
        jittery[3].0 = 29;
        check(&jittery, 6.0, 1.0, Good);
    }

    #[test]
    fn a_window_without_length_has_no_rain() {
        let minute = Duration::from_secs(60);
        assert_eq!(rain_sum(&[], at(5), at(5), minute), None);
        assert_eq!(rain_sum(&[], at(6), at(5), minute), None);
        assert_eq!(rain_sum(&[], at(0), at(5), Duration::ZERO), None);
    }
}
