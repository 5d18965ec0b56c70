//! QARTOD's multivariate test, for salinity: a probe that sends conductivity, temperature and salinity must tell one
//! story. Salinity is computed again; the formula is an argument, because stations have profiles of their own.

use domain::Flag;
use serde::{Deserialize, Serialize};

use super::Witness;

/// How far a salinity may be from the one computed again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Share of the computed salinity.
    pub relative: f64,
    /// In g/L; the larger of both holds.
    pub absolute: f64,
}

impl Default for Consistency {
    /// 3 % or 0.05 g/L: half of it is what instruments of one station differ by, half what a wrong compensation of
    /// temperature costs in a degree (2.05 % per °C at 25–30 °C).
    fn default() -> Self {
        Self { relative: 0.03, absolute: 0.05 }
    }
}

impl Consistency {
    /// The flag of a salinity in g/L beside conductivity in mS/cm and temperature in °C: 3 where `salinity_of` them is
    /// further away, 2 where either cannot be heard, 9 without a salinity.
    pub fn judge(
        &self,
        salinity: Option<f64>,
        conductivity: Witness,
        temperature: Witness,
        salinity_of: impl Fn(f64, f64) -> Option<f64>,
    ) -> Flag {
        let Some(salinity) = salinity.filter(|it| it.is_finite()) else { return Flag::Missing };
        let heard = conductivity.heard().zip(temperature.heard());
        let computed = heard.and_then(|(conductivity, temperature)| {
            salinity_of(conductivity, temperature).filter(|it| it.is_finite())
        });
        match computed {
            None => Flag::NotEvaluated,
            Some(computed) if (salinity - computed).abs() <= self.allowed(computed) => Flag::Good,
            Some(_) => Flag::Suspect,
        }
    }

    fn allowed(&self, computed: f64) -> f64 {
        self.absolute.max(self.relative * computed.abs())
    }
}
