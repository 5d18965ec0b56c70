//! What we believe of a report: the clock is settled, the profile applied, each field becomes our parameter in our
//! unit, or a refusal with its reason. Pure: `now` and the table are arguments.

use std::time::Duration;

use domain::{
    Admitted, EcReference, Flag, Mapping, Measured, Parameter, ParameterCode, Reason, Refusal,
    Report, Said, Stated, Station, Status, Timestamp, unit,
};
use rustc_hash::FxHashMap;

use crate::formats::json::shorten;

/// What a station's clock may say, and how large a number may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// No reading is older: before it there were no such stations, only clocks that lost their battery (1970, 1980).
    pub oldest: Timestamp,
    /// A report that does not call itself a replay may be this old. A logger keeps at least 60 days (Circular
    /// 10/2021); what says it is from now and is more than a year old has lost its clock (many restart at 2000-01-01).
    pub age_max: Duration,
    /// A reading may be this far ahead of our clock: a station's clock may be a little fast.
    pub ahead_max: Duration,
    /// No sensor of ours gives more than this in its unit; what does is an overflow of somebody's program.
    pub magnitude_max: f64,
}

/// The limits that the front door uses.
pub const ADMIT: Limits = Limits {
    oldest: Timestamp::from_millis(946_684_800_000), // 2000-01-01T00:00:00Z
    age_max: Duration::from_secs(400 * 86_400),
    ahead_max: Duration::from_secs(300),
    magnitude_max: 1e9,
};

/// The parameters there are, by code.
#[derive(Debug, Default)]
pub struct ParameterTable {
    by_code: FxHashMap<ParameterCode, String>,
}

impl ParameterTable {
    /// A table of these parameters.
    pub fn new<'a>(parameters: impl IntoIterator<Item = &'a Parameter>) -> Self {
        let row = |p: &Parameter| (p.code.clone(), p.unit.clone());
        Self { by_code: parameters.into_iter().map(row).collect() }
    }

    fn get(&self, name: &str) -> Option<(&ParameterCode, &str)> {
        self.by_code.get_key_value(name).map(|(code, unit)| (code, unit.as_str()))
    }

    fn nearest(&self, name: &str) -> Option<&ParameterCode> {
        let near = |code: &&ParameterCode| strsim::jaro_winkler(code.as_str(), name);
        let best = self.by_code.keys().max_by(|a, b| near(a).total_cmp(&near(b)))?;
        (0.85 < near(&best)).then_some(best)
    }
}

/// What became of one report.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The values that are believed, if any.
    pub admitted: Option<Admitted>,
    /// Why the others, or all, are not; one for each value refused, or one for the report.
    pub refused: Vec<Refusal>,
}

impl Admission {
    /// The time that the station's clock said, where it could not be believed and was said to be now.
    pub(crate) fn wrong_clock(&self, report: &Report<'_>) -> Option<Timestamp> {
        let wrong = matches!(self.refused.first()?.reason, Reason::TooOld | Reason::InFuture);
        match report.taken {
            Stated::At(stated) if wrong && !report.replay => Some(stated),
            _ => None,
        }
    }
}

/// Settles one report of `station` that arrived at `now`.
#[must_use]
pub fn admit(
    report: &Report<'_>,
    station: &Station,
    table: &ParameterTable,
    limits: &Limits,
    now: Timestamp,
) -> Admission {
    let taken_at = match settle(report, limits, now) {
        Ok(taken_at) => taken_at,
        Err(refusal) => return Admission { admitted: None, refused: vec![refusal] },
    };
    let mut values: Vec<Measured> = Vec::with_capacity(report.values.len());
    let mut refused = Vec::new();
    for said in &report.values {
        match measured(said, report, station, table, limits) {
            Ok(m) if values.iter().any(|had| had.parameter == m.parameter) => {
                refused.push(Refusal {
                    reason: Reason::RepeatedParameter,
                    detail: format!("values.{}: {} comes twice", said.name, m.parameter),
                });
            }
            Ok(measured) => values.push(measured),
            Err(refusal) => refused.push(refusal),
        }
    }
    let admitted = (!values.is_empty()).then(|| Admitted {
        station: station.code.clone(),
        taken_at,
        received_at: now,
        seq: report.seq,
        replay: report.replay,
        values,
    });
    Admission { admitted, refused }
}

