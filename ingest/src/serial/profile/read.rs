//! A profile from its text.

use toml::{Table, Value as Toml};

use super::{At, Check, Form, Kind, Poll, Profile, Sentence, StatusWord, Time, Value};
use crate::formats::VALUES_MAX;
use crate::line::{Bad, Keys, OfText, ProfileError, is_name, read};

/// The longest line that a profile may allow: a record of 128 values of ten characters, three times over.
const BYTES_MAX: u16 = 4_096;

/// Where a profile does not say it: six times what NMEA 0183 allows.
const BYTES_USUAL: u16 = 512;

/// Lines of one answer.
const LINES_MAX: u16 = 32;

/// Words of a line: as many as 4,096 bytes hold with a separator each.
const WORDS_MAX: u16 = 2_048;

const PROFILE: &[&str] = &[
    "device",
    "source",
    "begins",
    "ends",
    "bytes_max",
    "check",
    "separator",
    "decimal",
    "absent",
    "skip",
    "poll",
    "sentence",
];
const CHECK: &[&str] = &["kind", "mark", "form", "with_begin", "with_mark"];
const POLL: &[&str] = &["ask", "took", "lines"];
const SENTENCE: &[&str] = &["begins", "words", "group", "status", "time", "value"];
const STATUS: &[&str] = &["word", "measuring", "calibrating", "fault"];
const TIME: &[&str] = &["words", "format", "zone"];
const VALUE: &[&str] = &[
    "parameter",
    "name",
    "word",
    "key",
    "when",
    "unit",
    "unit_word",
    "units",
    "scale",
    "offset",
    "invalid",
    "absent",
];

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
    let begins = top.text_or("begins", Some(""))?;
    let decimal = top.text_or("decimal", Some("."))?;
    let profile = Profile {
        name: name.to_owned(),
        device: top.text("device")?,
        source: top.text("source")?,
        begins: match begins.as_bytes() {
            [] => None,
            [one] => Some(*one),
            _ => return Err(top.bad("begins", "write the one character that a line begins with")),
        },
        ends: top.text_or("ends", Some("\n"))?.into_bytes(),
        bytes_max: top.number_or("bytes_max", BYTES_USUAL, BYTES_MAX)?.into(),
        check: top.below("check", CHECK)?.map(|keys| check(&keys)).transpose()?,
        separator: one_character(&top, "separator", ",")?,
        decimal_comma: match decimal.as_str() {
            "." => false,
            "," => true,
            _ => return Err(top.bad("decimal", "write \".\" or \",\"")),
        },
        absent: top.texts("absent")?,
        skip: top.texts("skip")?,
        poll: top.below("poll", POLL)?.map(|keys| poll(&keys)).transpose()?,
        sentences: top.each("sentence", SENTENCE, sentence)?,
    };
    whole(&top, &profile)?;
    Ok(profile)
}

/// What only the whole shows.
fn whole(top: &Keys<'_>, profile: &Profile) -> Result<(), Bad> {
    if profile.ends.is_empty() || 4 < profile.ends.len() {
        return Err(top.bad("ends", "write the one to four characters that end a line"));
    }
    if profile.bytes_max < 8 {
        return Err(top.bad("bytes_max", "write 8 or more"));
    }
    if profile.begins.is_some_and(|begins| profile.ends.contains(&begins)) {
        return Err(top.bad("begins", "a line cannot begin with what ends it"));
    }
    let times = profile.sentences.iter().filter_map(|sentence| sentence.time.as_ref());
    let own = profile.begins.map(char::from).filter(|begins| {
        profile.separator == *begins
            || times.clone().any(|time| time.format.contains(*begins) && *begins != '%')
    });
    if own.is_some() {
        return Err(top.bad("begins", "it stands between words or in times too: leave it out"));
    }
    if profile.decimal_comma && profile.separator == ',' {
        return Err(top.bad("decimal", "a comma cannot be between words and in numbers"));
    }
    if profile.sentences.is_empty() {
        return Err(top.bad("sentence", "it has no [[sentence]]: nothing would be read"));
    }
    for (at, sentence) in profile.sentences.iter().enumerate() {
        let before = &profile.sentences[..at];
        if before
            .iter()
            .any(|other| other.begins == sentence.begins && other.words == sentence.words)
        {
            let why = format!("`{}` comes twice with as many words", sentence.begins);
            return Err(top.bad(&format!("sentence[{at}]"), &why));
        }
    }
    Ok(())
}

