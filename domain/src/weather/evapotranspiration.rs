//! Reference evapotranspiration: what a field of short, well-watered grass gives off in a day. Penman and Monteith as Allen,
//! Pereira, Raes and Smith wrote it down (1998, FAO Irrigation and Drainage Paper 56, equation 6), from the extremes of a
//! day's temperature and humidity, its wind and its sun.

use super::sun::extraterrestrial_radiation;
use crate::Range;

/// The weather of a day at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayWeather {
    /// Day of the year, 1 on the first of January.
    pub day: u16,
    /// Latitude, degrees, north positive.
    pub latitude_deg: f64,
    /// Height above the sea, m.
    pub elevation_m: f64,
    /// Lowest and highest air temperature, °C.
    pub air_c: Range,
    /// Lowest and highest relative humidity, %.
    pub humidity: Range,
    /// Mean wind, m/s.
    pub wind_m_s: f64,
    /// How high the wind is measured, m.
    pub wind_height_m: f64,
    /// Global radiation of the day, MJ/m² (the mean in W/m² times 0.0864).
    pub sun_mj_m2: f64,
}

/// A day's reference evapotranspiration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evapotranspiration {
    /// ET0, mm in the day.
    pub et0_mm: f64,
    /// The vapour pressure that it was computed with, kPa (equation 17).
    pub vapour_kpa: f64,
}

/// The radiation that grass throws back.
const ALBEDO: f64 = 0.23;
/// Stefan and Boltzmann's constant as FAO-56 prints it, MJ/(m² day K⁴).
const STEFAN_BOLTZMANN: f64 = 4.903e-9;
/// Radiation of a day, MJ/m²: extraterrestrial radiation is below 45 anywhere.
const SUN: Range = Range { low: 0.0, high: 45.0 };

impl DayWeather {
    fn is_weather(&self) -> bool {
        let rises = |range: Range, all: Range| {
            all.holds(range.low) && all.holds(range.high) && range.low <= range.high
        };
        rises(self.air_c, Range { low: -40.0, high: 60.0 })
            && rises(self.humidity, Range { low: 1.0, high: 100.0 })
            && Range { low: 0.0, high: 60.0 }.holds(self.wind_m_s)
            && Range { low: 0.5, high: 200.0 }.holds(self.wind_height_m)
            && Range { low: -400.0, high: 5_000.0 }.holds(self.elevation_m)
            && SUN.holds(self.sun_mj_m2)
    }

    /// The wind at 2 m (equation 47), which is the logarithm's at 2 m itself to four digits.
    fn wind_2m(&self) -> f64 {
        if self.wind_height_m == 2.0 {
            return self.wind_m_s;
        }
        self.wind_m_s * 4.87 / (67.8 * self.wind_height_m - 5.42).ln()
    }

    /// The vapour pressure of the day, kPa (equation 17).
    fn vapour_kpa(&self) -> f64 {
        let (cold, warm) = (saturation_kpa(self.air_c.low), saturation_kpa(self.air_c.high));
        (cold * self.humidity.high + warm * self.humidity.low) / 200.0
    }

    /// What stays of the radiation, MJ/m² (equations 37 to 40).
    fn net_radiation(&self, extraterrestrial: f64) -> f64 {
        let clear_sky = (0.75 + 2e-5 * self.elevation_m) * extraterrestrial;
        let clearness = (self.sun_mj_m2 / clear_sky).clamp(0.3, 1.0);
        let black = |air_c: f64| STEFAN_BOLTZMANN * (air_c + 273.16).powi(4);
        let long_wave = (black(self.air_c.low) + black(self.air_c.high)) / 2.0
            * (0.34 - 0.14 * self.vapour_kpa().sqrt())
            * (1.35 * clearness - 0.35);
        (1.0 - ALBEDO) * self.sun_mj_m2 - long_wave
    }
}

