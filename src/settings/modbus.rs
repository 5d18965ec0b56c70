//! Lines that we ask on: `[[ingest.modbus]]`, a list, so its keys are read entry by entry. What an entry does not say it
//! has from [`USUAL`], what a slave of it does not say from [`USUAL_SLAVE`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::StationCode;
use ingest::modbus::{At, Config, Profile, Profiles, SlaveConfig};

use super::entry::{Entry, entries, is_empty, shelf};
use super::{Layers, SettingsError};

const KEY: &str = "ingest.modbus";
const FOLDER: &str = "ingest.modbus_profiles";

/// Every key of an entry, with what holds where it is not said.
const USUAL: &str = r#"
name = ""
url = ""
baud = 9600
parity = "none"
stop_bits = 1
answer_within = "1s"
pause = ""
quiet = "50ms"
late_max = "3s"
budget = "5s"
back_off_max = "5m"
retry_max = "30s"
slaves = []
"#;

/// Every key of a slave.
const USUAL_SLAVE: &str = r#"
station = ""
unit = 1
profile = ""
every = "1m"
writes = false
"#;

/// The shortest period of a slave. Water does not change within a second, and a serial line is full at once.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Reads every entry of the layer that set the list last.
pub(super) fn read(layers: &Layers) -> Result<Vec<Config>, SettingsError> {
    if is_empty(layers, KEY) {
        return Ok(Vec::new());
    }
    let shelf = shelf(layers, FOLDER, Profiles::shipped())?;
    let mut stations = HashSet::new();
    entries(layers, KEY, USUAL, |entry, before: &[Config]| {
        let config = entry.line(&shelf)?;
        if before.iter().any(|other| other.name == config.name) {
            return Err(entry.bad("name", "another line has this name"));
        }
        if before.iter().any(|other| other.at == config.at && matches!(config.at, At::Serial(_))) {
            return Err(entry.bad("url", "another line has this port: put its slaves together"));
        }
        let mut slaves = config.slaves.iter();
        if let Some(twice) = slaves.find(|slave| !stations.insert(slave.station.clone())) {
            let wanted = format!("`{}` is a slave already: a station has one", twice.station);
            return Err(entry.bad("slaves", &wanted));
        }
        Ok(config)
    })
}

