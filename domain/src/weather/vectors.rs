//! Against MetPy 1.7.1, pyet 1.5.0 and refet 0.5.0 on the files of `../shared/data/vectors`.

use super::*;
use crate::Range;

fn rows(file: &str) -> Vec<Vec<f64>> {
    let path = format!("{}/../../shared/data/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {file} is not here");
        return Vec::new();
    };
    let row = |line: &str| line.split(',').map(|field| field.parse().unwrap()).collect();
    text.lines().skip(1).map(row).collect()
}

/// The file prints eight digits.
#[test]
fn dew_point_heat_index_and_saturation_are_those_of_metpy() {
    for row in rows("weather_humidity.csv") {
        let got = [
            dew_point(row[0], row[1]),
            heat_index(row[0], row[1]),
            saturation_vapour_pressure(row[0]),
        ];
        for (got, wanted) in got.into_iter().zip(&row[2..]) {
            let got = got.unwrap();
            assert!((got - wanted).abs() <= 5.1e-7, "{row:?}: {got}");
        }
    }
}

/// The file prints eight digits; refet takes another day angle and constant, which is 0.0007 mm at most.
#[test]
fn evapotranspiration_is_that_of_pyet() {
    for row in rows("weather_et0.csv") {
        let day = DayWeather {
            day: row[0] as u16,
            latitude_deg: row[1],
            elevation_m: row[2],
            air_c: Range { low: row[3], high: row[4] },
            humidity: Range { low: row[5], high: row[6] },
            wind_m_s: row[7],
            wind_height_m: 2.0,
            sun_mj_m2: row[8],
        };
        let got = evapotranspiration(&day).unwrap();
        assert!((got.vapour_kpa - row[9]).abs() <= 5.1e-8, "{row:?}: {got:?}");
        assert!((got.et0_mm - row[10]).abs() <= 5.1e-8, "{row:?}: {got:?}");
        assert!((got.et0_mm - row[11]).abs() <= 8e-4, "{row:?}: {got:?}");
    }
}

#[test]
fn saturated_air_has_its_own_dew_point() {
    for air_c in 0..=40_i32 {
        let air_c = f64::from(air_c);
        let dew = dew_point(air_c, 100.0).unwrap();
        assert!(dew <= air_c && air_c - dew < 0.11, "{air_c}: {dew}");
    }
}

/// Stull's own example: 20 °C and 50 % are 13.7 °C.
#[test]
fn a_wet_bulb_is_between_dew_point_and_air() {
    assert!((wet_bulb(20.0, 50.0).unwrap() - 13.7).abs() < 0.05);
    for (air_c, humidity) in [(34.0, 40.0), (28.0, 90.0), (15.0, 60.0)] {
        let wet = wet_bulb(air_c, humidity).unwrap();
        assert!(dew_point(air_c, humidity).unwrap() < wet && wet < air_c);
    }
}

#[test]
fn what_is_no_air_has_nothing() {
    for (air_c, humidity) in
        [(f64::NAN, 50.0), (30.0, f64::NAN), (61.0, 50.0), (30.0, 101.0), (30.0, -1.0)]
    {
        assert_eq!(dew_point(air_c, humidity), None);
        assert_eq!(heat_index(air_c, humidity), None);
        assert_eq!(wet_bulb(air_c, humidity), None);
    }
    assert_eq!(dew_point(30.0, 0.0), None);
    assert_eq!(wet_bulb(0.0, 10.0), None);
    assert_eq!(saturation_vapour_pressure(f64::INFINITY), None);
}