/// ET0 of a day; never negative, as a field does not drink from the air.
///
/// `None` where an input is no number or no weather: temperatures outside −40…60 °C, humidities outside 1…100 %, wind
/// outside 0…60 m/s or measured outside 0.5…200 m, elevation outside −400…5,000 m, radiation outside 0…45 MJ/m², a minimum
/// above its maximum; and as [`extraterrestrial_radiation`].
#[must_use]
pub fn evapotranspiration(day: &DayWeather) -> Option<Evapotranspiration> {
    if !day.is_weather() {
        return None;
    }
    let extraterrestrial = extraterrestrial_radiation(day.latitude_deg, day.day)?;
    let (mean_c, wind) = (f64::midpoint(day.air_c.low, day.air_c.high), day.wind_2m());
    let (vapour, net) = (day.vapour_kpa(), day.net_radiation(extraterrestrial));
    let saturated = f64::midpoint(saturation_kpa(day.air_c.low), saturation_kpa(day.air_c.high));
    let slope = 4_098.0 * saturation_kpa(mean_c) / (mean_c + 237.3).powi(2);
    let psychrometric = 0.665e-3 * pressure_kpa(day.elevation_m);
    let by_sun = 0.408 * slope * net;
    let by_wind = psychrometric * 900.0 / (mean_c + 273.0) * wind * (saturated - vapour);
    let et0_mm = (by_sun + by_wind) / (slope + psychrometric * (1.0 + 0.34 * wind));
    Some(Evapotranspiration { et0_mm: et0_mm.max(0.0), vapour_kpa: vapour })
}

/// Saturation vapour pressure as FAO-56 has it, kPa (equation 11, Tetens).
fn saturation_kpa(air_c: f64) -> f64 {
    0.610_8 * (17.27 * air_c / (air_c + 237.3)).exp()
}

/// Air pressure at a height, kPa (equation 7).
fn pressure_kpa(elevation_m: f64) -> f64 {
    101.3 * ((293.0 - 0.006_5 * elevation_m) / 293.0).powf(5.26)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uccle, Brussels, 6 July: example 18 of FAO-56.
    const UCCLE: DayWeather = DayWeather {
        day: 187,
        latitude_deg: 50.8,
        elevation_m: 100.0,
        air_c: Range { low: 12.3, high: 21.5 },
        humidity: Range { low: 63.0, high: 84.0 },
        wind_m_s: 2.78,
        wind_height_m: 10.0,
        sun_mj_m2: 22.07,
    };

    #[test]
    fn example_18_of_fao_56() {
        let got = evapotranspiration(&UCCLE).unwrap();
        assert!((got.et0_mm - 3.9).abs() < 0.05, "{got:?}");
        assert!((got.vapour_kpa - 1.409).abs() < 0.005, "{got:?}");
    }

    #[test]
    fn what_is_no_weather_evaporates_nothing() {
        let nan = f64::NAN;
        for bad in [
            DayWeather { day: 0, ..UCCLE },
            DayWeather { latitude_deg: nan, ..UCCLE },
            DayWeather { air_c: Range { low: 22.0, high: 21.0 }, ..UCCLE },
            DayWeather { air_c: Range { low: nan, high: 21.0 }, ..UCCLE },
            DayWeather { humidity: Range { low: 63.0, high: 101.0 }, ..UCCLE },
            DayWeather { wind_m_s: -0.1, ..UCCLE },
            DayWeather { wind_height_m: 0.05, ..UCCLE },
            DayWeather { sun_mj_m2: f64::INFINITY, ..UCCLE },
            DayWeather { elevation_m: nan, ..UCCLE },
        ] {
            assert_eq!(evapotranspiration(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_cold_moist_night_of_a_day_gives_nothing_and_not_less() {
        let dark = DayWeather {
            humidity: Range { low: 100.0, high: 100.0 },
            sun_mj_m2: 0.0,
            wind_m_s: 0.0,
            ..UCCLE
        };
        assert_eq!(evapotranspiration(&dark).map(|it| it.et0_mm), Some(0.0));
    }
}
