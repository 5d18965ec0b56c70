//! Water in air: saturation vapour pressure, dew point, wet bulb, and the heat index.

use crate::Range;

/// Air temperatures, °C, around all that was ever measured in Vietnam (−6 to 44 °C).
const AIR_C: Range = Range { low: -40.0, high: 60.0 };
/// Relative humidities, %, that have a dew point: a sensor that says 0 is broken.
const HUMIDITY: Range = Range { low: 1.0, high: 100.0 };

/// Heat capacities of liquid water and of vapour and the gas constant of vapour, J/(kg K); heat of vaporisation, J/kg, and
/// pressure, hPa, at the triple point, K. The constants that MetPy 1.7 has.
const LIQUID: f64 = 4_219.4;
const VAPOUR: f64 = 1.33 / 0.33 * GAS;
const GAS: f64 = 8.314_462_618 / 18.015_268e-3;
const HEAT: f64 = 2.500_84e6;
const TRIPLE_K: f64 = 273.16;
const TRIPLE_HPA: f64 = 6.112;

/// Pressure of water vapour over water at saturation, hPa: Ambaum (2020), "Accurate, simple equation for saturated vapour
/// pressure over water and ice", Quarterly Journal of the Royal Meteorological Society 146.
///
/// `None` outside −40…60 °C.
#[must_use]
pub fn saturation_vapour_pressure(air_c: f64) -> Option<f64> {
    AIR_C.holds(air_c).then(|| {
        let kelvin = air_c + 273.15;
        let heat = HEAT - (LIQUID - VAPOUR) * (kelvin - TRIPLE_K);
        let power = (TRIPLE_K / kelvin).powf((LIQUID - VAPOUR) / GAS);
        TRIPLE_HPA * power * ((HEAT / TRIPLE_K - heat / kelvin) / GAS).exp()
    })
}

/// The temperature, °C, at which dew falls: Bolton (1980), "The computation of equivalent potential temperature", Monthly
/// Weather Review 108, equation 11, of the vapour that [`saturation_vapour_pressure`] gives, as MetPy has it. The two are
/// different fits of one curve, so in saturated air it is up to 0.1 K below the air's own temperature up to
/// 40 °C and 0.33 K at 60; never shown above it.
///
/// `None` outside −40…60 °C and 1…100 %.
#[must_use]
pub fn dew_point(air_c: f64, humidity: f64) -> Option<f64> {
    let humidity = Some(humidity).filter(|&humidity| HUMIDITY.holds(humidity))?;
    let vapour_hpa = humidity / 100.0 * saturation_vapour_pressure(air_c)?;
    let logarithm = (vapour_hpa / 6.112).ln();
    Some((243.5 * logarithm / (17.67 - logarithm)).min(air_c))
}

/// The wet-bulb temperature, °C, at about sea level: Stull (2011), "Wet-bulb temperature from relative humidity and air
/// temperature", Journal of Applied Meteorology and Climatology 50: a fit that errs by −1.0 to +0.65 K, 0.28 K in the mean.
///
/// `None` outside −20…50 °C and 5…99 %, and where it is cold and dry: with less humidity than −2.27 · °C + 27.7 %, about
/// where the paper's figure ends.
#[must_use]
pub fn wet_bulb(air_c: f64, humidity: f64) -> Option<f64> {
    let air = Range { low: -20.0, high: 50.0 };
    let moist = Range { low: 5.0, high: 99.0 };
    let too_dry = humidity < -2.27 * air_c + 27.7;
    (air.holds(air_c) && moist.holds(humidity) && !too_dry).then(|| {
        air_c * (0.151_977 * (humidity + 8.313_659).sqrt()).atan() + (air_c + humidity).atan()
            - (humidity - 1.676_331).atan()
            + 0.003_918_38 * humidity.powf(1.5) * (0.023_101 * humidity).atan()
            - 4.686_035
    })
}

/// How warm air feels in the shade, °C: the heat index of the US National Weather Service, the regression of Rothfusz (1990,
/// SR 90-23) of Steadman (1979) with its two adjustments, and the simple formula where that gives less than 79 °F.
///
/// Steadman's table ends where the index is near 58 °C; hot and moist air beyond is the regression's guess. `None` outside
/// −40…60 °C and 0…100 %.
#[must_use]
pub fn heat_index(air_c: f64, humidity: f64) -> Option<f64> {
    let known = AIR_C.holds(air_c) && Range { low: 0.0, high: 100.0 }.holds(humidity);
    known.then(|| (heat_index_f(air_c * 1.8 + 32.0, humidity) - 32.0) / 1.8)
}

fn heat_index_f(air_f: f64, humidity: f64) -> f64 {
    if air_f <= 40.0 {
        return air_f;
    }
    let simple = 0.5 * (air_f + 61.0 + (air_f - 68.0) * 1.2 + humidity * 0.094);
    if simple < 79.0 { simple } else { rothfusz(air_f, humidity) + adjustment(air_f, humidity) }
}

fn rothfusz(t: f64, h: f64) -> f64 {
    -42.379 + 2.049_015_23 * t + 10.143_331_27 * h
        - 0.224_755_41 * t * h
        - 6.837_83e-3 * t * t
        - 5.481_717e-2 * h * h
        + 1.228_74e-3 * t * t * h
        + 8.528_2e-4 * t * h * h
        - 1.99e-6 * t * t * h * h
}

fn adjustment(air_f: f64, humidity: f64) -> f64 {
    let dry = humidity <= 13.0 && (80.0..=112.0).contains(&air_f);
    let moist = 85.0 < humidity && (80.0..=87.0).contains(&air_f);
    match () {
        () if dry => -(13.0 - humidity) / 4.0 * ((17.0 - (air_f - 95.0).abs()) / 17.0).sqrt(),
        () if moist => (humidity - 85.0) / 10.0 * (87.0 - air_f) / 5.0,
        () => 0.0,
    }
}
