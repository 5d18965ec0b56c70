//! The texts as data: one file per language, read once, and filled with what happened.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::Language;

/// One language's texts, by the kind of event, the parameter or the reason they are for.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) sms: BTreeMap<String, String>,
    pub(super) subject: BTreeMap<String, String>,
    pub(super) sentence: BTreeMap<String, String>,
    pub(super) stand: BTreeMap<String, String>,
    pub(super) hazard: BTreeMap<String, String>,
    pub(super) advice: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) why: BTreeMap<String, String>,
    pub(super) label: BTreeMap<String, String>,
}

static VIETNAMESE: LazyLock<Texts> = LazyLock::new(|| read(include_str!("vi.toml")));
static ENGLISH: LazyLock<Texts> = LazyLock::new(|| read(include_str!("en.toml")));

fn read(file: &str) -> Texts {
    toml::from_str(file).expect("the embedded texts are tested")
}

/// The texts of a language; unmarked Vietnamese is made from the marked one afterwards.
pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::Vietnamese | Language::VietnameseUnmarked => &VIETNAMESE,
        Language::English => &ENGLISH,
    }
}

/// The text under a key; empty where there is none, which the tests rule out for every key in use.
pub(super) fn get<'a>(table: &'a BTreeMap<String, String>, key: &str) -> &'a str {
    table.get(key).map_or("", String::as_str)
}

/// Fills `{name}` by value, then closes the gaps that empty values leave.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, v)| v));
        rest = after;
    }
    text.push_str(rest);
    close_gaps(&text)
}

fn close_gaps(text: &str) -> String {
    let words = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.replace(" .", ".").replace(" ,", ",")
}
