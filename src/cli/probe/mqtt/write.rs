//! What would take what was heard: entries of the configuration, and stations of a pack. What is written can be read, or
//! nothing is.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use domain::StationCode;
use ingest::Format;
use registry::pack;
use serde_json::json;

use crate::cli::Trouble;
use crate::cli::probe::port::keep;
use crate::settings::Config;

use super::Mqtt;
use super::told::{Field, Told, Topic};

/// Writes an `[[ingest.upstream]]` for each format.
pub fn upstream(file: &Path, mqtt: &Mqtt, told: &Told) -> Result<(), Trouble> {
    let text = upstreams(mqtt, told);
    if text.is_empty() {
        return Err(Trouble::No(
            "no level of the topics is known to be the station's: --station CODE, or {station} in --topic"
                .to_owned(),
        ));
    }
    let text = format!(
        "# Written by `saltline probe mqtt`, for conf.d/: a file that sets the list sets all of it.\n{text}"
    );
    readable(&text)?;
    keep("upstream", file, &text)
}

/// The configuration takes it.
fn readable(text: &str) -> Result<(), Trouble> {
    let later = |error: std::io::Error| Trouble::Later(format!("cannot write a file: {error}"));
    let folder = tempfile::tempdir().map_err(later)?;
    let file = folder.path().join("saltline.toml");
    std::fs::write(&file, text).map_err(later)?;
    Config::read(Some(&file), [])?;
    Ok(())
}

fn upstreams(mqtt: &Mqtt, told: &Told) -> String {
    let mut topics: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for shape in told.shapes().into_iter().filter(|shape| shape.is_template) {
        topics.entry(shape.format.as_str()).or_default().push(shape.topic);
    }
    let path = |file: &Option<std::path::PathBuf>| {
        json!(file.as_ref().map(|file| file.display().to_string()).unwrap_or_default())
    };
    let mut text = String::new();
    for (number, (format, topics)) in topics.into_iter().enumerate() {
        let name = match number {
            0 => "probed".to_owned(),
            more => format!("probed-{}", more + 1),
        };
        let version = match mqtt.mqtt_version {
            ingest::upstream::Version::V5 => "5",
            ingest::upstream::Version::V311 => "3.1.1",
        };
        // Writing to a text cannot fail.
        writeln!(
            text,
            "\n[[ingest.upstream]]\nname = \"{name}\"\nurl = {}\ntopics = {}\nformat = \"{format}\"\nversion = \"{version}\"",
            json!(mqtt.url),
            json!(topics),
        )
        .ok();
        for (key, value) in [
            ("user", json!(mqtt.user.as_deref().unwrap_or_default())),
            ("password_file", path(&mqtt.password_file)),
            ("tls_ca_file", path(&mqtt.tls_ca_file)),
            ("tls_cert_file", path(&mqtt.tls_cert_file)),
            ("tls_key_file", path(&mqtt.tls_key_file)),
        ] {
            if value != json!("") {
                writeln!(text, "{key} = {value}").ok();
            }
        }
    }
    text
}

/// Writes a `[[station]]` for each that speaks.
pub fn stations(file: &Path, url: &str, told: &Told) -> Result<(), Trouble> {
    let mut text = format!(
        "# Written by `saltline probe mqtt` at {url}. Look at each field: what it is was guessed from its name.\n"
    );
    let mut codes = HashSet::new();
    for (name, said) in speakers(told) {
        match code(&name).filter(|code| codes.insert(code.clone())) {
            Some(code) => station(&mut text, &name, &code, &said),
            None => eprintln!("`{name}` makes no code of its own: add this station by hand"),
        }
    }
    if codes.is_empty() {
        let why = "nobody is named: --station CODE, or {station} in --topic";
        return Err(Trouble::No(why.to_owned()));
    }
    pack::read(&|file| (file == pack::STATIONS).then(|| text.clone()))?;
    keep("stations", file, &text)
}

/// What one station said.
#[derive(Default)]
struct Speaker<'a> {
    topics: Vec<&'a Topic>,
    fields: Vec<(&'a str, &'a Field)>,
}

/// Who speaks, by the name that the book has to know: the one in the topic, or the one that its format has.
fn speakers(told: &Told) -> BTreeMap<String, Speaker<'_>> {
    let mut speakers: BTreeMap<String, Speaker<'_>> = BTreeMap::new();
    for (name, topic) in &told.topics {
        for ((sender, field), value) in &topic.fields {
            let named = match topic.format {
                Some(Format::Sparkplug | Format::ChirpStack) => sender.as_deref(),
                _ => topic.station(name),
            };
            let Some(named) = named else { continue };
            let speaker = speakers.entry(named.to_owned()).or_default();
            speaker.topics.push(topic);
            if speaker.fields.iter().all(|(had, _)| had != field) {
                speaker.fields.push((field, value));
            }
        }
    }
    speakers
}

/// A code of a name: the name itself where it is one, or what is left of its last part.
fn code(name: &str) -> Option<StationCode> {
    StationCode::new(name).ok().or_else(|| {
        let last = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let dashes = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let text: String = last.chars().map(dashes).take(32).collect();
        StationCode::new(text.trim_matches('-')).ok()
    })
}

fn station(text: &mut String, name: &str, code: &StationCode, said: &Speaker<'_>) {
    // Writing to a text cannot fail.
    writeln!(
        text,
        "\n[[station]]\ncode = \"{code}\"\nname = {}\ninterval = \"{}\"",
        json!(name),
        interval(said)
    )
    .ok();
    if name != code.as_str() {
        writeln!(text, "known_as = [{}]", json!(name)).ok();
    }
    if said.topics.iter().any(|topic| topic.zoneless) {
        writeln!(text, "utc_offset = \"+07:00\" # its times say no zone").ok();
    }
    let mut taken = HashSet::new();
    for (field, value) in &said.fields {
        let Some(meaning) = &value.meaning else {
            writeln!(text, "# nobody knows what {} is", json!(field)).ok();
            continue;
        };
        let Some(mapping) = &meaning.mapping else {
            taken.insert(&meaning.parameter.code);
            continue;
        };
        if !taken.insert(&meaning.parameter.code) {
            writeln!(text, "# {} may be {} too", json!(field), mapping.parameter).ok();
            continue;
        }
        writeln!(
            text,
            "[[station.field]]\nname = {}\nparameter = \"{}\"\nscale = {:?}\noffset = {:?}",
            json!(field),
            mapping.parameter,
            mapping.scale,
            mapping.offset
        )
        .ok();
        if let Some(ec) = mapping.ec {
            writeln!(text, "ec = \"{}\"", ec.as_str()).ok();
        }
    }
}

/// How often it speaks: the usual distance of its times, in whole seconds; five minutes where that is not known.
fn interval(said: &Speaker<'_>) -> String {
    let mut times: Vec<i64> =
        said.topics.iter().flat_map(|topic| topic.times.iter().copied()).collect();
    times.sort_unstable();
    times.dedup();
    let mut between: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
    between.sort_unstable();
    match between.get(between.len() / 2) {
        Some(seconds @ 1..) => format!("{seconds}s"),
        _ => "5m".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_code() {
        for (name, wanted) in [
            ("xuan-hoa", Some("xuan-hoa")),
            ("tg/edge/Sonde 1", Some("sonde-1")),
            ("24E124136B502217", Some("24e124136b502217")),
            ("///", None),
        ] {
            assert_eq!(code(name).as_ref().map(StationCode::as_str), wanted, "{name}");
        }
    }
}
