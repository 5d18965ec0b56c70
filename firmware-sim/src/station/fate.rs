//! What goes wrong, and when: every outage, power cut and sensor fault follows from the seed, the station and the hour,
//! so a run can be repeated and a test can say beforehand what must happen.

use std::time::Duration;

use domain::Timestamp;

use crate::estuary::{chance, roll, unit};

const HOUR: Duration = Duration::from_secs(3600);

/// How hard life is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dials {
    /// Probability in every virtual hour that the link goes for a random while.
    pub loss: f64,
    /// Power cuts in a virtual day.
    pub power_cuts: f64,
    /// How fast the station's clock runs, in parts per million too fast.
    pub clock_drift_ppm: f64,
    /// Sensor faults in a virtual day.
    pub faults: f64,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// What a sensor does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All sensors repeat their last values, for twelve hours.
    Frozen,
    /// One negative reading.
    Spike,
    /// The conductivity cell answers nothing, for one to four hours.
    Mute,
    /// Growth on the cell lets it read lower day by day, for three days.
    Fouled,
}

/// How the clock comes back after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakes {
    /// The real-time clock ran on.
    Right,
    /// It stood still while the power was away.
    Behind,
    /// It begins at 1970 and is set right when the link is back.
    Factory,
}

/// The fate of one station.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fate {
    seed: u64,
    dials: Dials,
}

impl Fate {
    /// The fate that a seed gives a station.
    #[must_use]
    pub fn new(seed: u64, code: &str, dials: Dials) -> Self {
        Self { seed: roll(seed, code, 0), dials }
    }

    /// The station's own seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How hard life is.
    #[must_use]
    pub fn dials(&self) -> Dials {
        self.dials
    }

    /// The outage of the link that this instant lies in: 2 to 120 minutes, shorter ones more often.
    #[must_use]
    pub fn outage(&self, at: Timestamp) -> Option<Span> {
        self.latest("link", self.dials.loss, 3, at, |dice| {
            Duration::from_secs_f64(60.0 * (2.0 * 60_f64.powf(unit(dice))))
        })
    }

    /// The power cut that this instant lies in: 1 to 30 minutes.
    #[must_use]
    pub fn power_cut(&self, at: Timestamp) -> Option<Span> {
        self.latest("power", self.dials.power_cuts / 24.0, 2, at, |dice| {
            Duration::from_secs_f64(60.0 * (1.0 + 29.0 * unit(dice)))
        })
    }

    /// How the clock wakes from a power cut.
    #[must_use]
    pub fn wakes(&self, cut: Span) -> Wakes {
        match chance(self.seed, "clock", cut.from.as_millis()) {
            luck if luck < 0.7 => Wakes::Right,
            luck if luck < 0.9 => Wakes::Behind,
            _ => Wakes::Factory,
        }
    }

    /// The sensor fault that this instant lies in; the newest, where there are several.
    #[must_use]
    pub fn fault(&self, at: Timestamp) -> Option<(Fault, Span)> {
        let span = self.latest("sensor", self.dials.faults / 24.0, 73, at, |dice| {
            match Fault::rolled(dice) {
                Fault::Frozen => HOUR * 12,
                // Shorter than any sensible interval: one reading.
                Fault::Spike => Duration::from_secs(300),
                Fault::Mute => HOUR + HOUR * 3 / 100 * (dice % 100) as u32,
                Fault::Fouled => HOUR * 72,
            }
        })?;
        let slot = span.from.floor(HOUR).as_millis() / 3_600_000;
        Some((Fault::rolled(roll(self.seed, "sensor length", slot)), span))
    }

