//! What is tested where nothing is typed: 5- to 15-minute data of a tidal river, by parameter and kind of site. The
//! figures come from the regime measured in Tiền Giang in 2024 (hourly, four stations: changes in an hour at p99.9,
//! daily ranges, the zero season of Xuân Hòa) and are above what good water does there.

use domain::Parameter;
use serde::{Deserialize, Serialize};

use super::limits::{Attenuated, Flat, Gross, Levels, Limits, Rate, UnitSlip};

/// How far a site is from the sea.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteClass {
    /// At the mouth: salt all year, and a gate beside it can change it by 5 g/L in an hour.
    Coast,
    /// Up the river: fresh for months.
    Inland,
}

/// Suspect and bad, or not tested.
type Pair = (f64, f64);

/// The limits of a parameter at a site of this kind that reports so often. The gross range is the parameter's own; a
/// parameter of which nothing is known has no more than that.
#[must_use]
pub fn defaults(parameter: &Parameter, site: SiteClass, interval_s: u32) -> Limits {
    let gross = Limits { gross: gross(parameter), ..Limits::none(interval_s) };
    let limits = Limits { gap_s: gross.gap_s.max(3 * interval_s), ..gross };
    match parameter.code.as_str() {
        "salinity" | "salinity_inside" => salinity(limits, site),
        "conductivity" | "conductivity_25" => conductivity(limits, site),
        "water_level" => level(limits),
        "ph" => steady(limits, (0.5, 1.5), (1.0, 2.0), (12.0, 24.0), 0.01),
        "water_temperature" => steady(limits, (1.0, 3.0), (2.0, 5.0), (24.0, 48.0), 0.05),
        "dissolved_oxygen" => steady(limits, (1.0, 3.0), (2.0, 4.0), (6.0, 12.0), 0.01),
        "rainfall" => rain(limits),
        _ => limits,
    }
}

fn salinity(limits: Limits, site: SiteClass) -> Limits {
    let rate = match site {
        SiteClass::Coast => (5.5, 10.0),
        SiteClass::Inland => (2.4, 5.0),
    };
    Limits {
        fresh_below: Some(0.3),
        unit_slip: unit_slip(&limits, 0.3),
        ..steady(limits, (1.0, 2.5), rate, (3.0, 12.0), 0.01)
    }
}

/// As salinity, at 1.7 mS/cm for each g/L (PSS-78 near 28 °C).
fn conductivity(limits: Limits, site: SiteClass) -> Limits {
    let rate = match site {
        SiteClass::Coast => (9.4, 17.0),
        SiteClass::Inland => (4.1, 8.5),
    };
    Limits {
        fresh_below: Some(0.6),
        unit_slip: unit_slip(&limits, 0.1),
        ..steady(limits, (1.7, 4.3), rate, (3.0, 12.0), 0.01)
    }
}

/// The tide never stands, and swings 1.9 m or more in nine days of ten.
fn level(limits: Limits) -> Limits {
    let interval_h = f64::from(limits.interval_s) / 3_600.0;
    let attenuated = Attenuated {
        period_h: LUNAR_DAY_H,
        suspect: 1.0,
        fail: None,
        min_obs: (LUNAR_DAY_H / interval_h / 2.0).round() as u32,
        check: super::Check::Range,
    };
    let limits = steady(limits, (0.25, 0.6), (1.4, 2.5), (1.0, 3.0), 0.005);
    Limits { attenuated: (2.0 < LUNAR_DAY_H / interval_h).then_some(attenuated), ..limits }
}

/// Rain that falls is not the same for three hours.
fn rain(limits: Limits) -> Limits {
    let flat = Flat { suspect_h: 3.0, fail_h: None, tolerance: 0.01, above: Some(0.0) };
    let hours = 3.max(2 * limits.interval_s.div_ceil(3_600));
    Limits { flat: Some(Flat { suspect_h: f64::from(hours), ..flat }), ..limits }
}

/// Spike there and back, change per hour, hours that it may stand within the tolerance. The spike against the middle of
/// its neighbours is not among the defaults: it also flags the good readings on both sides of a spike.
fn steady(limits: Limits, spike: Pair, rate: Pair, flat_h: Pair, tolerance: f64) -> Limits {
    let least_h = f64::from(limits.interval_s) / 1_800.0;
    let (suspect_h, fail_h) = (flat_h.0.max(least_h), flat_h.1.max(2.0 * least_h));
    Limits {
        spike_differential: Some(Levels { suspect: spike.0, fail: Some(spike.1) }),
        rate: Some(Rate { suspect_per_hour: rate.0, fail_per_hour: Some(rate.1) }),
        flat: Some(Flat { suspect_h, fail_h: Some(fail_h), tolerance, above: None }),
        ..limits
    }
}

/// Where readings come often enough to tell a step from the water.
fn unit_slip(limits: &Limits, least: f64) -> Option<UnitSlip> {
    let often = f64::from(limits.gap_s) / 3_600.0 <= LUNAR_DAY_H / 8.0;
    often.then_some(UnitSlip { least, hold_h: LUNAR_DAY_H })
}

fn gross(parameter: &Parameter) -> Option<Gross> {
    let ends = |range: domain::Range| [range.low, range.high];
    let (fail, suspect) = (parameter.fail.map(ends), parameter.suspect.map(ends));
    (fail.is_some() || suspect.is_some()).then_some(Gross { fail, suspect })
}

const LUNAR_DAY_H: f64 = 24.84;
