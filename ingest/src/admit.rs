//! What we believe of a report: the clock is settled, the profile applied, each field becomes our parameter in our
//! unit, or a refusal with its reason. Pure: `now` and the table are arguments.

use std::time::Duration;

use domain::{
    Admitted, Flag, Measured, Parameter, ParameterCode, Reason, Refusal, Report, Said, Stated,
    Station, Status, Timestamp,
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
        match measured(said, station, table, limits) {
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

fn settle(report: &Report<'_>, limits: &Limits, now: Timestamp) -> Result<Timestamp, Refusal> {
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
    station: &Station,
    table: &ParameterTable,
    limits: &Limits,
) -> Result<Measured, Refusal> {
    let own = station.profile.fields.iter().find(|field| field.name == said.name);
    let (parameter, unit) = match own {
        Some(field) => (&field.parameter, None),
        None => match table.get(&said.name) {
            Some((code, unit)) => (code, Some(unit)),
            None => return Err(unknown(said, table)),
        },
    };
    // A mapped field is in the station's own unit, which the profile knows; a standard one must be in ours.
    if let (Some(stated), Some(ours)) = (said.unit.as_deref(), unit)
        && stated != ours
    {
        let stated = shorten(stated);
        let detail = format!("values.{}.unit: `{stated}`; {parameter} is in `{ours}`", said.name);
        return Err(Refusal { reason: Reason::WrongUnit, detail });
    }
    let value = match (said.value, own) {
        (Some(value), Some(field)) => Some(value * field.scale + field.offset),
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
        });
        let admitted = check(&station, r#"{"values":{"Sal_mgL":8850}}"#).admitted.unwrap();
        assert_eq!(admitted.values[0].parameter.as_str(), "salinity");
        assert!((admitted.values[0].value.unwrap() - 8.86).abs() < 1e-12);
        let twice = check(&station, r#"{"values":{"Sal_mgL":8850,"salinity":8}}"#);
        assert_eq!(twice.refused[0].reason, Reason::RepeatedParameter);
    }

    #[test]
    fn a_value_in_calibration_or_error_is_kept_and_not_trusted() {
        let payload = r#"{"values":{"ph":{"value":7,"status":"calibrating"},"turbidity":{"value":null,"status":"fault"}}}"#;
        let values = check(&example_station(), payload).admitted.unwrap().values;
        assert_eq!((values[0].value, values[0].flag), (Some(7.0), Flag::Bad));
        assert_eq!((values[1].value, values[1].flag), (None, Flag::Missing));
    }
}