/// The instant of a report that came at `now`.
pub(crate) fn settle(
    report: &Report<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Timestamp, Refusal> {
    let Stated::At(stated) = report.taken else { return Ok(now) };
    let oldest = match report.replay {
        true => limits.oldest,
        false => limits.oldest.max(now - limits.age_max),
    };
    if stated < oldest {
        let detail = format!("time: {stated} is before {oldest}; set the clock");
        return Err(Refusal { reason: Reason::TooOld, detail });
    }
    if now + limits.ahead_max < stated {
        let detail = format!("time: {stated} is ahead of {now}; set the clock");
        return Err(Refusal { reason: Reason::InFuture, detail });
    }
    Ok(stated)
}

fn measured(
    said: &Said<'_>,
    report: &Report<'_>,
    station: &Station,
    table: &ParameterTable,
    limits: &Limits,
) -> Result<Measured, Refusal> {
    let own = mapping(station, &said.name);
    let (parameter, unit) = match own {
        Some(field) => (&field.parameter, None),
        None => match table.get(&said.name) {
            Some((code, unit)) => (code, Some(unit)),
            None => return Err(unknown(said, table)),
        },
    };
    let value = match (said.value, own) {
        // A mapped field is in the station's own unit, which the profile knows.
        (Some(value), Some(field)) => Some(value * field.scale + field.offset),
        (value, _) => value,
    };
    // A standard one is in ours, unless it says another that can be turned into ours.
    let value = match (value, said.unit.as_deref(), unit) {
        (Some(value), Some(stated), Some(ours)) if stated != ours => {
            Some(unit::convert(value, stated, ours).ok_or_else(|| {
                let stated = shorten(stated);
                wrong_unit(said, format!("`{stated}`; {parameter} is in `{ours}`"))
            })?)
        }
        (value, _, _) => value,
    };
    // A sensor that is in error, by its own word or its agency's, may say anything.
    if let Some(value) = value
        && said.status == Status::Measuring
        && (unit == Some("mS/cm") || EcReference::of(parameter).is_some())
        && let Some(likely) = slip(value)
    {
        let by = if own.is_some() { "; set `scale` of the field in the profile" } else { "" };
        let detail = format!("{value} mS/cm is no water; the unit is likely {likely}{by}");
        return Err(wrong_unit(said, detail));
    }
    let value = match (value, own) {
        (Some(value), Some(field)) => Some(referred(value, said, field, report, station)?),
        (value, _) => value,
    };
    if let Some(value) = value
        && (!value.is_finite() || limits.magnitude_max < value.abs())
    {
        let detail = format!("values.{}: {value} is not a number of a sensor", said.name);
        return Err(Refusal { reason: Reason::NotANumber, detail });
    }
    let flag = match (value, said.status) {
        (None, _) => Flag::Missing,
        (Some(_), Status::Measuring) => Flag::NotEvaluated,
        (Some(_), Status::Calibrating | Status::Fault) => Flag::Bad,
    };
    Ok(Measured { parameter: parameter.clone(), value, flag })
}

fn mapping<'a>(station: &'a Station, name: &str) -> Option<&'a Mapping> {
    station.profile.fields.iter().find(|field| field.name == name)
}

/// A conductivity as our parameter has it, where the profile says that the station's is another.
fn referred(
    value: f64,
    said: &Said<'_>,
    field: &Mapping,
    report: &Report<'_>,
    station: &Station,
) -> Result<f64, Refusal> {
    let (Some(from), Some(to)) = (field.ec, EcReference::of(&field.parameter)) else {
        return Ok(value);
    };
    let water_c = || {
        report.values.iter().find_map(|other| {
            let degrees = other.value.filter(|_| other.status == Status::Measuring)?;
            match mapping(station, &other.name) {
                Some(field) if field.parameter.as_str() == WATER_TEMPERATURE => {
                    Some(degrees * field.scale + field.offset)
                }
                None if other.name == WATER_TEMPERATURE => match other.unit.as_deref() {
                    Some(unit) => unit::convert(degrees, unit, "°C"),
                    None => Some(degrees),
                },
                _ => None,
            }
        })
    };
    from.refer(value, to, water_c()).ok_or_else(|| {
        let what = format!(
            "ec = \"{}\" becomes {} only with the water's temperature, and this report has no good one",
            from.as_str(),
            field.parameter
        );
        wrong_unit(said, what)
    })
}

const WATER_TEMPERATURE: &str = "water_temperature";

fn wrong_unit(said: &Said<'_>, what: impl std::fmt::Display) -> Refusal {
    let name = shorten(&said.name);
    Refusal { reason: Reason::WrongUnit, detail: format!("values.{name}.unit: {what}") }
}

/// The largest conductivity of water in the field, mS/cm: sea water at 35 °C has 65.
const CONDUCTIVITY_MAX: f64 = 100.0;

/// The unit that somebody meant whose number cannot be mS/cm.
fn slip(value: f64) -> Option<&'static str> {
    let would_be = |factor: f64| value * factor <= CONDUCTIVITY_MAX;
    match () {
        () if value <= CONDUCTIVITY_MAX => None,
        () if would_be(1e-2) => Some("µS/cm or mS/m"),
        () if would_be(1e-3) => Some("µS/cm"),
        () => None,
    }
}

