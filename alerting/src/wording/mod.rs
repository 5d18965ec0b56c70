//! What people read: an SMS that says where, when, how much and what to do, and an e-mail with the evidence. The
//! texts are data (`vi.toml`, `en.toml`); numbers and times are written as the reader writes them.

mod numbers; // 8,85 and 05:00 12/03
mod texts; // one file per language
mod unmarked; // Vietnamese for a phone of any age

use domain::{Alert, AlertEvent, AlertId, ChannelKind, Language, Parameter, Person, Rule, Station};

use crate::{desk::Because, roster::Roster};
use numbers::{amount, clock, clock_full, limit};
use texts::{Texts, fill, get};

pub use unmarked::unmarked;

/// A station's name in an SMS is cut to this many characters: with it the longest unmarked text is 158 characters,
/// which is one part of 160 (tested for every kind).
pub const STATION_NAME_SMS_MAX: usize = 28;

/// What happened, with all that the texts may need to say about it.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'a> {
    /// The alert as it now is.
    pub alert: &'a Alert,
    /// The event that is told.
    pub event: &'a AlertEvent,
    /// Why the desk decided so.
    pub because: Because,
    /// Names, units and limits.
    pub roster: &'a Roster,
    /// Where the portal is seen by people, without a slash at the end.
    pub public_url: Option<&'a str>,
}

/// A worded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worded {
    /// The subject; empty for an SMS.
    pub subject: String,
    /// The text.
    pub body: String,
}

/// Words what happened for one person on one channel.
#[must_use]
pub fn word(what: &Happening<'_>, person: &Person, channel: ChannelKind) -> Worded {
    let marked = match channel {
        ChannelKind::Sms => Worded { subject: String::new(), body: sms(what, person.language) },
        ChannelKind::Email => {
            Worded { subject: subject(what, person.language), body: email(what, person) }
        }
    };
    match (person.language, channel) {
        // One station's name with marks would make an English SMS cost twice.
        (Language::VietnameseUnmarked, _) | (Language::English, ChannelKind::Sms) => {
            Worded { subject: unmarked(&marked.subject), body: unmarked(&marked.body) }
        }
        (Language::Vietnamese, _) | (Language::English, ChannelKind::Email) => marked,
    }
}

