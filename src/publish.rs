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
        let units = parameters.iter().map(|p| (p.code.clone(), p.unit.clone())).collect();
        *self.units.write().unwrap_or_else(PoisonError::into_inner) = units;
    }

    /// `latest/{station}/{parameter}`, retained: the newest good reading.
    pub fn latest(&self, reading: &Reading) {
        let (Some(value), Flag::Good | Flag::NotEvaluated) = (reading.value, reading.flag) else {
            return;
        };
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        let unit = units.get(&reading.parameter).map_or("", String::as_str);
        let body = json!({
            "time": reading.taken_at.to_string(), "value": value, "unit": unit,
            "flag": reading.flag.number(),
        });
        let topic = format!("latest/{}/{}", reading.station, reading.parameter);
        self.publisher.publish(&topic, body.to_string().as_bytes(), Keep::Retained);
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
