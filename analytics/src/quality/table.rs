//! What a province types of its tests: which series are tested by which limits, and what kind of site a station is.
//! Nothing is believed yet; [`super::Plans`] is made of it or says which entry is none.
//!
//! Of the `[[series]]` entries the first that fits a station and a parameter holds. A series that none fits is tested
//! for its parameter's gross range alone, as without a table.

use domain::QualityTest;
use serde::{Deserialize, Serialize};

use super::limits::{Attenuated, Flat, Gross, Levels, Limits, Rate, Season, UnitSlip};
use super::{Consistency, Exposure, SiteClass, StuckClock};

/// The tests of a province.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Which series are tested how; the first that fits holds.
    #[serde(default)]
    pub series: Vec<SeriesEntry>,
    /// What stations are; those that no entry names are inland.
    #[serde(default)]
    pub site: Vec<SiteEntry>,
    /// When a station's clock is called stuck; left out it is not looked at.
    #[serde(default)]
    pub stuck_clock: Option<StuckClock>,
}

impl Table {
    /// The same without stations that are not in the book (any more), and without entries that named no others; and the
    /// codes that were left out. For a running engine: a station that was taken away must not end the tests of all.
    #[must_use]
    pub fn among(mut self, known: impl Fn(&str) -> bool) -> (Self, Vec<String>) {
        let mut gone = Vec::new();
        let mut keep = |codes: &mut Vec<String>| {
            gone.extend(codes.extract_if(.., |code| !known(code)));
            !codes.is_empty()
        };
        self.series.retain_mut(|entry| entry.stations.as_mut().is_none_or(&mut keep));
        self.site.retain_mut(|entry| keep(&mut entry.stations));
        (self, gone)
    }
}

/// The tests of some series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesEntry {
    /// The parameter's code; left out: every parameter.
    #[serde(default)]
    pub parameter: Option<String>,
    /// Codes of the stations.
    #[serde(default)]
    pub stations: Option<Vec<String>>,
    /// All stations of this class. With neither `stations` nor `site`: everywhere.
    #[serde(default)]
    pub site: Option<SiteClass>,
    /// Begin with [`super::defaults`] and the tests over several series; else with the gross range alone.
    #[serde(default)]
    pub defaults: bool,
    /// Single limits in place of those.
    #[serde(default)]
    pub limits: TypedLimits,
    /// Tests that do not run.
    #[serde(default)]
    pub off: Vec<Off>,
}

/// What some stations are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// Codes of the stations.
    pub stations: Vec<String>,
    /// How far from the sea; inland where it is left out.
    #[serde(default)]
    pub class: Option<SiteClass>,
    /// How high the probe hangs above the zero of the station's `water_level`.
    #[serde(default)]
    pub exposure: Option<Exposure>,
    /// How far a salinity may be from the one computed again.
    #[serde(default)]
    pub consistency: Option<Consistency>,
    /// The method that the station computes its salinity by (`pss-78`, `mass`, `mrc-my-tho`, `linear:0.64`); PSS-78
    /// where it is left out.
    #[serde(default)]
    pub salinity_method: Option<String>,
}

/// [`Limits`] of which each may be left out. The interval is the station's, and a gap always ends a comparison.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedLimits {
    /// Neighbours further apart than this, in seconds, have a gap between them.
    pub gap_s: Option<u32>,
    /// Seconds that the calendar of the climatology is ahead of UTC.
    pub utc_offset_s: Option<i32>,
    /// Water of which nothing in the tidal day was above this may stand still.
    pub fresh_below: Option<f64>,
    /// QARTOD gross range.
    pub gross: Option<Gross>,
    /// QARTOD climatology.
    pub climatology: Option<Vec<Season>>,
    /// QARTOD spike against the middle of its neighbours.
    pub spike_average: Option<Levels>,
    /// QARTOD spike there and back.
    pub spike_differential: Option<Levels>,
    /// QARTOD rate of change.
    pub rate: Option<Rate>,
    /// QARTOD flat line.
    pub flat: Option<Flat>,
    /// QARTOD attenuated signal.
    pub attenuated: Option<Attenuated>,
    /// A unit that changed by a power of ten.
    pub unit_slip: Option<UnitSlip>,
}

