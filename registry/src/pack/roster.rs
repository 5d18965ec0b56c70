//! `roster.toml`: one `[[person]]` each, and one `[[duty]]` for every rule, station and channel they answer for.

use std::collections::HashSet;

use domain::{ChannelKind, Duty, Language, Person};
use toml::Value;

use super::section::{Section, parse};
use super::{PackError, Problem, ROSTER};
use crate::people::{LANGUAGES, language_named};

const PERSON_KEYS: [&str; 5] = ["id", "name", "phone", "email", "language"];
const DUTY_KEYS: [&str; 5] = ["person", "rule", "station", "channel", "from_level"];

pub(super) fn read(text: &str) -> Result<(Vec<Person>, Vec<Duty>), PackError> {
    let table = parse(ROSTER, text)?;
    let root = Section::root(ROSTER, &table, &["person", "duty"])?;
    let mut seen = HashSet::new();
    let mut people = Vec::new();
    for section in root.each("person", "id", &PERSON_KEYS)? {
        let person = person(&section)?;
        if !seen.insert(person.id.clone()) {
            return Err(section.at("id", Problem::Twice));
        }
        people.push(person);
    }
    Ok((people, duties(&root)?))
}

fn duties(root: &Section<'_>) -> Result<Vec<Duty>, PackError> {
    let mut duties: Vec<Duty> = Vec::new();
    for section in root.each("duty", "person", &DUTY_KEYS)? {
        let duty = duty(&section)?;
        let same = |other: &Duty| Duty { from_level: 0, ..other.clone() };
        if duties.iter().any(|other| same(other) == same(&duty)) {
            return Err(section.at("person", Problem::Twice));
        }
        duties.push(duty);
    }
    Ok(duties)
}

fn person(section: &Section<'_>) -> Result<Person, PackError> {
    Ok(Person {
        id: section.code("id", "the person's id, as \"ba-tu\"")?,
        name: section.text("name", "the name as written in a message")?.to_owned(),
        phone: section.text_maybe("phone")?.map(str::to_owned),
        email: section.text_maybe("email")?.map(str::to_owned),
        language: language(section)?,
    })
}

fn language(section: &Section<'_>) -> Result<Language, PackError> {
    let text = section.text("language", "\"vi\", \"vi-unmarked\" or \"en\"")?;
    language_named(text).ok_or_else(|| {
        let known = LANGUAGES.map(|(name, _)| name).join(", ");
        section.wrong("language", &Value::from(text), format!("one of {known}"))
    })
}

fn duty(section: &Section<'_>) -> Result<Duty, PackError> {
    let wanted = "\"email\" or \"sms\"";
    let channel = section.text("channel", wanted)?;
    Ok(Duty {
        person: section.code("person", "the person's id, as \"ba-tu\"")?,
        rule: section.code_maybe("rule")?,
        station: section.code_maybe("station")?,
        channel: ChannelKind::parse(channel)
            .ok_or_else(|| section.wrong("channel", &Value::from(channel), wanted))?,
        from_level: section.small("from_level", "a level of the rule, 0 the lowest")?,
    })
}
