//! A station's own pace: how fast its water moves from one reading to the next, how far it jumps there and back, how long
//! it stands still, and whether it goes by itself from fresh to salt in a step that looks like another unit. Learned
//! from history, so that the tests of single readings ask no more of a station than its water does.
//!
//! Garbage among what was called good must not widen a limit. Readings that stand out by themselves are
//! left out (but where spikes are counted), and each limit comes from weeks: of each week its 99.8th percentile (of standstills
//! the longest), of the weeks the 90th percentile, times a margin. One week in ten may be wrong altogether.
//!
//! Learning gives way and never tightens: no limit comes out below the one to begin with, because a history has not
//! seen every season, and what tighter limits found besides was measured to be less than what they accused
//! (`docs/quality.md`).

mod readings; // what is learned from
mod moved; // steps, there and there and back
mod stood; // standstills, and the zero season
mod slipped; // steps by a power of ten
mod weeks; // what most weeks keep to
mod refused; // what is not learned, and why
mod typed; // as it stands in a file

use std::time::Duration;

use domain::{Flag, QualityTest, TestFlags, Timestamp};

use self::readings::Readings;
use self::weeks::Weeks;
use super::limits::{Flat, Levels, Limits, Rate, UnitSlip};
use super::{Off, TestPlan};

pub use self::refused::{NoPace, Unbearable};

/// Limits of single readings that were learned from a station's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// The oldest reading that was learned from.
    pub from: Timestamp,
    /// The newest.
    pub to: Timestamp,
    /// How many there were.
    pub count: usize,
    /// Weeks that the limits come from: more than half full, and not fresh.
    pub weeks: usize,
    /// The rhythm that the limits hold for, in seconds.
    pub interval_s: u32,
    /// The smallest step that the series makes, in its unit.
    pub resolution: f64,
    /// Below it the water is fresh and may stand still.
    pub fresh_below: Option<f64>,
    /// How fast it moves.
    pub rate: Option<Rate>,
    /// How far it jumps there and back.
    pub spike_differential: Option<Levels>,
    /// How long it stands still.
    pub flat: Option<Flat>,
    /// From which value on a step by a power of ten is none of the water's.
    pub unit_slip: Option<UnitSlip>,
    /// Tests that this water does not bear, and why.
    pub off: Vec<(Off, Unbearable)>,
}

/// What learning asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceAsked {
    /// How long history must be at least, from its oldest to its newest reading.
    pub span_min: Duration,
    /// Weeks that must be more than half full and not fresh.
    pub weeks_min: usize,
}

impl Default for PaceAsked {
    /// 30 days, as the climatology, and four weeks of them: two spring tides and two neap tides.
    fn default() -> Self {
        Self { span_min: Duration::from_secs(30 * DAY_S), weeks_min: 4 }
    }
}

const DAY_S: u64 = 86_400;
/// Bad is what is so many times suspect, as among the defaults.
const BAD: f64 = 2.0;

impl Pace {
    /// Learns from readings that were good, in any order, what `begin` tests of a single reading: a test that it does not
    /// have is not learned. Which readings bear learning [`Pace::bears`] says. What is not a number or outside of the
    /// gross range is passed over, and so are two values of one time that contradict each other.
    ///
    /// # Errors
    /// [`NoPace`] where history does not bear it.
    pub fn from_history(
        history: impl IntoIterator<Item = (Timestamp, f64)>,
        begin: &Limits,
        asked: PaceAsked,
    ) -> Result<Self, NoPace> {
        let readings = Readings::new(history, begin)?;
        readings.enough(asked.span_min)?;
        let resolution = moved::resolution(&readings)?;
        let stands = stood::stands(&readings, begin, resolution)?;
        let fresh_below = stood::fresh_below(&stands, begin, resolution);
        let weeks = Weeks::new(&readings, &stands, fresh_below);
        weeks.enough(asked.weeks_min)?;
        let mut pace = Self { fresh_below, ..Self::none(&readings, &weeks, resolution) };
        pace.learn(&weeks, &readings, begin);
        TestPlan::new(&pace.over(begin.clone()))?;
        Ok(pace)
    }

    /// Where it comes from, and no limit yet.
    fn none(readings: &Readings, weeks: &Weeks, resolution: f64) -> Self {
        let (from, to) = readings.ends();
        Self {
            from,
            to,
            count: readings.count(),
            weeks: weeks.salt(),
            interval_s: readings.interval_s,
            resolution,
            fresh_below: None,
            rate: None,
            spike_differential: None,
            flat: None,
            unit_slip: None,
            off: Vec::new(),
        }
    }

    /// May be learned from a reading with these flags? Not from what its sensor, its gross range or another series
    /// accuses. What the tests say that are to be learned does not count, or they would learn themselves; nor does a
    /// climatology, which accuses the salty weeks of a year that was not seen.
    #[must_use]
    pub fn bears(flags: TestFlags) -> bool {
        let accused = |(test, flag): (QualityTest, Flag)| {
            !UNHEARD.contains(&test) && matches!(flag, Flag::Suspect | Flag::Bad | Flag::Missing)
        };
        !flags.iter().any(accused)
    }

    fn learn(&mut self, weeks: &Weeks, readings: &Readings, begin: &Limits) {
        let step = moved::step_limit(weeks, self.resolution);
        self.rate = begin.rate.map(|typed| moved::rate(step, typed, self.interval_s));
        let spike = |typed| moved::spike(weeks, self.resolution, typed);
        self.spike_differential = begin.spike_differential.map(spike);
        let flat = begin.flat.map(|typed| stood::flat(weeks, typed, self.resolution));
        self.flat = self.borne(Off::FlatLine, flat);
        let slip = begin.unit_slip.map(|typed| slipped::unit_slip(readings, typed));
        self.unit_slip = self.borne(Off::UnitSlip, slip);
    }

    /// A limit, or the test is off.
    fn borne<T>(&mut self, test: Off, learned: Option<Result<T, Unbearable>>) -> Option<T> {
        match learned? {
            Ok(limit) => Some(limit),
            Err(why) => {
                self.off.push((test, why));
                None
            }
        }
    }
}

/// Tests that are not asked which readings bear learning.
const UNHEARD: [QualityTest; 8] = [
    QualityTest::Timing,
    QualityTest::Climatology,
    QualityTest::SpikeAverage,
    QualityTest::SpikeDifferential,
    QualityTest::RateOfChange,
    QualityTest::FlatLine,
    QualityTest::AttenuatedSignal,
    QualityTest::UnitSlip,
];

/// What was learned, where it is not below what was typed.
fn at_least(typed: f64, learned: f64) -> f64 {
    round(learned).max(typed)
}

/// Up to four significant digits, so that what is printed is what is meant.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0)).parse().unwrap_or(value)
}
