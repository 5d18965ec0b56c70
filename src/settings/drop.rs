//! Folders that are watched: `[[ingest.drop]]`, a list, so its keys are read entry by entry. What an entry does not say
//! it has from [`USUAL`].

use std::time::Duration;

use domain::StationCode;
use ingest::Format;
use ingest::drop::Config;

use super::config::size;
use super::entry::{Entry, entries};
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
    entries(layers, KEY, USUAL, |entry, before: &[Config]| {
        let config = config(entry)?;
        if before.iter().any(|other| other.name == config.name || other.dir == config.dir) {
            return Err(entry.bad("name", "another has this name or folder"));
        }
        Ok(config)
    })
}

fn config(entry: &Entry<'_>) -> Result<Config, SettingsError> {
    let format = entry.optional("format").map(|text| {
        let format = Format::parse(text).filter(|it| *it != Format::Sparkplug);
        let names = || Format::ALL.map(Format::as_str).join(", ");
        format.ok_or_else(|| entry.bad("format", &format!("there are {}", names())))
    });
    let format = format.transpose()?;
    let grows = entry.value("grows").as_bool().unwrap_or_default();
    if grows && format.is_some_and(|format| !format.has_lines()) {
        return Err(entry.bad("format", "what grows has lines: circular-10, table, json-lines"));
    }
    let station = entry.optional("station").map(|text| {
        StationCode::new(text).map_err(|error| entry.bad("station", &error.to_string()))
    });
    let offset = entry.optional("offset").map(|text| {
        let wanted = "write the loggers' offset from UTC, as +07:00 or Z";
        domain::parse_utc_offset(text).ok_or_else(|| entry.bad("offset", wanted))
    });
    Ok(Config {
        name: entry.name()?,
        dir: entry.path("dir").ok_or_else(|| entry.bad("dir", "name a folder"))?,
        format,
        station: station.transpose()?,
        offset_s: offset.transpose()?,
        settle: entry.duration("settle")?,
        every: entry.duration("every")?.max(Duration::from_millis(100)),
        file_bytes_max: size(entry.text("file_bytes_max"), 1 << 10, 1 << 30)
            .map_err(|wanted| entry.bad("file_bytes_max", &wanted))?,
        grows,
        done_kept: entry.perhaps("done_kept")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::stand;
    use super::*;

    fn with(text: &str) -> Result<Vec<Config>, SettingsError> {
        read(&stand::layers(text)?)
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
        let example = stand::example(KEY);
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!(one.name, "loggers");
        stand::explains(super::super::DEFAULTS, USUAL);
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