fn unknown(said: &Said<'_>, table: &ParameterTable) -> Refusal {
    let name: String = said.name.chars().take(64).collect();
    let hint = match table.nearest(&name) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    Refusal {
        reason: Reason::UnknownParameter,
        detail: format!("values.{name}: unknown parameter{hint}"),
    }
}

/// The station that tests speak for.
#[cfg(test)]
pub(crate) fn example_station() -> Station {
    Station::new(domain::StationCode::new("xuan-hoa").expect("a fixed code"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::json;
    use domain::Mapping;

    const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000); // 2026-03-11T22:00:00Z

    fn check(station: &Station, payload: &str) -> Admission {
        let table = ParameterTable::new(&domain::standard_parameters());
        let reports = json::decode(payload.as_bytes()).unwrap();
        admit(&reports[0], station, &table, &ADMIT, NOW)
    }

    fn reasons(payload: &str) -> Vec<Reason> {
        check(&example_station(), payload).refused.into_iter().map(|r| r.reason).collect()
    }

    #[test]
    fn a_report_without_time_was_taken_on_arrival() {
        let admitted =
            check(&example_station(), r#"{"values":{"salinity":8.85}}"#).admitted.unwrap();
        assert_eq!((admitted.taken_at, admitted.received_at), (NOW, NOW));
        assert_eq!(admitted.values[0].flag, Flag::NotEvaluated);
    }

    #[test]
    fn clocks_that_lost_their_battery_and_clocks_that_run_ahead_are_refused() {
        for (time, replay, reason) in [
            ("0", false, Some(Reason::TooOld)),
            ("0", true, Some(Reason::TooOld)),
            ("\"2000-01-01T00:00:10Z\"", false, Some(Reason::TooOld)),
            ("\"2000-06-01T00:00:10Z\"", true, None),
            ("\"2099-01-01T00:00:00Z\"", false, Some(Reason::InFuture)),
            ("\"2099-01-01T00:00:00Z\"", true, Some(Reason::InFuture)),
            ("1e300", false, Some(Reason::InFuture)),
            ("-1e300", false, Some(Reason::TooOld)),
            ("\"2026-03-11T22:04:59Z\"", false, None),
            ("\"2026-03-11T22:05:01Z\"", false, Some(Reason::InFuture)),
        ] {
            let payload = format!(r#"{{"time":{time},"replay":{replay},"values":{{"ph":7}}}}"#);
            assert_eq!(reasons(&payload).first().copied(), reason, "{payload}");
        }
    }

    #[test]
    fn one_bad_value_does_not_cost_the_others() {
        let admission = check(
            &example_station(),
            r#"{"values":{"salinty":1,"ph":7,"salinity":2e9,"turbidity":null}}"#,
        );
        assert_eq!(admission.admitted.unwrap().values.len(), 2);
        let details: Vec<_> = admission.refused.iter().map(|r| r.detail.as_str()).collect();
        assert_eq!(details[0], "values.salinty: unknown parameter; did you mean salinity?");
        assert_eq!(admission.refused[1].reason, Reason::NotANumber);
    }

    #[test]
    fn a_unit_that_is_not_ours_is_refused_not_converted_in_silence() {
        assert_eq!(
            reasons(r#"{"values":{"salinity":{"value":1,"unit":"mS/cm"}}}"#),
            [Reason::WrongUnit]
        );
        assert_eq!(reasons(r#"{"values":{"salinity":{"value":1,"unit":"g/L"}}}"#), []);
    }

    #[test]
    fn what_is_said_of_a_unit_is_short_however_long_the_unit() {
        let unit = "mặn".repeat(10_000);
        let payload = format!(r#"{{"values":{{"salinity":{{"value":1,"unit":"{unit}"}}}}}}"#);
        let refused = check(&example_station(), &payload).refused;
        assert_eq!(refused[0].reason, Reason::WrongUnit);
        assert!(refused[0].detail.len() < 1_000, "{}", refused[0].detail.len());
    }

    #[test]
    fn the_profile_turns_the_stations_words_and_units_into_ours() {
        let mut station = example_station();
        station.profile.fields.push(Mapping {
            name: "Sal_mgL".to_owned(),
            parameter: ParameterCode::new("salinity").unwrap(),
            scale: 0.001,
            offset: 0.01,
            ec: None,
        });
        let admitted = check(&station, r#"{"values":{"Sal_mgL":8850}}"#).admitted.unwrap();
        assert_eq!(admitted.values[0].parameter.as_str(), "salinity");
        assert!((admitted.values[0].value.unwrap() - 8.86).abs() < 1e-12);
        let twice = check(&station, r#"{"values":{"Sal_mgL":8850,"salinity":8}}"#);
        assert_eq!(twice.refused[0].reason, Reason::RepeatedParameter);
    }

    fn conductive(parameter: &str, ec: Option<EcReference>) -> Station {
        let field = |name: &str, parameter: &str, ec| Mapping {
            name: name.to_owned(),
            parameter: ParameterCode::new(parameter).unwrap(),
            scale: 1.0,
            offset: 0.0,
            ec,
        };
        let mut station = example_station();
        station.profile.fields =
            vec![field("EC", parameter, ec), field("T", WATER_TEMPERATURE, None)];
        station
    }

    #[test]
    fn a_conductivity_is_referred_as_our_parameter_is() {
        use EcReference::{At20, At25, Raw};
        for (parameter, ec, payload, wanted) in [
            ("conductivity", None, r#"{"EC":10}"#, Some(10.0)),
            ("conductivity", Some(Raw), r#"{"EC":10}"#, Some(10.0)),
            ("conductivity", Some(At25), r#"{"EC":10,"T":30}"#, Some(10.955)),
            ("conductivity", Some(At25), r#"{"T":30,"EC":10}"#, Some(10.955)),
            ("conductivity", Some(At25), r#"{"EC":10}"#, None),
            ("conductivity", Some(At25), r#"{"EC":10,"T":null}"#, None),
            ("conductivity", Some(At25), r#"{"EC":10,"T":85}"#, None),
            ("conductivity", Some(At25), r#"{"EC":10,"T":{"value":30,"status":"fault"}}"#, None),
            ("conductivity", Some(At25), r#"{"EC":10,"water_temperature":30}"#, Some(10.955)),
            (
                "conductivity",
                Some(At25),
                r#"{"EC":10,"water_temperature":{"value":86,"unit":"°F"}}"#,
                Some(10.955),
            ),
            ("conductivity_25", Some(At25), r#"{"EC":10}"#, Some(10.0)),
            ("conductivity_25", Some(At20), r#"{"EC":9.045}"#, Some(10.0)),
            ("conductivity_25", Some(Raw), r#"{"EC":11.025,"T":30}"#, Some(10.0)),
            ("conductivity_25", Some(Raw), r#"{"EC":11.025}"#, None),
        ] {
            let payload = format!(r#"{{"values":{payload}}}"#);
            let admission = check(&conductive(parameter, ec), &payload);
            let values = admission.admitted.map(|it| it.values).unwrap_or_default();
            let got = values.iter().find(|it| it.parameter.as_str() == parameter);
            let got = got.and_then(|it| it.value);
            let near = match (got, wanted) {
                (Some(got), Some(wanted)) => (got - wanted).abs() < 1e-9,
                (got, wanted) => got == wanted,
            };
            assert!(near, "{parameter} {ec:?} {payload}: {got:?}");
            if wanted.is_none() {
                let refusal = &admission.refused[0];
                assert_eq!(refusal.reason, Reason::WrongUnit);
                assert!(refusal.detail.contains("the water's temperature"), "{refusal}");
            }
        }
    }

    #[test]
    fn a_slip_of_the_unit_is_told_with_its_likely_cause() {
        let mapped = conductive("conductivity", Some(EcReference::At25));
        for (station, payload, part) in [
            (&example_station(), r#"{"conductivity":15200}"#, "likely µS/cm"),
            (&example_station(), r#"{"conductivity":1520}"#, "likely µS/cm or mS/m"),
            (&mapped, r#"{"EC":15200,"T":28}"#, "set `scale` of the field"),
        ] {
            let admission = check(station, &format!(r#"{{"values":{payload}}}"#));
            assert_eq!(admission.refused[0].reason, Reason::WrongUnit);
            assert!(admission.refused[0].detail.contains(part), "{}", admission.refused[0]);
        }
    }

    #[test]
    fn what_a_sensor_in_error_says_is_no_slip_of_the_unit() {
        let payload = r#"{"values":{"conductivity_25":{"value":376.7,"status":"fault"}}}"#;
        let values = check(&example_station(), payload).admitted.unwrap().values;
        assert_eq!((values[0].value, values[0].flag), (Some(376.7), Flag::Bad));
    }

    #[test]
    fn a_value_in_calibration_or_error_is_kept_and_not_trusted() {
        let payload = r#"{"values":{"ph":{"value":7,"status":"calibrating"},"turbidity":{"value":null,"status":"fault"}}}"#;
        let values = check(&example_station(), payload).admitted.unwrap().values;
        assert_eq!((values[0].value, values[0].flag), (Some(7.0), Flag::Bad));
        assert_eq!((values[1].value, values[1].flag), (None, Flag::Missing));
    }
}
