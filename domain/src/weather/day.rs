//! The weather of a day out of the readings of a station, as evapotranspiration wants it. A day whose hottest hours nobody
//! measured has no maximum, so each quantity needs nearly all of its hours.

use jiff::civil::Date;

use super::evapotranspiration::DayWeather;
use crate::{Flag, Range, Timestamp};

/// Hours of a day, of 24, in each of which each quantity needs a good or unexamined reading: two may be lost to a
/// maintenance or a dead link.
const HOURS_MIN: usize = 22;

/// MJ/m² in a day of one W/m².
const MJ_OF_W: f64 = 0.086_4;

/// Where a weather station stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeatherSite {
    /// Latitude, degrees, north positive.
    pub latitude_deg: f64,
    /// Height above the sea, m.
    pub elevation_m: f64,
    /// How high the wind is measured, m.
    pub wind_height_m: f64,
}

/// Readings (time, value, flag) of what a day is made of.
#[derive(Debug, Clone, Copy)]
pub struct DayReadings<'a> {
    /// Air temperature, °C.
    pub air_c: &'a [(Timestamp, f64, Flag)],
    /// Relative humidity, %.
    pub humidity: &'a [(Timestamp, f64, Flag)],
    /// Wind speed, m/s.
    pub wind_m_s: &'a [(Timestamp, f64, Flag)],
    /// Global radiation, W/m².
    pub sun_w_m2: &'a [(Timestamp, f64, Flag)],
}

/// The weather of this day in Vietnam, and the worst flag of what is in it; `None` where one of the four has readings in
/// fewer than 22 of the day's hours.
///
/// Bad and missing readings and ones that are no number are not there. Means are of the means of hours, so that an hour that
/// was measured more often counts no more. A day that lacks an hour is suspect: its mean of the sun may be a tenth off.
#[must_use]
pub fn day_weather(
    site: &WeatherSite,
    day: Date,
    readings: &DayReadings<'_>,
) -> Option<(DayWeather, Flag)> {
    let (air, humidity) = (Hours::of(readings.air_c, day)?, Hours::of(readings.humidity, day)?);
    let (wind, sun) = (Hours::of(readings.wind_m_s, day)?, Hours::of(readings.sun_w_m2, day)?);
    let weather = DayWeather {
        day: u16::try_from(day.day_of_year()).ok()?,
        latitude_deg: site.latitude_deg,
        elevation_m: site.elevation_m,
        air_c: air.extremes,
        humidity: humidity.extremes,
        wind_m_s: wind.mean,
        wind_height_m: site.wind_height_m,
        sun_mj_m2: sun.mean * MJ_OF_W,
    };
    Some((weather, Flag::composed([air, humidity, wind, sun].map(|hours| hours.flag))))
}

/// What the readings of a day come to.
struct Hours {
    extremes: Range,
    mean: f64,
    flag: Flag,
}

impl Hours {
    fn of(readings: &[(Timestamp, f64, Flag)], day: Date) -> Option<Self> {
        let mut hours = [(0.0, 0_u32); 24];
        let mut extremes = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };
        let mut flags = Vec::new();
        for &(at, value, flag) in readings {
            let local = at.local();
            let believed = value.is_finite() && !matches!(flag, Flag::Bad | Flag::Missing);
            if !believed || local.date() != day {
                continue;
            }
            let hour = &mut hours[usize::try_from(local.hour()).ok()?];
            *hour = (hour.0 + value, hour.1 + 1);
            extremes = Range { low: extremes.low.min(value), high: extremes.high.max(value) };
            flags.push(flag);
        }
        let measured = hours.iter().filter(|(_, count)| 0 < *count);
        let means: Vec<f64> = measured.map(|(sum, count)| sum / f64::from(*count)).collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        flags.extend((means.len() < hours.len()).then_some(Flag::Suspect));
        let enough = HOURS_MIN <= means.len();
        enough.then(|| Self { extremes, mean, flag: Flag::composed(flags) })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::weather::evapotranspiration;
    use Flag::{Bad, Good, Suspect};

    const SITE: WeatherSite =
        WeatherSite { latitude_deg: 10.36, elevation_m: 2.0, wind_height_m: 2.0 };

    /// Each half hour of 12 March 2026 in Vietnam, and some of the days around.
    fn series(value: impl Fn(f64) -> f64) -> Vec<(Timestamp, f64, Flag)> {
        let midnight = Timestamp::parse_rfc3339("2026-03-12T00:00:00+07:00").unwrap();
        (-4_i64..60)
            .map(|n| {
                let at = Timestamp::from_millis(midnight.as_millis() + n * 1_800_000);
                let inside = (0..48).contains(&n);
                (at, if inside { value(n as f64 / 2.0) } else { 99.0 }, Good)
            })
            .collect()
    }

    fn wave(hour: f64) -> f64 {
        ((hour - 14.0) * std::f64::consts::TAU / 24.0).cos()
    }

    fn check(spoil: impl Fn(&mut [(Timestamp, f64, Flag)])) -> Option<(DayWeather, Flag)> {
        let mut air_c = series(|hour| 28.0 + 6.0 * wave(hour));
        let humidity = series(|hour| 70.0 - 20.0 * wave(hour));
        let wind_m_s = series(|_| 2.5);
        let sun_w_m2 = series(|hour| 700.0 * (wave(hour + 2.0)).max(0.0));
        spoil(&mut air_c);
        let readings = DayReadings {
            air_c: &air_c,
            humidity: &humidity,
            wind_m_s: &wind_m_s,
            sun_w_m2: &sun_w_m2,
        };
        day_weather(&SITE, date(2026, 3, 12), &readings)
    }

    #[test]
    fn a_day_is_made_of_its_own_readings() {
        let (weather, flag) = check(|_| ()).unwrap();
        assert_eq!((weather.day, flag), (71, Good));
        assert_eq!(weather.air_c, Range { low: 22.0, high: 34.0 });
        assert_eq!(weather.humidity, Range { low: 50.0, high: 90.0 });
        assert!((weather.wind_m_s - 2.5).abs() < 1e-12);
        // The mean of the positive half of a wave is 1/π of its height.
        let wanted = 700.0 / std::f64::consts::PI * 0.086_4;
        assert!((weather.sun_mj_m2 / wanted - 1.0).abs() < 0.01, "{weather:?}");
        let et0 = evapotranspiration(&weather).unwrap().et0_mm;
        assert!((4.0..6.0).contains(&et0), "{et0}");
    }

    #[test]
    fn a_day_without_its_hours_is_none() {
        let lose = |hours: usize| {
            check(|air| air[4..4 + 2 * hours].iter_mut().for_each(|reading| reading.2 = Bad))
        };
        assert_eq!(lose(1).map(|(_, flag)| flag), Some(Suspect));
        assert!(lose(2).is_some());
        assert!(lose(3).is_none());
        assert!(check(|air| air[4..14].iter_mut().for_each(|it| it.1 = f64::NAN)).is_none());
        assert_eq!(check(|air| air[30].2 = Suspect).map(|(_, flag)| flag), Some(Suspect));
    }
}