fn one_character(at: &Keys<'_>, key: &str, usual: &str) -> Result<char, Bad> {
    let text = at.text_or(key, Some(usual))?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if one.is_ascii() => Ok(one),
        _ => Err(at.bad(key, "write one character")),
    }
}

fn check(at: &Keys<'_>) -> Result<Check, Bad> {
    let kind = at.text("kind")?;
    let form = at.text_or("form", Some("hex"))?;
    let check = Check {
        kind: Kind::parse(&kind).ok_or_else(|| {
            at.bad("kind", &format!("there are {}", Kind::ALL.map(Kind::as_str).join(", ")))
        })?,
        mark: at.text_or("mark", Some(""))?.into_bytes(),
        form: match form.as_str() {
            "hex" => Form::Hex,
            "sdi12" => Form::Sdi12,
            _ => return Err(at.bad("form", "write hex or sdi12")),
        },
        with_begin: at.yes_or_no("with_begin")?,
        with_mark: at.yes_or_no("with_mark")?,
    };
    if check.form == Form::Sdi12 && !check.kind.is_crc() {
        return Err(at.bad("form", "three characters as SDI-12 has them are a CRC's"));
    }
    Ok(check)
}

fn poll(at: &Keys<'_>) -> Result<Poll, Bad> {
    let lines = at.number_or("lines", 1, LINES_MAX)?;
    if lines == 0 {
        return Err(at.bad("lines", "an answer has at least one line"));
    }
    let (ask, took) = (at.text("ask")?, at.text_or("took", Some(""))?);
    Ok(Poll { ask, took, lines: lines.into() })
}

fn sentence(at: &Keys<'_>) -> Result<Sentence, Bad> {
    let number = |key: &str| -> Result<Option<usize>, Bad> {
        at.has(key).then(|| at.number(key, WORDS_MAX).map(usize::from)).transpose()
    };
    let (words, group) = (number("words")?, number("group")?);
    if group.is_some_and(|group| group < 2) {
        return Err(at.bad("group", "a group has two words or more"));
    }
    if words == Some(0) || (words.is_some() && group.is_some()) {
        return Err(at.bad("words", "write how many words a line has, or how many a group has"));
    }
    let sentence = Sentence {
        begins: at.text_or("begins", Some(""))?,
        words,
        group,
        status: at.below("status", STATUS)?.map(|keys| status(&keys)).transpose()?,
        time: at.below("time", TIME)?.map(|keys| time(&keys)).transpose()?.flatten(),
        values: at.each("value", VALUE, value)?,
    };
    if sentence.values.is_empty() || VALUES_MAX < sentence.values.len() {
        return Err(at.bad("value", &format!("a line has 1 to {VALUES_MAX} values")));
    }
    words_there(at, &sentence)?;
    Ok(sentence)
}

/// Every word that is named is there, and a line of which nothing says how long it is has names in it.
fn words_there(at: &Keys<'_>, sentence: &Sentence) -> Result<(), Bad> {
    let by_key = sentence.values.iter().all(|value| matches!(value.at, At::Key(_)));
    let Some(words) = sentence.words.or(sentence.group) else {
        return match by_key {
            true => Ok(()),
            false => Err(at.bad("words", "write how many words the line has, the first counted")),
        };
    };
    let status = sentence.status.iter().map(|status| status.word);
    let time = sentence.time.iter().flat_map(|time| time.words.iter().copied());
    let whole = status.chain(time).filter(|_| sentence.group.is_none());
    let of_values = sentence.values.iter().flat_map(|value| {
        let word = match value.at {
            At::Word(word) => Some(word),
            At::Key(_) => None,
        };
        let when = value.when.iter().map(|(word, _)| *word);
        word.into_iter().chain(value.unit_word).chain(when)
    });
    match whole.chain(of_values).find(|word| words <= *word) {
        Some(word) => {
            Err(at.bad("word", &format!("word {word} is not there: they are 0 to {}", words - 1)))
        }
        None => Ok(()),
    }
}

