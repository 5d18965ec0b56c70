//! Folders that are watched: `[[ingest.drop]]`, a list, so its keys are read entry by entry. What an entry does not say
//! it has from [`USUAL`].

use std::path::PathBuf;
use std::time::Duration;

use domain::StationCode;
use ingest::Format;
use ingest::drop::Config;
use toml::{Table, Value};

use super::config::{duration, size};
use super::layers::check_keys;
use super::{Layers, SettingsError};

const KEY: &str = "ingest.drop";

/// Every key of an entry, with what holds where it is not said.
const USUAL: &str = r#"
name = ""
dir = ""
format = ""
station = ""
offset = ""
grows = false
settle = "5s"
every = "2s"
file_bytes_max = "64MiB"
done_kept = "90d"
"#;

/// Reads every entry of the layer that set the list last.
pub(super) fn read(layers: &Layers) -> Result<Vec<Config>, SettingsError> {
    let (origin, list) = layers.get(KEY);
    let usual: Table = USUAL.parse().expect("a fixed text that the tests read");
    let mut read: Vec<Config> = Vec::new();
    for (at, entry) in list.as_array().into_iter().flatten().enumerate() {
        let key = format!("{KEY}[{at}]");
        let bad = |key: &str, found: &Value, wanted: &str| SettingsError::BadValue {
            origin: origin.to_owned(),
            key: key.to_owned(),
            found: format!("`{found}`"),
            wanted: wanted.to_owned(),
        };
        let Some(typed) = entry.as_table() else {
            return Err(bad(&key, entry, "write [[ingest.drop]] and its keys below it"));
        };
        check_keys(origin, &key, typed, &usual)?;
        let config = config(typed, &usual).map_err(|(name, wanted)| {
            let found = typed.get(name).unwrap_or(&usual[name]);
            bad(&format!("{key}.{name}"), found, &wanted)
        })?;
        if read.iter().any(|other| other.name == config.name || other.dir == config.dir) {
            let found = &typed["name"];
            return Err(bad(&format!("{key}.name"), found, "another has this name or folder"));
        }
        read.push(config);
    }
    Ok(read)
}

fn config(typed: &Table, usual: &Table) -> Result<Config, (&'static str, String)> {
    let text = |key: &'static str| {
        let value = typed.get(key).unwrap_or(&usual[key]);
        value.as_str().ok_or_else(|| (key, "write a text".to_owned()))
    };
    let filled = |key| text(key).map(|text| Some(text).filter(|text| !text.is_empty()));
    let time = |key| duration(text(key)?).map_err(|wanted| (key, wanted.to_owned()));
    let name = text("name")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || 32 < name.len() || !name.chars().all(fits) {
        return Err(("name", "use 1 to 32 of a-z, 0-9 and -".to_owned()));
    }
    let format = filled("format")?.map(|text| {
        let names = Format::ALL.map(Format::as_str).join(", ");
        let format = Format::parse(text).filter(|it| *it != Format::Sparkplug);
        format.ok_or_else(|| ("format", format!("there are {names}")))
    });
    let grows = typed.get("grows").and_then(Value::as_bool).unwrap_or_default();
    let format = format.transpose()?;
    if grows && format.is_some_and(|format| !format.has_lines()) {
        return Err(("format", "what grows has lines: circular-10, table, json-lines".to_owned()));
    }
    let station = filled("station")?
        .map(|text| StationCode::new(text).map_err(|error| ("station", error.to_string())));
    Ok(Config {
        name: name.to_owned(),
        dir: PathBuf::from(filled("dir")?.ok_or_else(|| ("dir", "name a folder".to_owned()))?),
        format,
        station: station.transpose()?,
        offset_s: filled("offset")?.map(offset).transpose()?,
        settle: time("settle")?,
        every: time("every")?.max(Duration::from_millis(100)),
        file_bytes_max: size(text("file_bytes_max")?, 1 << 10, 1 << 30)
            .map_err(|wanted| ("file_bytes_max", wanted))?,
        grows,
        done_kept: filled("done_kept")?.map(|_| time("done_kept")).transpose()?,
    })
}

/// `+07:00` and `Z`, as seconds.
fn offset(text: &str) -> Result<i32, (&'static str, String)> {
    let wanted = || ("offset", "write the loggers' offset from UTC, as +07:00 or Z".to_owned());
    domain::parse_utc_offset(text).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Vec<Config>, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, text).unwrap();
        read(&Layers::read(Some(&file), [])?)
    }

    const GOOD: &str = "[[ingest.drop]]\nname = \"tg\"\ndir = \"/srv/a\"\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!((one.format, one.offset_s, one.station.is_none()), (None, None, true));
        assert_eq!(one.done_kept, Some(Duration::from_secs(90 * 86_400)));
        let ever = with(&format!("{GOOD}done_kept = \"\"\noffset = \"+07:00\"\n")).unwrap();
        assert_eq!((ever[0].done_kept, ever[0].offset_s), (None, Some(25_200)));
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example: String = super::super::DEFAULTS
            .lines()
            .skip_while(|line| !line.starts_with("# [[ingest.drop]]"))
            .take_while(|line| line.starts_with('#'))
            .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
            .collect();
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!(one.name, "loggers");
        for key in USUAL.lines().filter_map(|line| line.split_once(' ')).map(|(key, _)| key) {
            assert!(super::super::DEFAULTS.contains(&format!("# {key} =")), "{key}");
        }
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (line, part) in [
            ("nmae = \"x\"", "did you mean `name`?"),
            ("dir = \"\"", "name a folder"),
            ("format = \"xml\"", "circular-10"),
            ("format = \"sparkplug\"", "circular-10"),
            ("grows = true\nformat = \"json\"", "what grows has lines"),
            ("station = \"Xuân Hòa\"", "a-z"),
            ("offset = \"7\"", "+07:00"),
            ("offset = \"+7:00\"", "+07:00"),
            ("settle = 5", "a string is wanted"),
            ("file_bytes_max = \"2GiB\"", "1.0 GiB"),
        ] {
            let key = line.split(' ').next().unwrap();
            let kept: Vec<_> = GOOD.lines().filter(|it| !it.starts_with(key)).collect();
            let text = with(&format!("{}\n{line}\n", kept.join("\n"))).unwrap_err().to_string();
            assert!(text.contains("ingest.drop[0]") && text.contains(part), "{line}: {text}");
        }
        assert!(with(&format!("{GOOD}{GOOD}")).is_err());
    }
}
