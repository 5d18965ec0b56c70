//! What a name that is not ours may mean, and in which unit: a proposal that a person looks at, beside what is plausible.

use domain::{EcReference, Mapping, Parameter, standard_parameters, unit};

/// What loggers write for what they measure, small letters and digits alone.
const NAMES: &[(&str, &[&str])] = &[
    ("salinity", &["sal", "salt", "saltwater", "doman"]),
    ("conductivity", &["ec", "cond", "ecraw", "condraw"]),
    (
        "conductivity_25",
        &["spcond", "speccond", "specificconductance", "ec25", "cond25", "ec20", "cond20"],
    ),
    ("water_temperature", &["temp", "temperature", "wtemp", "watertemp", "twater", "nhietdo"]),
    ("water_level", &["wl", "level", "waterlevel", "stage", "mucnuoc"]),
    ("ph", &["ph"]),
    ("dissolved_oxygen", &["do", "odo", "oxygen", "domgl"]),
    ("turbidity", &["turb", "ntu", "doduc"]),
    ("ammonium", &["nh4", "nh4n"]),
    ("nitrate", &["no3", "no3n"]),
    ("bod5", &["bod"]),
    ("chlorophyll", &["chl", "chla"]),
    ("rainfall", &["rain", "precip", "precipitation", "luongmua"]),
    ("air_temperature", &["airtemp", "tair", "airtc"]),
    ("humidity", &["hum", "rh", "humid", "relativehumidity"]),
    ("air_pressure", &["pressure", "baro", "barometer", "bp"]),
    ("wind_speed", &["ws", "windspeed", "wspd"]),
    ("wind_direction", &["wd", "winddir", "wdir"]),
    ("solar_radiation", &["solar", "radiation", "slrw", "ghi"]),
    ("battery", &["bat", "batt", "vbat", "batterylevel", "batteryvoltage", "battvmin"]),
    ("signal", &["rssi", "csq", "dbm"]),
];

/// Units in which loggers often write, where they do not say one and the number cannot be ours.
const LIKELY: &[(&str, &[&str])] = &[
    ("conductivity", &["µS/cm", "mS/m"]),
    ("conductivity_25", &["µS/cm", "mS/m"]),
    ("salinity", &["mg/L"]),
    ("water_level", &["cm", "mm"]),
    ("battery", &["mV"]),
    ("air_pressure", &["kPa", "Pa"]),
];

/// What a field may be.
#[derive(Debug, Clone)]
pub struct Meaning {
    /// The parameter.
    pub parameter: Parameter,
    /// The unit that was stated, or is likely; nothing where it is ours.
    pub unit: Option<String>,
    /// What the station's profile has to say of it; nothing where the name is our own.
    pub mapping: Option<Mapping>,
}

impl Meaning {
    /// Is the number, in our unit, one that this water can have? Nothing is known of some parameters.
    pub fn plausible(&self, ours: f64) -> Option<bool> {
        self.parameter.suspect.or(self.parameter.fail).map(|range| range.holds(ours))
    }
}

/// Is this the name of something that is measured?
pub fn means_something(name: &str) -> bool {
    meaning(name, None, None).is_some()
}

/// What the field with this name, unit and value may be.
pub fn meaning(name: &str, stated: Option<&str>, value: Option<f64>) -> Option<Meaning> {
    let all = standard_parameters();
    if let Some(parameter) = all.iter().find(|parameter| parameter.code.as_str() == name) {
        let (parameter, unit) = (parameter.clone(), stated.map(str::to_owned));
        return Some(Meaning { parameter, unit, mapping: None });
    }
    let last = name.rsplit(['.', '/', ':']).next().unwrap_or(name);
    let letters: String =
        last.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let same = |code: &str| code.replace('_', "") == letters;
    let (code, _) = NAMES
        .iter()
        .find(|(_, names)| names.contains(&letters.as_str()))
        .or_else(|| NAMES.iter().find(|(code, _)| same(code)))?;
    let parameter = all.into_iter().find(|parameter| parameter.code.as_str() == *code)?;
    let unit = match stated {
        Some(stated) => Some(stated.to_owned()),
        None => value.and_then(|value| likely(&parameter, value)),
    };
    let (scale, offset) = match &unit {
        None => (1.0, 0.0),
        Some(unit) => {
            let zero = unit::convert(0.0, unit, &parameter.unit)?;
            (unit::convert(1.0, unit, &parameter.unit)? - zero, zero)
        }
    };
    let ec = EcReference::of(&parameter.code).and_then(|_| EcReference::told_by(name));
    let mapping =
        Mapping { name: name.to_owned(), parameter: parameter.code.clone(), scale, offset, ec };
    Some(Meaning { parameter, unit, mapping: Some(mapping) })
}

/// The first unit in which the number would be plausible; nothing where it is so in ours, or in none.
fn likely(parameter: &Parameter, value: f64) -> Option<String> {
    let range = parameter.suspect.or(parameter.fail)?;
    if range.holds(value) {
        return None;
    }
    let (_, units) = LIKELY.iter().find(|(code, _)| *code == parameter.code.as_str())?;
    let holds = |unit: &&&str| {
        unit::convert(value, unit, &parameter.unit).is_some_and(|value| range.holds(value))
    };
    units.iter().find(holds).map(|unit| (*unit).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_parameter_and_a_number_its_unit() {
        for (name, unit, value, wanted) in [
            ("salinity", None, 8.85, Some(("salinity", None, None))),
            ("Sal", None, 8850.0, Some(("salinity", Some("mg/L"), Some(0.001)))),
            ("probe.EC", None, 15_200.0, Some(("conductivity", Some("µS/cm"), Some(0.001)))),
            ("EC", None, 15.2, Some(("conductivity", None, Some(1.0)))),
            (
                "SpCond",
                Some("µS/cm"),
                15_200.0,
                Some(("conductivity_25", Some("µS/cm"), Some(0.001))),
            ),
            ("Temp", Some("°F"), 82.4, Some(("water_temperature", Some("°F"), Some(5.0 / 9.0)))),
            ("BattV_Min", None, 12.6, Some(("battery", None, Some(1.0)))),
            ("dissolvedOxygen", None, 5.6, Some(("dissolved_oxygen", None, Some(1.0)))),
            ("Temp", Some("mm"), 8.0, None),
            ("pump", None, 1.0, None),
            ("", None, 1.0, None),
        ] {
            let found = meaning(name, unit, Some(value));
            let told = found.as_ref().map(|it| {
                let scale = it.mapping.as_ref().map(|mapping| mapping.scale);
                (it.parameter.code.as_str(), it.unit.as_deref(), scale)
            });
            assert_eq!(told.map(|it| (it.0, it.1)), wanted.map(|it| (it.0, it.1)), "{name}");
            let scales = (told.and_then(|it| it.2), wanted.and_then(|it| it.2));
            let near = match scales {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            assert!(near, "{name}: {scales:?}");
        }
    }

    #[test]
    fn every_name_means_a_parameter_that_there_is() {
        for (code, names) in NAMES {
            for name in names.iter().copied().chain([*code]) {
                assert_eq!(meaning(name, None, None).unwrap().parameter.code.as_str(), *code);
            }
        }
        assert_eq!(
            meaning("Cond_20", None, None).unwrap().mapping.unwrap().ec,
            Some(EcReference::At20)
        );
    }
}
