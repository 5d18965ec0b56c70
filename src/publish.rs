//! What MQTT subscribers get from us: the newest good reading of each series, and the open warning.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use analytics::rules::Standing;
use domain::{Flag, Parameter, ParameterCode, Reading, StationCode, Water};
use ingest::mqtt::{Keep, Publisher};
use serde_json::json;

/// Publishes the engine's own topics.
#[derive(Clone)]
pub struct Outlet {
    publisher: Publisher,
    /// As JSON has them, quoted.
    units: Arc<RwLock<HashMap<ParameterCode, String>>>,
}

impl Outlet {
    /// An outlet on this door.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, units: Arc::default() }
    }

    /// Takes units from now on from these parameters.
    pub fn set_parameters(&self, parameters: &[Parameter]) {
        let unit = |p: &Parameter| (p.code.clone(), json!(p.unit).to_string());
        let units = parameters.iter().map(unit).collect();
        *self.units.write().unwrap_or_else(PoisonError::into_inner) = units;
    }

    /// `latest/{station}/{parameter}`, retained: the newest good reading.
    pub fn latest(&self, reading: &Reading) {
        let (Some(value), Flag::Good | Flag::NotEvaluated) = (reading.value, reading.flag) else {
            return;
        };
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        let unit = units.get(&reading.parameter).map_or("\"\"", String::as_str);
        let topic = format!("latest/{}/{}", reading.station, reading.parameter);
        self.publisher.publish(&topic, said(reading, value, unit).as_bytes(), Keep::Retained);
    }

    /// `warnings/{station}/{parameter}`, retained: the worst of what the rules on this series say now, empty when none
    /// of them exceeds or has lost sight of the water.
    pub fn warning(&self, station: &StationCode, parameter: &ParameterCode, all: &[Standing]) {
        let here = all.iter().filter(|s| s.station == *station && s.parameter == *parameter);
        let body = match here.max_by_key(|standing| standing.water) {
            Some(standing) if matches!(standing.water, Water::Exceed(_)) => warning(standing),
            // Somebody saw the water once: silence after that is news; before it, it is none.
            Some(standing) if standing.water == Water::Unknown && standing.since.is_some() => {
                warning(standing)
            }
            _ => String::new(),
        };
        let topic = format!("warnings/{station}/{parameter}");
        self.publisher.publish(&topic, body.as_bytes(), Keep::Retained);
    }
}

/// The reading as JSON. Written straight: where thousands of stations speak at once, this is six times for each report.
fn said(reading: &Reading, value: f64, unit: &str) -> String {
    let (flag, value) = (reading.flag.number(), json!(value));
    format!(
        "{{\"flag\":{flag},\"time\":\"{}\",\"unit\":{unit},\"value\":{value}}}",
        reading.taken_at
    )
}

fn warning(standing: &Standing) -> String {
    let (state, level) = match standing.water {
        Water::Exceed(level) => ("exceed", Some(level)),
        Water::Safe => ("safe", None),
        Water::Unknown => ("unknown", None),
    };
    let body = json!({
        "state": state, "level": level, "limit": standing.limit, "value": standing.value,
        "since": standing.since.map(|at| at.to_string()), "rule": standing.rule.as_str(),
        "why": standing.why.map(domain::Why::as_str),
    });
    body.to_string()
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn what_is_said_of_a_reading_is_json_with_its_unit_as_it_is() {
        for (value, unit) in [(8.85, "g/L"), (-0.0, "\"%\\"), (1e300, "")] {
            let reading = Reading {
                station: StationCode::new("xuan-hoa").unwrap(),
                parameter: ParameterCode::new("salinity").unwrap(),
                taken_at: Timestamp::from_millis(1_772_323_200_000),
                received_at: Timestamp::from_millis(1_772_323_201_000),
                value: Some(value),
                flag: Flag::Good,
                replay: false,
            };
            let text = said(&reading, value, &json!(unit).to_string());
            let right = json!({ "time": "2026-03-01T00:00:00.000Z", "value": value, "unit": unit, "flag": 1 });
            assert_eq!(text, right.to_string());
        }
    }
}
