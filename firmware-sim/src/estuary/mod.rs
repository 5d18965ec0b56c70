//! The estuary twin: what is true of the water of Tiền Giang at a station and an instant. Pure: `truth` may be asked at
//! any instant in any order, and the same seed always answers the same.
//!
//! Level is the astronomical tide of the place ([`tide`]) plus a surge that the whole estuary shares, with a standard
//! deviation of 0.16 m and a memory of about two days. Salt ([`salt`]) is carried some 9 km to and fro by the tide of a
//! range of 2.6 m, two hours behind the level (one at the coast), swells three days after the springs, and drifts with
//! the weather.

mod stations; // where the twin measures
mod noise; // weather without memory
pub mod tide; // the astronomical level
mod salt; // the moving front
mod demo_start; // an hour that is worth watching
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::Timestamp;

pub use demo_start::demo_start;
pub use noise::{chance, normal, roll, scramble, smooth, unit};
pub use stations::{SimStation, station, stations};

use salt::Season;
use stations::WaterBody;
use tide::Tide;

/// Standard deviation of the surge, in metres: 0.15 to 0.19 m were measured.
const SURGE_M: f64 = 0.16;
/// How long the weather remembers, in hours.
const WEATHER_H: f64 = 48.0;
/// 9 km of excursion for the median daily range of 2.6 m.
const EXCURSION_KM_PER_M: f64 = 9.0 / 2.6;
/// The salt answers the fortnight's springs three days late.
const SPRING_LAG: Duration = Duration::from_secs(3 * 86_400);

/// What is true of the water, before any sensor has looked at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Level above the station's datum.
    pub level_m: f64,
    /// Salinity.
    pub salinity_g_l: f64,
    /// Temperature of the water.
    pub temperature_c: f64,
}

/// The waters of a province under one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estuary {
    seed: u64,
}

impl Estuary {
    /// Tiền Giang.
    #[must_use]
    pub fn tien_giang(seed: u64) -> Self {
        Self { seed }
    }

    /// What is true at a station at an instant.
    #[must_use]
    pub fn truth(&self, station: &SimStation, at: Timestamp) -> Truth {
        Truth {
            level_m: self.level_m(&tide_of(station), at),
            salinity_g_l: self.salinity_g_l(station, at),
            temperature_c: self.temperature_c(station, at),
        }
    }

    /// How large the tide is at Xuân Hòa: below 1 at neaps, above 1 at springs.
    #[must_use]
    pub fn springness(&self, at: Timestamp) -> f64 {
        tide::river(tide::XUAN_HOA_KM).springness(&tide::arguments(at))
    }

    fn level_m(&self, tide: &Tide, at: Timestamp) -> f64 {
        tide.level_m(&tide::arguments(at)) + SURGE_M * smooth(self.seed, "surge", at, WEATHER_H)
    }

    fn salinity_g_l(&self, station: &SimStation, at: Timestamp) -> f64 {
        let tide = tide_of(station);
        let km = station.km.unwrap_or(0.0);
        let lag_h = 1.0 + (km / tide::VAM_GIONG_KM).min(1.0);
        let moved_km =
            EXCURSION_KM_PER_M * (self.level_m(&tide, at - hours(lag_h)) - tide.mean_m());
        let season = Season::at(at);
        match station.water {
            WaterBody::River => {
                // Off the mouth the water spreads instead of moving as a plug.
                let moved_km = moved_km * (0.5 + 0.5 * (km / 10.0).min(1.0));
                season.river_g_l(km - moved_km - self.pushed_km(at), self.swell(km, at))
            }
            WaterBody::Salisette => {
                let moved_km =
                    EXCURSION_KM_PER_M * (self.level_m(&tide, at - hours(0.4)) - tide.mean_m());
                season.salisette_g_l(moved_km, self.swell(km, at))
            }
            WaterBody::ChoGao => season.cho_gao_g_l(moved_km, self.swell(km, at)),
        }
    }

    /// How far springs push the front inland, in kilometres.
    fn pushed_km(&self, at: Timestamp) -> f64 {
        const PUSH_KM: f64 = 7.0;
        PUSH_KM * (self.springness(at - SPRING_LAG) - 1.0)
    }

    /// The logarithm by which springs and weather lift the salt. It grows upriver: at the coast the sea stays the sea.
    fn swell(&self, km: f64, at: Timestamp) -> f64 {
        const SPRING: f64 = 0.8;
        const WEATHER: f64 = 0.28;
        let reach = 0.25 + 0.75 * (km / tide::XUAN_HOA_KM).min(1.3).powi(2);
        let spring = self.springness(at - SPRING_LAG) - 1.0;
        reach * (SPRING * spring + WEATHER * smooth(self.seed, "salt weather", at, 2.0 * WEATHER_H))
    }

    /// 26.5 °C in January to 30.5 °C in late April, half a degree warmer in the afternoon.
    fn temperature_c(&self, station: &SimStation, at: Timestamp) -> f64 {
        let local = at.local();
        let day = f64::from(local.day_of_year());
        let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
        let season = 28.5 + 2.0 * (std::f64::consts::TAU * (day - 120.0) / 365.25).cos();
        let daily = 0.5 * (std::f64::consts::TAU * (hour - 15.5) / 24.0).cos();
        season + daily + 0.35 * smooth(self.seed, station.code, at, WEATHER_H)
    }
}

fn tide_of(station: &SimStation) -> Tide {
    match station.water {
        WaterBody::River => tide::river(station.km.unwrap_or(0.0)),
        WaterBody::Salisette => tide::salisette(),
        // Far up its canal the tide comes as at Mỹ Tho.
        WaterBody::ChoGao => tide::river(46.0),
    }
}

fn hours(h: f64) -> Duration {
    Duration::from_secs_f64(h * 3600.0)
}

impl SimStation {
    /// A number of its own for every station, for rolls that must differ between them.
    #[must_use]
    pub fn salt_of_seed(&self, seed: u64) -> u64 {
        roll(seed, self.code, 0)
    }
}
