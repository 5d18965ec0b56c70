//! Buses of SDI-12 sensors: `[[ingest.sdi12]]`, a list, so its keys are read entry by entry. What an entry does not say it
//! has from [`USUAL`], what a sensor of it does not say from [`USUAL_SENSOR`].

use std::time::Duration;

use domain::StationCode;
use ingest::line::Place;
use ingest::sdi12::{Address, Config, Profiles, SensorConfig};

use super::entry::{Entry, entries, is_empty, shelf};
use super::{Layers, SettingsError};

const KEY: &str = "ingest.sdi12";
const FOLDER: &str = "ingest.sdi12_profiles";

/// Every key of an entry, with what holds where it is not said.
const USUAL: &str = r#"
name = ""
url = ""
baud = 9600
data_bits = 8
parity = "none"
stop_bits = 1
answer_within = "1s"
pause = ""
quiet = "50ms"
break = ""
tries = 3
measure_max = "2m"
late_max = "3s"
back_off_max = "15m"
retry_max = "30s"
sensors = []
"#;

/// Every key of a sensor.
const USUAL_SENSOR: &str = r#"
station = ""
address = "0"
profile = ""
every = "5m"
"#;

/// The shortest period of a sensor. A bus carries 1,200 bits a second.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// How often a command may be said in all.
const TRIES_MAX: i64 = 10;

/// The standard wants a break of at least 12 ms; one of more than this is a mistake.
const BREAK_MAX: Duration = Duration::from_millis(100);

/// Reads every entry of the layer that set the list last. `taken` are the places of other lines.
pub(super) fn read(layers: &Layers, taken: &[Place]) -> Result<Vec<Config>, SettingsError> {
    if is_empty(layers, KEY) {
        return Ok(Vec::new());
    }
    let shelf = shelf(layers, FOLDER, Profiles::shipped())?;
    entries(layers, KEY, USUAL, |entry, before: &[Config]| {
        let config = bus(entry, &shelf)?;
        if before.iter().any(|other| other.name == config.name) {
            return Err(entry.bad("name", "another bus has this name"));
        }
        let mut places = before.iter().map(|other| &other.place).chain(taken);
        if places.any(|other| *other == config.place) {
            return Err(entry.bad("url", "another line has this port: put its sensors together"));
        }
        Ok(config)
    })
}

fn bus(entry: &Entry<'_>, shelf: &Profiles) -> Result<Config, SettingsError> {
    let tries = entry.value("tries").as_integer().filter(|tries| (1..=TRIES_MAX).contains(tries));
    let tries = tries.and_then(|tries| u32::try_from(tries).ok());
    let config = Config {
        name: entry.name()?,
        place: entry.place()?,
        serial: entry.serial()?,
        answer_within: entry.duration("answer_within")?,
        pause: entry.perhaps("pause")?.unwrap_or(Duration::ZERO),
        quiet: entry.duration("quiet")?,
        wake: entry.perhaps("break")?,
        tries: tries.ok_or_else(|| entry.bad("tries", "write 1 to 10"))?,
        measure_max: entry.duration("measure_max")?,
        late_max: entry.duration("late_max")?,
        back_off_max: entry.duration("back_off_max")?,
        retry_max: entry.duration("retry_max")?,
        sensors: sensors(entry, shelf)?,
    };
    if config.late_max < config.answer_within {
        return Err(entry.bad("late_max", "no answer is late before `answer_within`"));
    }
    if config.wake.is_some_and(|held| BREAK_MAX < held) {
        return Err(entry.bad("break", "write 12ms to 100ms, or nothing where the adapter does it"));
    }
    if config.wake.is_some() && matches!(config.place, Place::Socket { .. }) {
        return Err(entry.bad("break", "a gateway has to make the break itself"));
    }
    Ok(config)
}

fn sensors(entry: &Entry<'_>, shelf: &Profiles) -> Result<Vec<SensorConfig>, SettingsError> {
    let wanted = "{ station = \"xuan-hoa\", address = \"0\", profile = \"…\" }";
    entry.each("sensors", USUAL_SENSOR, wanted, |own, before: &[SensorConfig]| {
        let sensor = sensor(own, shelf)?;
        if before.iter().any(|other| other.address == sensor.address) {
            return Err(own.bad("address", "another sensor of this bus has this address"));
        }
        Ok(sensor)
    })
}

fn sensor(entry: &Entry<'_>, shelf: &Profiles) -> Result<SensorConfig, SettingsError> {
    let name = entry.text("profile");
    let every = entry.duration("every")?;
    if every < EVERY_MIN {
        return Err(entry.bad("every", "write 100ms or more"));
    }
    Ok(SensorConfig {
        station: StationCode::new(entry.text("station"))
            .map_err(|error| entry.bad("station", &error.to_string()))?,
        address: Address::parse(entry.text("address"))
            .ok_or_else(|| entry.bad("address", "write one of 0-9, a-z and A-Z"))?,
        profile: shelf.get(name).cloned().ok_or_else(|| entry.bad("profile", &shelf.hint(name)))?,
        every,
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::stand;
    use super::*;

    fn with(text: &str) -> Result<Vec<Config>, SettingsError> {
        read(&stand::layers(text)?, &[Place::parse("serial:///dev/modbus").unwrap()])
    }

    const GOOD: &str = "[[ingest.sdi12]]\nname = \"well\"\nurl = \"serial:///dev/a\"\n\
                        sensors = [{ station = \"a\", profile = \"saltline-sim\" }]\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!((one.wake, one.tries), (None, 3));
        assert_eq!(one.sensors[0].address.to_string(), "0");
        let broken = GOOD.replace("name =", "break = \"12ms\"\nname =");
        assert_eq!(with(&broken).unwrap()[0].wake, Some(Duration::from_millis(12)));
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example = stand::example(KEY);
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!((one.name.as_str(), one.sensors.len()), ("well-1", 2));
        stand::explains(&example, USUAL);
        stand::explains(&example, USUAL_SENSOR);
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (from, to, part) in [
            ("name = \"well\"", "nmae = \"well\"", "did you mean `name`?"),
            ("serial:///dev/a", "/dev/a", "serial:///dev"),
            ("serial:///dev/a", "serial:///dev/modbus", "another line has this port"),
            ("sensors = [{ station = \"a\", profile = \"saltline-sim\" }]", "", "at least one"),
            ("station = \"a\"", "station = \"A\"", "station code"),
            ("saltline-sim", "saltline-smi", "did you mean `saltline-sim`?"),
            ("profile =", "address = \"10\", profile =", "0-9, a-z"),
            ("profile =", "every = \"1ms\", profile =", "100ms"),
            ("name =", "tries = 0\nname =", "1 to 10"),
            ("name =", "break = \"1s\"\nname =", "12ms to 100ms"),
            ("name =", "late_max = \"1ms\"\nname =", "answer_within"),
            ("}]", "}, { station = \"b\", profile = \"saltline-sim\" }]", "has this address"),
        ] {
            let text = with(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(text.contains("ingest.sdi12[0]") && text.contains(part), "{to}: {text}");
        }
        let socket = GOOD.replace("serial:///dev/a", "tcp://gateway:4001");
        let socket = socket.replace("name =", "break = \"12ms\"\nname =");
        assert!(with(&socket).unwrap_err().to_string().contains("gateway has to"));
        let folder = format!("[ingest]\nsdi12_profiles = \"/nowhere\"\n{GOOD}");
        assert!(with(&folder).unwrap_err().to_string().contains("/nowhere"));
    }
}