    /// The newest event of a kind, at most one begins in each hour, that lasts over `at`.
    fn latest(
        &self,
        kind: &str,
        per_hour: f64,
        hours_back: i64,
        at: Timestamp,
        length: impl Fn(u64) -> Duration,
    ) -> Option<Span> {
        let this_hour = at.floor(HOUR).as_millis() / 3_600_000;
        (0..=hours_back).map(|back| this_hour - back).find_map(|slot| {
            if per_hour <= chance(self.seed, kind, slot) {
                return None;
            }
            let into = HOUR.mul_f64(chance(self.seed, &format!("{kind} start"), slot));
            let from = Timestamp::from_millis(slot * 3_600_000) + into;
            let until = from + length(roll(self.seed, &format!("{kind} length"), slot));
            (from <= at && at < until).then_some(Span { from, until })
        })
    }
}

impl Fault {
    fn rolled(dice: u64) -> Self {
        match dice % 4 {
            0 => Self::Frozen,
            1 => Self::Spike,
            2 => Self::Mute,
            _ => Self::Fouled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estuary::{Estuary, station};
    use crate::station::measure;

    const MINUTE: Duration = Duration::from_secs(60);
    const ROUGH: Dials = Dials { loss: 0.1, power_cuts: 2.0, clock_drift_ppm: 50.0, faults: 1.0 };

    fn minutes(days: u32) -> impl Iterator<Item = Timestamp> {
        let start = Timestamp::from_millis(1_773_000_000_000);
        (0..days * 1440).map(move |m| start + MINUTE * m)
    }

    #[test]
    fn the_same_seed_brings_the_same_faults_and_the_same_values() {
        let xuan_hoa = station("xuan-hoa").unwrap();
        let run = |seed| -> Vec<_> {
            let (estuary, fate) = (Estuary::tien_giang(seed), Fate::new(seed, "xuan-hoa", ROUGH));
            minutes(3)
                .step_by(5)
                .map(|t| (fate.outage(t), fate.power_cut(t), measure(&estuary, &fate, xuan_hoa, t)))
                .collect()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn the_dials_set_how_often_things_fail() {
        let fate = Fate::new(3, "my-tho", ROUGH);
        let begins = |of: &dyn Fn(Timestamp) -> Option<Timestamp>| {
            let mut starts: Vec<_> = minutes(200).filter_map(of).collect();
            starts.sort_unstable();
            starts.dedup();
            starts.len()
        };
        let (outages, cuts, faults) = (
            begins(&|t| fate.outage(t).map(|s| s.from)),
            begins(&|t| fate.power_cut(t).map(|s| s.from)),
            begins(&|t| fate.fault(t).map(|(_, s)| s.from)),
        );
        assert!((380..580).contains(&outages), "0.1 an hour in 200 days: {outages}");
        assert!((320..480).contains(&cuts), "2 a day in 200 days: {cuts}");
        assert!((100..240).contains(&faults), "1 a day in 200 days, some hidden: {faults}");
    }

    #[test]
    fn with_all_dials_at_zero_nothing_ever_fails() {
        let fate = Fate::new(3, "my-tho", Dials::default());
        let quiet =
            |t| fate.outage(t).is_none() && fate.power_cut(t).is_none() && fate.fault(t).is_none();
        assert!(minutes(30).all(quiet));
    }

    #[test]
    fn every_kind_of_fault_shows_in_the_values() {
        let fate = Fate::new(5, "vam-giong", Dials { faults: 2.0, ..Dials::default() });
        let (estuary, place) = (Estuary::tien_giang(5), station("vam-giong").unwrap());
        let mut seen = std::collections::HashSet::new();
        for t in minutes(60).step_by(5) {
            let Some((fault, _)) = fate.fault(t) else { continue };
            seen.insert(format!("{fault:?}"));
            let sample = measure(&estuary, &fate, place, t);
            match fault {
                Fault::Mute => assert_eq!((sample.salinity, sample.values()), (None, 4)),
                Fault::Spike => assert!(sample.salinity.unwrap() < 0.0),
                Fault::Frozen | Fault::Fouled => assert!(sample.salinity.is_some()),
            }
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
    }
}
