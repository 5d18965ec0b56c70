//! Where the ticks of an axis stand: on numbers and hours that people count in.

use std::time::Duration;

use domain::Timestamp;

/// Vietnam's offset: ticks stand on local hours.
const OFFSET_MS: i64 = 7 * 3_600_000;

/// An axis of values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
    /// Digits after the point that the ticks need.
    pub(crate) decimals: u8,
}

impl Scale {
    /// An axis that holds `low` to `high` and has about `count` ticks.
    pub(crate) fn around(low: f64, high: f64, count: f64) -> Self {
        let span = if high - low < 1e-9 { 1.0 } else { high - low };
        let rough = span / count;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|nice| nice * power)
            .find(|&step| rough <= step)
            .unwrap_or(10.0 * power);
        let first = (low / step).floor();
        let last = ((low + span) / step).ceil();
        // At most `count` and two more steps, for any finite input.
        let mut ticks = Vec::new();
        let mut n = first;
        while n <= last && ticks.len() < 64 {
            ticks.push(n * step);
            n += 1.0;
        }
        let decimals = if step < 0.1 { 2 } else { u8::from(step < 1.0) };
        Self { low: first * step, high: last * step, ticks, decimals }
    }

    /// Where a value stands between `bottom` and `top`.
    pub(crate) fn place(&self, value: f64, bottom: f64, top: f64) -> f64 {
        bottom + (value - self.low) / (self.high - self.low) * (top - bottom)
    }
}

/// Ticks of a time axis on local hours or midnights, at most `most`.
pub(crate) fn times(from: Timestamp, to: Timestamp, most: u64) -> Vec<Timestamp> {
    const HOURS: [u64; 11] = [1, 2, 3, 6, 12, 24, 48, 7 * 24, 30 * 24, 90 * 24, 365 * 24];
    let hours = to.since(from).as_secs() / 3_600;
    let step = HOURS.into_iter().find(|step| hours / step <= most).unwrap_or(365 * 24);
    let step = Duration::from_secs(step * 3_600);
    let local = Timestamp::from_millis(from.as_millis().saturating_add(OFFSET_MS));
    let mut at = Timestamp::from_millis(local.floor(step).as_millis() - OFFSET_MS);
    let mut ticks = Vec::new();
    while at <= to && ticks.len() < 64 {
        if from <= at {
            ticks.push(at);
        }
        at = at + step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_on_round_numbers() {
        let scale = Scale::around(0.0, 8.85, 5.0);
        assert_eq!(scale.ticks, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(scale.decimals, 0);
        let scale = Scale::around(-0.4, 1.1, 4.0);
        assert_eq!((scale.low, scale.high), (-0.5, 1.5));
        let flat = Scale::around(3.0, 3.0, 4.0);
        assert!(flat.low <= 3.0 && 3.0 < flat.high);
    }

    #[test]
    fn time_ticks_stand_on_local_midnights() {
        let to = Timestamp::parse_rfc3339("2026-03-12T10:20:00+07:00").unwrap();
        let ticks = times(to - Duration::from_secs(48 * 3_600), to, 5);
        let hours: Vec<i8> = ticks.iter().map(|at| at.local().hour()).collect();
        assert_eq!(hours, [12, 0, 12, 0]);
        assert!(times(Timestamp::from_millis(0), to, 6).len() < 64);
    }
}