fn status(at: &Keys<'_>) -> Result<StatusWord, Bad> {
    let status = StatusWord {
        word: at.number("word", WORDS_MAX)?.into(),
        measuring: at.texts("measuring")?,
        calibrating: at.texts("calibrating")?,
        fault: at.texts("fault")?,
    };
    match status.measuring.is_empty() && status.calibrating.is_empty() && status.fault.is_empty() {
        true => Err(at.bad("fault", "it says nothing: list words of `measuring` or `fault`")),
        false => Ok(status),
    }
}

/// Without a zone the words of a time could be any of 24 instants, and it is the time of receipt that holds.
fn time(at: &Keys<'_>) -> Result<Option<Time>, Bad> {
    let words = at.numbers("words", WORDS_MAX)?;
    if words.is_empty() {
        return Err(at.bad("words", "list the words that say when"));
    }
    let format = at.text("format")?;
    if !format.contains('%') {
        return Err(at.bad("format", "write it in the letters of strftime, as %Y-%m-%d %H:%M:%S"));
    }
    let zone = at.text_or("zone", Some(""))?;
    let offset_s = match zone.as_str() {
        "" => return Ok(None),
        zone => offset(zone).ok_or_else(|| at.bad("zone", "write Z or an offset, as +07:00"))?,
    };
    Ok(Some(Time { words: words.into_iter().map(usize::from).collect(), format, offset_s }))
}

/// `+07:00` and `Z`, as seconds.
fn offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let sign = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn value(at: &Keys<'_>) -> Result<Value, Bad> {
    let named = at.has("name");
    let name = at.text(if named { "name" } else { "parameter" })?;
    if !is_name(&name) || named == at.has("parameter") {
        let wanted = "write a `parameter`, or the `name` that the station's own profile maps";
        return Err(at.bad("parameter", wanted));
    }
    let place = match (at.has("word"), at.has("key")) {
        (true, false) => At::Word(at.number("word", WORDS_MAX)?.into()),
        (false, true) => At::Key(at.text("key")?),
        _ => return Err(at.bad("word", "write the `word` that it is, or the `key` before it")),
    };
    let value = Value {
        name,
        at: place,
        when: when(at)?,
        unit: at.text_or("unit", Some(""))?,
        unit_word: at
            .has("unit_word")
            .then(|| at.number("unit_word", WORDS_MAX))
            .transpose()?
            .map(usize::from),
        units: at.pairs("units")?,
        scale: at.real_or("scale", 1.0)?,
        offset: at.real_or("offset", 0.0)?,
        invalid: at.texts("invalid")?,
        absent: at.texts("absent")?,
    };
    if at.has("unit") == (at.has("units") || at.has("unit_word")) {
        return Err(at.bad("unit", "write the `unit`, or the `units` that the line itself says"));
    }
    if value.unit_word.is_some() && value.units.is_empty() {
        return Err(at.bad("units", "say what the line's units mean, as { K = \"km/h\" }"));
    }
    Ok(value)
}

/// `when = { 0 = "C", 3 = "1" }`
fn when(at: &Keys<'_>) -> Result<Vec<(usize, String)>, Bad> {
    let wanted = || at.bad("when", "write words and what they say, as { 2 = \"R\" }");
    let Some(found) = at.table.get("when") else { return Ok(Vec::new()) };
    let one = |(word, says): (&String, &Toml)| {
        let word = word.parse::<u16>().ok().filter(|word| *word < WORDS_MAX).ok_or_else(wanted)?;
        Ok((usize::from(word), says.as_str().ok_or_else(wanted)?.to_owned()))
    };
    found.as_table().ok_or_else(wanted)?.iter().map(one).collect()
}
