//! What is typed: the limits of one series' tests, as they stand in a file (TOML in mind). Nothing is believed yet;
//! [`super::TestPlan`] is made of it or says why not. A test whose table is left out does not run.

use serde::{Deserialize, Serialize};

/// The limits of one series, in the parameter's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The rhythm of the station, in seconds.
    pub interval_s: u32,
    /// Neighbours further apart than this, in seconds, have a gap between them.
    #[serde(default = "Limits::gap_s")]
    pub gap_s: u32,
    /// What the tests over several readings do at a gap.
    #[serde(default)]
    pub gaps: Gaps,
    /// Seconds that the calendar of the climatology is ahead of UTC; Vietnam's by default.
    #[serde(default = "Limits::utc_offset_s")]
    pub utc_offset_s: i32,
    /// Where nothing in the tidal day (`attenuated.period_h`, else 24.84 h) was above this, the water is fresh, and
    /// standing still is no fault.
    #[serde(default)]
    pub fresh_below: Option<f64>,
    /// QARTOD gross range.
    #[serde(default)]
    pub gross: Option<Gross>,
    /// QARTOD climatology; where several seasons hold, the last one wins.
    #[serde(default)]
    pub climatology: Vec<Season>,
    /// QARTOD spike against the middle of its neighbours, in units.
    #[serde(default)]
    pub spike_average: Option<Levels>,
    /// QARTOD spike there and back, in units.
    #[serde(default)]
    pub spike_differential: Option<Levels>,
    /// QARTOD rate of change.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// QARTOD flat line.
    #[serde(default)]
    pub flat: Option<Flat>,
    /// QARTOD attenuated signal.
    #[serde(default)]
    pub attenuated: Option<Attenuated>,
    /// A unit that changed by a power of ten.
    #[serde(default)]
    pub unit_slip: Option<UnitSlip>,
}

/// What the tests over several readings do at a missing value or a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    /// A missing value is no neighbour, one that is bad in itself neither, and a gap ends a comparison.
    #[default]
    Break,
    /// Rows are neighbours however far apart, as in `ioos_qc`.
    Bridge,
}

/// Intervals of the gross range test, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gross {
    /// What the sensor can measure.
    #[serde(default)]
    pub fail: Option<[f64; 2]>,
    /// What this water has been; within `fail`.
    #[serde(default)]
    pub suspect: Option<[f64; 2]>,
}

/// Part of a year with what the water is in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// What `from` and `to` count.
    pub period: Period,
    /// First of it, included.
    pub from: u16,
    /// Last of it, included; smaller than `from` over the turn of the year.
    pub to: u16,
    /// What the water is then, ends included.
    pub suspect: [f64; 2],
    /// What it cannot be then, ends included.
    #[serde(default)]
    pub fail: Option<[f64; 2]>,
}

/// Parts of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// 1 to 12.
    Month,
    /// Of ISO 8601, 1 to 53.
    Week,
    /// 1 to 366.
    DayOfYear,
}

/// Two limits: beyond the one suspect, beyond the other bad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// Above it flag 3.
    pub suspect: f64,
    /// Above it flag 4.
    #[serde(default)]
    pub fail: Option<f64>,
}

/// How fast the value may change, in units per hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Above it flag 3.
    pub suspect_per_hour: f64,
    /// Above it flag 4.
    #[serde(default)]
    pub fail_per_hour: Option<f64>,
}

/// How long the value may stand still.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flat {
    /// That many hours within the tolerance: flag 3.
    pub suspect_h: f64,
    /// That many: flag 4.
    #[serde(default)]
    pub fail_h: Option<f64>,
    /// Values whose range is below this stand still.
    pub tolerance: f64,
    /// Only values above this are tested, as rain that falls.
    #[serde(default)]
    pub above: Option<f64>,
}

/// How much the value must swing in a period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attenuated {
    /// The trailing period in hours; a lunar day is 24.84.
    pub period_h: f64,
    /// A swing below it: flag 3.
    pub suspect: f64,
    /// A swing below it: flag 4.
    #[serde(default)]
    pub fail: Option<f64>,
    /// Values that the period must hold; fewer are not evaluated.
    #[serde(default)]
    pub min_obs: u32,
    /// How the swing is measured.
    #[serde(default)]
    pub check: Check,
}

/// How a swing is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The largest value less the smallest.
    #[default]
    Range,
    /// The standard deviation of the population.
    Std,
}

/// Steps by a factor of 10, 100 or 1000 within a tenth of it, there and not back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitSlip {
    /// The smaller of both values must be at least this: near zero every ratio happens.
    pub least: f64,
    /// Hours for which what follows is suspect, unless a step back comes.
    pub hold_h: f64,
}

impl Limits {
    /// Limits that test nothing yet.
    #[must_use]
    pub const fn none(interval_s: u32) -> Self {
        Self {
            interval_s,
            gap_s: GAP_S,
            gaps: Gaps::Break,
            utc_offset_s: domain::VIETNAM_OFFSET_S,
            fresh_below: None,
            gross: None,
            climatology: Vec::new(),
            spike_average: None,
            spike_differential: None,
            rate: None,
            flat: None,
            attenuated: None,
            unit_slip: None,
        }
    }

    const fn gap_s() -> u32 {
        GAP_S
    }

    const fn utc_offset_s() -> i32 {
        domain::VIETNAM_OFFSET_S
    }
}

/// QARTOD's TIM_INC, an hour (IOOS QARTOD, temperature and salinity, v2.1, test 1).
const GAP_S: u32 = 3_600;