/// A test that can be switched off, by its name in [`QualityTest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Within what the sensor can measure and what the water has been.
    GrossRange,
    /// Within what the water is in this season and tide.
    Climatology,
    /// Not far from the middle of its neighbours.
    SpikeAverage,
    /// Not a step there and back.
    SpikeDifferential,
    /// Not faster than water changes.
    RateOfChange,
    /// Not standing still.
    FlatLine,
    /// Swings as a tide does.
    AttenuatedSignal,
    /// In the unit that it was in before.
    UnitSlip,
    /// Conductivity, temperature and salinity tell one story.
    Multivariate,
    /// In its own column.
    SwappedColumns,
    /// The probe is below the water.
    Exposure,
}

impl Off {
    /// The test.
    #[must_use]
    pub const fn test(self) -> QualityTest {
        match self {
            Self::GrossRange => QualityTest::GrossRange,
            Self::Climatology => QualityTest::Climatology,
            Self::SpikeAverage => QualityTest::SpikeAverage,
            Self::SpikeDifferential => QualityTest::SpikeDifferential,
            Self::RateOfChange => QualityTest::RateOfChange,
            Self::FlatLine => QualityTest::FlatLine,
            Self::AttenuatedSignal => QualityTest::AttenuatedSignal,
            Self::UnitSlip => QualityTest::UnitSlip,
            Self::Multivariate => QualityTest::Multivariate,
            Self::SwappedColumns => QualityTest::SwappedColumns,
            Self::Exposure => QualityTest::Exposure,
        }
    }
}

impl SeriesEntry {
    /// Limits to begin with, with what is typed in place of theirs and without what is off.
    pub(super) fn over(&self, begin: Limits) -> Limits {
        let typed = &self.limits;
        let limits = Limits {
            gap_s: typed.gap_s.unwrap_or(begin.gap_s),
            utc_offset_s: typed.utc_offset_s.unwrap_or(begin.utc_offset_s),
            fresh_below: typed.fresh_below.or(begin.fresh_below),
            gross: gross(typed.gross, begin.gross),
            climatology: typed.climatology.clone().unwrap_or(begin.climatology),
            spike_average: typed.spike_average.or(begin.spike_average),
            spike_differential: typed.spike_differential.or(begin.spike_differential),
            rate: typed.rate.or(begin.rate),
            flat: typed.flat.or(begin.flat),
            attenuated: typed.attenuated.or(begin.attenuated),
            unit_slip: typed.unit_slip.or(begin.unit_slip),
            interval_s: begin.interval_s,
            gaps: begin.gaps,
        };
        self.off.iter().fold(limits, |limits, off| off.out_of(limits))
    }

    /// A test that is typed and off.
    pub(super) fn contradicts(&self) -> Option<Off> {
        let typed = |off: &&Off| match off {
            Off::GrossRange => self.limits.gross.is_some(),
            Off::Climatology => self.limits.climatology.is_some(),
            Off::SpikeAverage => self.limits.spike_average.is_some(),
            Off::SpikeDifferential => self.limits.spike_differential.is_some(),
            Off::RateOfChange => self.limits.rate.is_some(),
            Off::FlatLine => self.limits.flat.is_some(),
            Off::AttenuatedSignal => self.limits.attenuated.is_some(),
            Off::UnitSlip => self.limits.unit_slip.is_some(),
            Off::Multivariate | Off::SwappedColumns | Off::Exposure => false,
        };
        self.off.iter().find(typed).copied()
    }

    pub(super) fn is_off(&self, off: Off) -> bool {
        self.off.contains(&off)
    }
}

/// A range that is left out stays as it was, so that nobody loses one by typing the other.
fn gross(typed: Option<Gross>, begin: Option<Gross>) -> Option<Gross> {
    let (Some(typed), Some(begin)) = (typed, begin) else { return typed.or(begin) };
    Some(Gross { fail: typed.fail.or(begin.fail), suspect: typed.suspect.or(begin.suspect) })
}

impl Off {
    fn out_of(self, limits: Limits) -> Limits {
        match self {
            Self::GrossRange => Limits { gross: None, ..limits },
            Self::Climatology => Limits { climatology: Vec::new(), ..limits },
            Self::SpikeAverage => Limits { spike_average: None, ..limits },
            Self::SpikeDifferential => Limits { spike_differential: None, ..limits },
            Self::RateOfChange => Limits { rate: None, ..limits },
            Self::FlatLine => Limits { flat: None, ..limits },
            Self::AttenuatedSignal => Limits { attenuated: None, ..limits },
            Self::UnitSlip => Limits { unit_slip: None, ..limits },
            Self::Multivariate | Self::SwappedColumns | Self::Exposure => limits,
        }
    }
}