/// The name of an alert that fits an SMS and can be said on the phone: the journal position that raised it, in base 36.
#[must_use]
pub fn short_id(id: &AlertId) -> String {
    let last = id.as_str().rsplit('.').next().unwrap_or_default();
    last.parse().map_or_else(|_| last.chars().take(12).collect(), base36)
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0').to_ascii_uppercase());
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn sms(what: &Happening<'_>, language: Language) -> String {
    let texts = texts::of(language);
    let name: String = station_name(what).chars().take(STATION_NAME_SMS_MAX).collect();
    told(what, texts, language, get(&texts.sms, what.event.kind.as_str()), name.trim_end())
}

fn subject(what: &Happening<'_>, language: Language) -> String {
    let texts = texts::of(language);
    told(what, texts, language, get(&texts.subject, what.event.kind.as_str()), &station_name(what))
}

fn told(
    what: &Happening<'_>,
    texts: &Texts,
    language: Language,
    template: &str,
    station: &str,
) -> String {
    let parameter = parameter(what);
    let hazard = hazard(what, texts, language);
    let taken = what.event.taken_at.unwrap_or(what.event.at);
    let in_unit = |v: f64| limit(v, parameter, language);
    let limit = what.event.limit.map_or("?".to_owned(), in_unit);
    let clear = safe_level(what).map_or(String::new(), in_unit);
    let stand = fill(get(&texts.stand, stand(what)), &[("limit", &limit), ("clear", &clear)]);
    fill(
        template,
        &[
            ("HAZARD", &hazard.to_uppercase()),
            ("hazard", &hazard),
            ("station", station),
            ("time", &clock(taken)),
            ("since", &clock(taken)),
            ("value", &what.event.value.map_or("?".to_owned(), |v| amount(v, parameter, language))),
            ("limit", &limit),
            ("clear", &clear),
            ("stand", &stand),
            ("advice", advice(what, texts)),
            ("id", &short_id(&what.alert.id)),
        ],
    )
}

fn email(what: &Happening<'_>, person: &Person) -> String {
    let language = person.language;
    let texts = texts::of(language);
    let sentence = get(&texts.sentence, what.event.kind.as_str());
    let greeting = fill(get(&texts.label, "greeting"), &[("person", &person.name)]);
    let mut body =
        format!("{greeting}\n\n{}\n\n", told(what, texts, language, sentence, &station_name(what)));
    for (label, line) in evidence(what, texts, language) {
        if let Some(line) = line {
            body.push_str(&format!("{}: {line}\n", get(&texts.label, label)));
        }
    }
    body.push_str(&format!("\n-- \n{}\n", get(&texts.label, "footer")));
    body
}

/// The lines that let a reader check the sentence above them; a line without a value is left out.
fn evidence(
    what: &Happening<'_>,
    texts: &Texts,
    language: Language,
) -> Vec<(&'static str, Option<String>)> {
    let parameter = parameter(what);
    let name = parameter.map_or(what.alert.parameter.as_str(), |p| match language {
        Language::English => &p.name_en,
        Language::Vietnamese | Language::VietnameseUnmarked => &p.name_vi,
    });
    let rule = rule(what);
    let level = match rule {
        Some(rule) => format!("{}/{}", u16::from(what.alert.level) + 1, rule.levels.len()),
        None => (u16::from(what.alert.level) + 1).to_string(),
    };
    vec![
        ("station", Some(format!("{} ({})", station_name(what), what.alert.station))),
        ("river", station(what).and_then(|station| river(station, texts, language))),
        ("parameter", Some(name.to_owned())),
        ("value", what.event.value.map(|v| amount(v, parameter, language))),
        ("taken", what.event.taken_at.map(clock_full)),
        ("limit", what.event.limit.map(|v| limit(v, parameter, language))),
        ("rule", Some(rule.map_or(what.alert.rule.to_string(), |rule| rule.name.clone()))),
        ("level", Some(level)),
        ("why", Some(get(&texts.why, what.because.as_str()).to_owned())),
        ("judged", Some(clock_full(what.event.at))),
        ("alert", Some(format!("{} ({})", short_id(&what.alert.id), what.alert.id))),
        ("link", what.public_url.map(|url| format!("{url}/s/{}", what.alert.station))),
    ]
}

fn river(station: &Station, texts: &Texts, language: Language) -> Option<String> {
    let river = station.river.as_ref()?;
    let km = station.km_from_mouth.map(|km| numbers::decimal(km, 0, language));
    let away = km.map(|km| fill(get(&texts.label, "km"), &[("km", &km)]));
    Some(away.map_or_else(|| river.clone(), |away| format!("{river}, {away}")))
}

fn hazard(what: &Happening<'_>, texts: &Texts, language: Language) -> String {
    let code = what.alert.parameter.as_str();
    if let Some(hazard) = texts.hazard.get(code) {
        return hazard.clone();
    }
    parameter(what).map_or_else(
        || code.to_owned(),
        |p| match language {
            Language::English => p.name_en.clone(),
            Language::Vietnamese | Language::VietnameseUnmarked => p.name_vi.clone(),
        },
    )
}

fn advice<'a>(what: &Happening<'_>, texts: &'a Texts) -> &'a str {
    let by_kind =
        texts.advice.get(what.alert.parameter.as_str()).or_else(|| texts.advice.get("other"));
    by_kind.map_or("", |kinds| get(kinds, what.event.kind.as_str()))
}

/// Below it, for as long as the rule asks, the alert is over.
fn safe_level(what: &Happening<'_>) -> Option<f64> {
    rule(what)?.levels.first().map(|level| level.clear)
}

/// Why the alert still holds. An alert that fell a level or speaks again may stand on a value between its safe level
/// and its limit, or on one that has not been below the safe level for long enough: `over` would be a lie then.
fn stand(what: &Happening<'_>) -> &'static str {
    let reaches = |level: Option<f64>| Some(level? <= what.event.value?);
    if reaches(what.event.limit) == Some(true) {
        "over"
    } else if reaches(safe_level(what)) == Some(false) {
        "brief"
    } else {
        "between"
    }
}

fn station<'a>(what: &Happening<'a>) -> Option<&'a Station> {
    what.roster.station(&what.alert.station)
}

fn station_name(what: &Happening<'_>) -> String {
    station(what).map_or_else(|| what.alert.station.to_string(), |station| station.name.clone())
}

fn parameter<'a>(what: &Happening<'a>) -> Option<&'a Parameter> {
    what.roster.parameters.iter().find(|p| p.code == what.alert.parameter)
}

fn rule<'a>(what: &Happening<'a>) -> Option<&'a Rule> {
    what.roster.rules.iter().find(|rule| rule.code == what.alert.rule)
}

#[cfg(test)]
mod tests;
