//! A profile from its text.

use toml::{Table, Value as Toml};

use super::{Command, Measure, Profile, StatusValue, Value};
use crate::line::{Bad, Keys, OfText, ProfileError, is_name, read};

const PROFILE: &[&str] = &["device", "source", "vendor", "model", "crc", "measure"];
const MEASURE: &[&str] = &["command", "values", "status", "value"];
const STATUS: &[&str] = &["at", "measuring", "calibrating"];
const VALUE: &[&str] = &["parameter", "name", "at", "scale", "offset", "unit", "absent"];

/// Values of a measurement: the protocol has one digit for it, and two for a concurrent one.
const VALUES_MAX: u16 = 9;
const CONCURRENT_MAX: u16 = 99;

impl OfText for Profile {
    fn of_text(name: &str, text: &str) -> Result<Self, ProfileError> {
        read(name, text, |table| profile(name, table))
    }
}

impl Profile {
    /// Reads the text of a profile with this name.
    ///
    /// # Errors
    /// [`ProfileError`] with the place, what is wrong, and what would be accepted.
    pub fn read(name: &str, text: &str) -> Result<Self, ProfileError> {
        Self::of_text(name, text)
    }
}

fn profile(name: &str, table: &Table) -> Result<Profile, Bad> {
    let top = Keys::new("profile", table, PROFILE)?;
    let profile = Profile {
        name: name.to_owned(),
        device: top.text("device")?,
        source: top.text("source")?,
        vendor: top.text_or("vendor", Some(""))?,
        model: top.text_or("model", Some(""))?,
        crc: top.yes_or_no("crc")?,
        measures: top.each("measure", MEASURE, measure)?,
    };
    if profile.measures.is_empty() {
        return Err(top.bad("measure", "it has no [[measure]]: nothing would be asked for"));
    }
    let names: Vec<&str> = profile.names().collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(top.bad("measure", &format!("`{name}` comes twice; give one a `name`")));
        }
    }
    Ok(profile)
}

fn measure(at: &Keys<'_>) -> Result<Measure, Bad> {
    let wanted = "there are M, M1 to M9, C, C1 to C9 and R0 to R9";
    let command = Command::parse(&at.text("command")?).ok_or_else(|| at.bad("command", wanted))?;
    let most = match command {
        Command::Measure(_) => VALUES_MAX,
        Command::Concurrent(_) | Command::Read(_) => CONCURRENT_MAX,
    };
    let measure = Measure {
        command,
        count: at.number("values", most)?.into(),
        status: at.below("status", STATUS)?.map(|keys| status(&keys)).transpose()?,
        values: at.each("value", VALUE, value)?,
    };
    if measure.values.is_empty() {
        return Err(at.bad("value", "it takes none of its values"));
    }
    let status = measure.status.iter().map(|status| status.at);
    let mut named = measure.values.iter().map(|value| value.at).chain(status);
    if named.any(|at| !(1..=measure.count).contains(&at)) {
        return Err(at.bad("value", &format!("its values are 1 to {}", measure.count)));
    }
    Ok(measure)
}

fn status(at: &Keys<'_>) -> Result<StatusValue, Bad> {
    let status = StatusValue {
        at: at.number("at", CONCURRENT_MAX)?.into(),
        measuring: numbers(at, "measuring")?,
        calibrating: numbers(at, "calibrating")?,
    };
    match status.measuring.is_empty() {
        true => Err(at.bad("measuring", "list what it is when the sensor measures")),
        false => Ok(status),
    }
}

fn value(at: &Keys<'_>) -> Result<Value, Bad> {
    let named = at.has("name");
    let name = at.text(if named { "name" } else { "parameter" })?;
    if !is_name(&name) || named == at.has("parameter") {
        let wanted = "write a `parameter`, or the `name` that the station's own profile maps";
        return Err(at.bad("parameter", wanted));
    }
    Ok(Value {
        name,
        at: at.number("at", CONCURRENT_MAX)?.into(),
        scale: at.real_or("scale", 1.0)?,
        offset: at.real_or("offset", 0.0)?,
        unit: at.text_or("unit", None)?,
        absent: numbers(at, "absent")?,
    })
}

fn numbers(at: &Keys<'_>, key: &str) -> Result<Vec<f64>, Bad> {
    let one = |found: &Toml| match found {
        Toml::Float(number) if number.is_finite() => Ok(*number),
        #[expect(clippy::cast_precision_loss, reason = "a sensor's numbers have seven digits")]
        Toml::Integer(number) => Ok(*number as f64),
        _ => Err(at.bad(key, "write a list of numbers, as the sensor gives them")),
    };
    at.list(key)?.iter().map(one).collect()
}
