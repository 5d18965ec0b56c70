//! Loggers that write lines of text: `[[ingest.serial]]`, a list, so its keys are read entry by entry. What an entry does
//! not say it has from [`USUAL`], what a logger of it does not say from [`USUAL_LOGGER`].

use std::sync::Arc;
use std::time::Duration;

use domain::StationCode;
use ingest::line::Place;
use ingest::serial::{Config, LoggerConfig, Profile, Profiles};

use super::entry::{Entry, entries, is_empty, shelf};
use super::{Layers, SettingsError};

const KEY: &str = "ingest.serial";
const FOLDER: &str = "ingest.serial_profiles";

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
late_max = "3s"
back_off_max = "5m"
retry_max = "30s"
silent_after = "2m"
loggers = []
"#;

/// Every key of a logger.
const USUAL_LOGGER: &str = r#"
station = ""
profile = ""
address = ""
every = ""
"#;

/// Loggers that are asked have a turn this often where nobody says it.
const EVERY_USUAL: Duration = Duration::from_secs(60);

/// The shortest period.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Reads every entry of the layer that set the list last. `taken` are the places of other lines.
pub(super) fn read(layers: &Layers, taken: &[Place]) -> Result<Vec<Config>, SettingsError> {
    if is_empty(layers, KEY) {
        return Ok(Vec::new());
    }
    let shelf = shelf(layers, FOLDER, Profiles::shipped())?;
    entries(layers, KEY, USUAL, |entry, before: &[Config]| {
        let config = line(entry, &shelf)?;
        if before.iter().any(|other| other.name == config.name) {
            return Err(entry.bad("name", "another line has this name"));
        }
        let mut places = before.iter().map(|other| &other.place).chain(taken);
        if places.any(|other| *other == config.place) {
            return Err(entry.bad("url", "another line has this port"));
        }
        Ok(config)
    })
}

fn line(entry: &Entry<'_>, shelf: &Profiles) -> Result<Config, SettingsError> {
    let config = Config {
        name: entry.name()?,
        place: entry.place()?,
        serial: entry.serial()?,
        answer_within: entry.duration("answer_within")?,
        pause: entry.perhaps("pause")?.unwrap_or(Duration::ZERO),
        quiet: entry.duration("quiet")?,
        late_max: entry.duration("late_max")?,
        back_off_max: entry.duration("back_off_max")?,
        retry_max: entry.duration("retry_max")?,
        silent_after: entry.duration("silent_after")?,
        loggers: loggers(entry, shelf)?,
    };
    if config.late_max < config.answer_within {
        return Err(entry.bad("late_max", "no answer is late before `answer_within`"));
    }
    Ok(config)
}

fn loggers(entry: &Entry<'_>, shelf: &Profiles) -> Result<Vec<LoggerConfig>, SettingsError> {
    let wanted = "{ station = \"xuan-hoa\", profile = \"…\" }";
    let read = |own: &Entry<'_>, before: &[LoggerConfig]| {
        let logger = logger(own, shelf)?;
        if before.iter().any(|other| other.address == logger.address) {
            return Err(own.bad("address", "another logger of this line has this address"));
        }
        Ok(logger)
    };
    let loggers = entry.each("loggers", USUAL_LOGGER, wanted, read)?;
    if 1 < loggers.len() && loggers.iter().any(|logger| logger.profile.streams()) {
        return Err(entry.bad("loggers", "one that streams has a line of its own"));
    }
    Ok(loggers)
}

fn logger(entry: &Entry<'_>, shelf: &Profiles) -> Result<LoggerConfig, SettingsError> {
    let profile: Arc<Profile> = {
        let name = entry.text("profile");
        shelf.get(name).cloned().ok_or_else(|| entry.bad("profile", &shelf.hint(name)))?
    };
    let every = entry.perhaps("every")?.or((!profile.streams()).then_some(EVERY_USUAL));
    if every.is_some_and(|every| every < EVERY_MIN) {
        return Err(entry.bad("every", "write 100ms or more"));
    }
    let address = entry.text("address");
    if 8 < address.len() || !address.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(entry.bad("address", "use up to 8 of a-z, A-Z and 0-9"));
    }
    let wants = |text: &str| text.contains("{address}");
    let wants = profile.poll.as_ref().is_some_and(|poll| wants(&poll.ask) || wants(&poll.took))
        || profile.sentences.iter().any(|sentence| wants(&sentence.begins));
    if wants == address.is_empty() {
        let wanted =
            if wants { "this profile asks for one" } else { "this profile has no use for one" };
        return Err(entry.bad("address", wanted));
    }
    Ok(LoggerConfig {
        station: StationCode::new(entry.text("station"))
            .map_err(|error| entry.bad("station", &error.to_string()))?,
        profile,
        address: address.to_owned(),
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

    const GOOD: &str = "[[ingest.serial]]\nname = \"roof\"\nurl = \"serial:///dev/a\"\n\
                        loggers = [{ station = \"a\", profile = \"nmea-weather\" }]\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!((one.serial, one.pause), (ingest::line::Serial::default(), Duration::ZERO));
        assert_eq!(one.loggers[0].every, None, "all of what streams");
        let asked = GOOD.replace("nmea-weather\"", "saltline-sim\", address = \"1\"");
        assert_eq!(with(&asked).unwrap()[0].loggers[0].every, Some(EVERY_USUAL));
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example = stand::example(KEY);
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!((one.name.as_str(), one.loggers.len()), ("pier", 2));
        stand::explains(&example, USUAL);
        stand::explains(&example, USUAL_LOGGER);
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (from, to, part) in [
            ("name = \"roof\"", "nmae = \"roof\"", "did you mean `name`?"),
            ("serial:///dev/a", "/dev/a", "serial:///dev"),
            ("serial:///dev/a", "serial:///dev/modbus", "another line has this port"),
            ("loggers = [{ station = \"a\", profile = \"nmea-weather\" }]", "", "at least one"),
            ("station = \"a\"", "station = \"A\"", "station code"),
            ("nmea-weather", "nmea-wether", "did you mean `nmea-weather`?"),
            ("profile =", "address = \"1\", profile =", "no use for one"),
            ("nmea-weather", "saltline-sim", "asks for one"),
            ("profile =", "address = \"#\", profile =", "up to 8"),
            ("profile =", "every = \"1ms\", profile =", "100ms"),
            ("name =", "data_bits = 9\nname =", "7 or 8"),
            ("name =", "late_max = \"1ms\"\nname =", "answer_within"),
            (
                "}]",
                "}, { station = \"b\", profile = \"saltline-sim\", address = \"2\" }]",
                "a line of its own",
            ),
        ] {
            let text = with(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(text.contains("ingest.serial[0]") && text.contains(part), "{to}: {text}");
        }
        let twice = format!("{GOOD}{}", GOOD.replace("\"roof\"", "\"roof-2\""));
        assert!(with(&twice).unwrap_err().to_string().contains("another line has this port"));
        let folder = format!("[ingest]\nserial_profiles = \"/nowhere\"\n{GOOD}");
        assert!(with(&folder).unwrap_err().to_string().contains("/nowhere"));
    }
}
