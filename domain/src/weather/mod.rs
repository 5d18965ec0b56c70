//! Air, sun and rain as formulas. Pure functions of bare numbers with their unit last in the name; `None` where a formula
//! does not hold. `docs/formulas.md` names each source, range, vector and tolerance.

mod vapour; // what air holds, and how it feels
mod sun; // what would come in without an atmosphere
mod evapotranspiration; // what a field of grass gives off
mod day; // out of a day's readings
mod rainfall; // sums that say what they lack

pub use day::{DayReadings, WeatherSite, day_weather};
pub use evapotranspiration::{DayWeather, Evapotranspiration, evapotranspiration};
pub use rainfall::{RainSum, rain_sum};
pub use sun::extraterrestrial_radiation;
pub use vapour::{dew_point, heat_index, saturation_vapour_pressure, wet_bulb};

#[cfg(test)]
mod vectors;