impl Entry<'_> {
    fn line(&self, shelf: &Profiles) -> Result<Config, SettingsError> {
        let at =
            At::parse(self.text("url")).map_err(|error| self.bad("url", &error.to_string()))?;
        let config = Config {
            name: self.name()?,
            serial: self.serial()?,
            answer_within: self.duration("answer_within")?,
            pause: self.perhaps("pause")?.unwrap_or(Duration::ZERO),
            quiet: self.duration("quiet")?,
            late_max: self.duration("late_max")?,
            budget: self.duration("budget")?,
            back_off_max: self.duration("back_off_max")?,
            retry_max: self.duration("retry_max")?,
            slaves: self.slaves(&at, shelf)?,
            at,
        };
        if config.late_max < config.answer_within {
            return Err(self.bad("late_max", "no answer is late before `answer_within`"));
        }
        Ok(config)
    }

    fn slaves(&self, at: &At, shelf: &Profiles) -> Result<Vec<SlaveConfig>, SettingsError> {
        let wanted = "{ station = \"xuan-hoa\", unit = 1, profile = \"…\" }";
        self.each("slaves", USUAL_SLAVE, wanted, |entry, before: &[SlaveConfig]| {
            let slave = entry.slave(at, shelf)?;
            if before.iter().any(|other| other.unit == slave.unit) {
                return Err(entry.bad("unit", "another slave of this line has this address"));
            }
            Ok(slave)
        })
    }

    fn slave(&self, at: &At, shelf: &Profiles) -> Result<SlaveConfig, SettingsError> {
        let (low, high) = if at.is_rtu() { (1, 247) } else { (0, 255) };
        let unit = self.value("unit").as_integer().and_then(|unit| u8::try_from(unit).ok());
        let unit = unit.filter(|unit| (low..=high).contains(unit));
        let every = self.duration("every")?;
        if every < EVERY_MIN {
            return Err(self.bad("every", "write 100ms or more"));
        }
        let profile = self.profile(shelf)?;
        let writes = self.value("writes").as_bool().unwrap_or(false);
        if writes && profile.writes.is_empty() {
            return Err(self.bad("writes", "this profile names nothing that may be written"));
        }
        Ok(SlaveConfig {
            station: StationCode::new(self.text("station"))
                .map_err(|error| self.bad("station", &error.to_string()))?,
            unit: unit.ok_or_else(|| self.bad("unit", &format!("write {low} to {high}")))?,
            profile,
            every,
            writes,
        })
    }

    fn profile(&self, shelf: &Profiles) -> Result<Arc<Profile>, SettingsError> {
        let name = self.text("profile");
        shelf.get(name).cloned().ok_or_else(|| self.bad("profile", &shelf.hint(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::stand;
    use super::*;
    use ingest::modbus::Serial;

    fn with(text: &str) -> Result<Vec<Config>, SettingsError> {
        read(&stand::layers(text)?)
    }

    const GOOD: &str = "[[ingest.modbus]]\nname = \"bus\"\nurl = \"rtu+tcp://gateway:4001\"\n\
                        slaves = [{ station = \"a\", profile = \"saltline-sim\" }]\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!((one.serial, one.pause), (Serial::default(), Duration::ZERO));
        let slave = &one.slaves[0];
        assert_eq!((slave.unit, slave.every, slave.writes), (1, Duration::from_secs(60), false));
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example = stand::example(KEY);
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!((one.name.as_str(), one.slaves.len()), ("bus-1", 2));
        stand::explains(super::super::DEFAULTS, USUAL);
        stand::explains(&example, USUAL_SLAVE);
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (from, to, part) in [
            ("name = \"bus\"", "nmae = \"bus\"", "did you mean `name`?"),
            ("name = \"bus\"", "name = \"Bus\"", "a-z"),
            ("rtu+tcp://gateway:4001", "gateway:4001", "serial:///dev"),
            ("slaves = [{ station = \"a\", profile = \"saltline-sim\" }]", "", "at least one"),
            ("station = \"a\"", "station = \"A\"", "station code"),
            ("station = \"a\"", "statoin = \"a\"", "did you mean `station`?"),
            (
                "profile = \"saltline-sim\"",
                "profile = \"saltline-smi\"",
                "did you mean `saltline-sim`?",
            ),
            ("profile =", "unit = 0, profile =", "1 to 247"),
            ("profile =", "every = \"10ms\", profile =", "100ms or more"),
            ("name =", "parity = \"mark\"\nname =", "none, even or odd"),
            ("name =", "baud = 7\nname =", "300 to"),
            ("name =", "stop_bits = 3\nname =", "1 or 2"),
            ("name =", "late_max = \"1ms\"\nname =", "answer_within"),
            ("}]", "}, { station = \"b\", profile = \"saltline-sim\" }]", "another slave"),
        ] {
            let text = with(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(text.contains("ingest.modbus[0]") && text.contains(part), "{to}: {text}");
        }
        let twice = format!("{GOOD}{}", GOOD.replace("\"bus\"", "\"bus-2\""));
        assert!(with(&twice).unwrap_err().to_string().contains("a station has one"));
        let folder = format!("[ingest]\nmodbus_profiles = \"/nowhere\"\n{GOOD}");
        assert!(with(&folder).unwrap_err().to_string().contains("/nowhere"));
    }

    #[test]
    fn a_folder_of_ones_own_goes_before_what_is_shipped() {
        let dir = tempfile::tempdir().unwrap();
        let own = "device = \"x\"\nsource = \"y\"\nvalue = [{ parameter = \"ph\", function = 4, \
                   register = 7, type = \"u16\", unit = \"\" }]";
        std::fs::write(dir.path().join("saltline-sim.toml"), own).unwrap();
        let text =
            format!("[ingest]\nmodbus_profiles = {:?}\n{GOOD}", dir.path().to_str().unwrap());
        assert_eq!(with(&text).unwrap()[0].slaves[0].profile.device, "x");
        std::fs::write(dir.path().join("bad.toml"), "devcie = 1").unwrap();
        let error = with(&text).unwrap_err().to_string();
        assert!(error.contains("profile `bad`") && error.contains("`device`"), "{error}");
    }
}
