//! What the sensors make of the truth: six values, rounded as a logger rounds.
//!
//! Raw conductivity is drawn from salinity by the table of PSS-78 at 25 °C (linear in logarithms between its points)
//! and 2.05 % per degree: within 1 % of PSS-78 from 0.25 to 25 g/L and 24 to 33 °C, where g/L is taken as equal to
//! practical salinity as the field does. The other way round is the engine's business.

use domain::Timestamp;

use super::{Fate, Fault};
use crate::estuary::{Estuary, SimStation, Truth, normal, smooth};

/// What a station measured at an instant; a sensor that answers nothing has no value.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Sample {
    /// Salinity in g/L, to 0.01.
    pub salinity: Option<f64>,
    /// Level in m above the station's datum, to 0.01.
    pub water_level: Option<f64>,
    /// Temperature of the water in °C, to 0.1.
    pub water_temperature: Option<f64>,
    /// Raw conductivity in mS/cm, to 0.01.
    pub conductivity: Option<f64>,
    /// pH, to 0.01.
    pub ph: Option<f64>,
    /// Battery in V, to 0.1.
    pub battery: Option<f64>,
}

impl Sample {
    /// How many values are there.
    #[must_use]
    pub fn values(&self) -> u32 {
        let all = [
            self.salinity,
            self.water_level,
            self.water_temperature,
            self.conductivity,
            self.ph,
            self.battery,
        ];
        u32::try_from(all.iter().flatten().count()).unwrap_or(0)
    }
}

/// What the station's sensors say at an instant, faults included.
#[must_use]
pub fn measure(estuary: &Estuary, fate: &Fate, station: &SimStation, at: Timestamp) -> Sample {
    let truth = estuary.truth(station, at);
    let sound = sound(fate.seed(), &truth, at);
    let Some((fault, span)) = fate.fault(at) else { return sound };
    let salinity = match fault {
        Fault::Frozen => {
            let then = estuary.truth(station, span.from);
            let frozen = self::sound(fate.seed(), &then, span.from);
            return Sample { battery: sound.battery, ..frozen };
        }
        Fault::Spike => Some(-9.99),
        Fault::Mute => None,
        Fault::Fouled => {
            let grown = at.since(span.from).as_secs_f64() / 86_400.0;
            sound.salinity.map(|s| round(s * (1.0 - (0.2 * grown).min(0.6)), 2))
        }
    };
    let conductivity = if fault == Fault::Mute { None } else { sound.conductivity };
    Sample { salinity, conductivity, ..sound }
}

fn sound(seed: u64, truth: &Truth, at: Timestamp) -> Sample {
    let minute = at.as_millis() / 60_000;
    let noise = |name: &str, size: f64| size * normal(seed, name, minute);
    let salinity = (truth.salinity_g_l * (1.0 + noise("salinity", 0.003))).max(0.0);
    let ph = 7.1 + 0.7 * salinity / (salinity + 6.0) + 0.1 * smooth(seed, "ph", at, 36.0);
    Sample {
        salinity: Some(round(salinity, 2)),
        water_level: Some(round(truth.level_m + noise("level", 0.004), 2)),
        water_temperature: Some(round(truth.temperature_c + noise("temperature", 0.03), 1)),
        conductivity: Some(round(conductivity_ms_cm(salinity, truth.temperature_c), 2)),
        ph: Some(round(ph + noise("ph", 0.01), 2)),
        battery: Some(round(battery_v(at) + noise("battery", 0.02), 1)),
    }
}

/// Raw conductivity of water of a salinity at a temperature.
#[must_use]
pub fn conductivity_ms_cm(salinity_g_l: f64, temperature_c: f64) -> f64 {
    const RIVER_MS_CM: f64 = 0.18;
    const AT_25: [(f64, f64); 8] = [
        (0.25, 0.5194),
        (0.5, 1.0147),
        (1.0, 1.9689),
        (2.0, 3.7967),
        (4.0, 7.2767),
        (8.0, 13.8567),
        (15.0, 24.695),
        (25.0, 39.267),
    ];
    let right = AT_25.iter().position(|(s, _)| salinity_g_l < *s).unwrap_or(AT_25.len() - 1);
    let (s0, c0) = AT_25[right.saturating_sub(1)];
    let (s1, c1) = AT_25[right.max(1)];
    // Below the table fresh river water still conducts a little.
    let at_25 = if salinity_g_l < s0 {
        RIVER_MS_CM + (c0 - RIVER_MS_CM) * salinity_g_l / s0
    } else {
        (c0.ln() + (c1 / c0).ln() * (salinity_g_l / s0).ln() / (s1 / s0).ln()).exp()
    };
    at_25 * (1.0 + 0.0205 * (temperature_c - 25.0))
}

/// A lead battery under a solar panel: 12.3 V before dawn, 13.8 V at noon.
fn battery_v(at: Timestamp) -> f64 {
    let local = at.local();
    let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
    let sun = (std::f64::consts::PI * (hour - 6.0) / 12.0).sin().max(0.0);
    let drained = if hour < 6.0 { hour + 6.0 } else { (hour - 18.0).max(0.0) };
    12.7 - 0.033 * drained + 1.1 * sun
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    // Adding zero turns −0 into 0.
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conductivity_is_that_of_pss_78() {
        // EC in mS/cm and temperature → practical salinity, of gsw 3.6.23.
        for (ec, t, salinity) in [
            (1.0, 28.0, 0.46265),
            (2.0, 28.0, 0.95461),
            (4.0, 30.0, 1.90506),
            (10.0, 28.0, 5.27902),
            (20.0, 30.0, 10.72416),
        ] {
            let off: f64 = conductivity_ms_cm(salinity, t) / ec - 1.0;
            assert!(off.abs() < 0.012, "{ec} mS/cm at {t} °C is off by {off}");
        }
        assert!((0.15..0.25).contains(&conductivity_ms_cm(0.0, 28.0)), "rivers conduct");
        assert!(conductivity_ms_cm(30.0, 28.0) > conductivity_ms_cm(25.0, 28.0));
    }

    #[test]
    fn values_are_rounded_as_a_logger_rounds() {
        assert_eq!(round(0.004, 2).to_bits(), 0.0_f64.to_bits());
        assert_eq!(round(-0.004, 2).to_bits(), 0.0_f64.to_bits(), "no minus zero");
        assert!((round(8.849, 2) - 8.85).abs() < 1e-12);
    }
}
