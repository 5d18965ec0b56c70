//! A device whose lines nobody knows yet: what is heard of it, and a profile that would read that. A person says what the
//! numbers mean; what begins and ends a line, what stands between words and what proves it can be found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;

use crate::formats::number;
use crate::line::{Broken, Place, Serial, Told, Wire};

use super::check::{Check, Form, Kind};
use super::ear::{Ear, Heard};

/// Where and for how long a device is listened to.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The port.
    pub place: Place,
    /// How it is set.
    pub serial: Serial,
    /// What is said first, to a device that has to be asked.
    pub ask: Vec<u8>,
    /// For how long.
    pub long: Duration,
    /// Lines that are enough.
    pub lines: usize,
}

/// A longer line is told as endless.
const LINE_MAX: usize = 4_096;

/// What would read the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// The text of the profile.
    pub profile: String,
    /// What was found, a sentence each.
    pub found: Vec<String>,
}

/// Nothing is counted of a probe but that it opened the port.
struct Probe;

impl Told for Probe {
    fn opened(&self, outcome: &'static str) {
        counter!("saltline_serial_opens_total", "line" => "probe", "outcome" => outcome)
            .increment(1);
    }

    fn is_open(&self, _: bool) {}
}

/// Listens.
///
/// # Errors
/// Where the port cannot be opened, or closes.
pub async fn hear_lines(listening: &Listening) -> io::Result<Vec<Heard>> {
    let Listening { place, serial, ask, long, lines } = listening;
    let mut wire = Wire::new("probe", place.clone(), *serial, *long, 1, Probe);
    let failed = |broken| match broken {
        Broken::Closed(error) | Broken::NoLine(error) => error,
        other => io::Error::other(other),
    };
    wire.open().await.map_err(failed)?;
    let until = Instant::now() + *long;
    if !ask.is_empty() {
        wire.say(ask, until).await.map_err(failed)?;
    }
    let (mut ear, mut heard) = (Ear::open(LINE_MAX), Vec::new());
    if !ask.is_empty() {
        ear.rested();
    }
    while heard.len() < *lines && wire.hear(until, LINE_MAX).await.map_err(failed)? {
        let bytes = wire.heard.split();
        ear.hear(&bytes, |one| heard.push(one));
    }
    heard.extend(ear.cut().filter(|_| heard.len() < *lines));
    Ok(heard)
}

/// A profile that would read these lines; `None` where they have nothing in common.
#[must_use]
pub fn guess(lines: &[Vec<u8>], ask: &str, device: &str) -> Option<Guess> {
    let lines: Vec<&[u8]> =
        lines.iter().map(|line| line.trim_ascii()).filter(|line| !line.is_empty()).collect();
    let begins = common_beginning(&lines);
    let bare: Vec<&[u8]> =
        lines.iter().map(|line| &line[usize::from(begins.is_some())..]).collect();
    let check = common_check(begins, &bare);
    let said: Vec<String> = bare
        .iter()
        .map(|line| match &check {
            Some(check) => check.proved(begins, line).unwrap_or(line),
            None => line,
        })
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let separator = common_separator(&said)?;
    let mut found = Vec::new();
    let mut out = format!(
        "# Written by `saltline probe serial`. Name the device, the document that agrees, and what each word means.\n\
         device = {}\nsource = \"heard by the probe\"\n",
        quoted(device)
    );
    // Writing to a text cannot fail.
    if let Some(begins) = begins {
        writeln!(out, "begins = {}", quoted(&char::from(begins).to_string())).ok();
        found.push(format!("every line begins with {}", quoted(&char::from(begins).to_string())));
    }
    writeln!(out, "separator = {}", quoted(&separator.to_string())).ok();
    found.push(format!("words stand apart by {}", quoted(&separator.to_string())));
    match &check {
        Some(check) => {
            writeln!(out, "check = {}", written(check)).ok();
            found.push(format!("every line is proved by {}", written(check)));
        }
        None => found.push("no check that is known proves the lines".to_owned()),
    }
    if !ask.is_empty() {
        writeln!(out, "\n[poll]\nask = {}", quoted(ask)).ok();
    }
    for ((begins, words), line) in sentences(&said, separator) {
        found.push(format!("a line of {words} words that begins with {}", quoted(&begins)));
        sentence(&mut out, &begins, &line);
    }
    Some(Guess { profile: out, found })
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn written(check: &Check) -> String {
    let mark = String::from_utf8_lossy(&check.mark).into_owned();
    let form = if check.form == Form::Sdi12 { ", form = \"sdi12\"" } else { "" };
    let with = if check.with_begin { ", with_begin = true" } else { "" };
    format!("{{ kind = \"{}\", mark = {}{form}{with} }}", check.kind.as_str(), quoted(&mark))
}

/// The sign that every line begins with.
fn common_beginning(lines: &[&[u8]]) -> Option<u8> {
    let first = *lines.first()?.first()?;
    let is_sign =
        !first.is_ascii_alphanumeric() && !matches!(first, b'+' | b'-' | b'.' | b' ' | b'"');
    // It stands nowhere else in them.
    let once = |line: &&[u8]| line.first() == Some(&first) && !line[1..].contains(&first);
    (is_sign && lines.iter().all(once)).then_some(first)
}

fn common_check(begins: Option<u8>, lines: &[&[u8]]) -> Option<Check> {
    // One line of eight bits agrees with a wrong kind by chance, once in 256.
    if lines.len() < 2 || lines.iter().all(|line| line == &lines[0]) {
        return None;
    }
    let marks: [&[u8]; 3] = [b"*", b"\x03", b""];
    let all = Kind::ALL.into_iter().flat_map(|kind| {
        marks.into_iter().flat_map(move |mark| {
            [Form::Hex, Form::Sdi12].into_iter().flat_map(move |form| {
                [false, true].map(|with_begin| Check {
                    kind,
                    mark: mark.to_vec(),
                    form,
                    with_begin,
                    with_mark: false,
                })
            })
        })
    });
    let sound = |check: &Check| check.form == Form::Hex || check.kind.is_crc();
    all.filter(sound).find(|check| lines.iter().all(|line| check.proved(begins, line).is_ok()))
}

/// What splits all lines into more than one word, most of all.
fn common_separator(said: &[String]) -> Option<char> {
    let words =
        |line: &String, mark: char| line.split(mark).filter(|word| !word.is_empty()).count();
    let least = |mark: char| said.iter().map(|line| words(line, mark)).min().unwrap_or(0);
    [',', ';', '\t', '|', ' ']
        .into_iter()
        .rev()
        .filter(|mark| 1 < least(*mark))
        .max_by_key(|mark| least(*mark))
}

/// The kinds of lines: how each begins, how many words it has, and its words.
fn sentences(said: &[String], separator: char) -> BTreeMap<(String, usize), Vec<String>> {
    let mut kinds = BTreeMap::new();
    for line in said {
        let words: Vec<String> = match separator {
            ' ' => line.split_ascii_whitespace().map(str::to_owned).collect(),
            other => line.split(other).map(|word| word.trim().to_owned()).collect(),
        };
        let begins = words.first().filter(|word| number(word).is_none() && word.len() < 16);
        kinds.entry((begins.cloned().unwrap_or_default(), words.len())).or_insert(words);
    }
    kinds
}

fn sentence(out: &mut String, begins: &str, words: &[String]) {
    writeln!(out, "\n[[sentence]]").ok();
    if !begins.is_empty() {
        writeln!(out, "begins = {}", quoted(begins)).ok();
    }
    writeln!(out, "words = {}\nvalue = [", words.len()).ok();
    for (at, word) in words.iter().enumerate().filter(|(_, word)| number(word).is_some()) {
        writeln!(
            out,
            "    {{ name = \"word_{at}\", word = {at}, unit = \"\" }}, # {}",
            word.replace(|c: char| c.is_control(), " ")
        )
        .ok();
    }
    writeln!(out, "]").ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::{Judged, Profile};

    fn read(lines: &[&str], ask: &str) -> (Profile, Vec<Judged>) {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        let guess = guess(&lines, ask, "something").unwrap();
        let profile = Profile::read("guessed", &guess.profile).unwrap();
        let begins: Vec<u8> = profile.begins.into_iter().collect();
        let judged = lines
            .iter()
            .map(|line| profile.judge(line.strip_prefix(begins.as_slice()).unwrap_or(line), ""))
            .collect();
        (profile, judged)
    }

    #[test]
    fn a_profile_that_is_guessed_reads_what_it_was_guessed_from() {
        let nmea =
            ["$WIMWV,282,R,0.1,M,A*37", "$WIXDR,C,23.3,C,0,C,24.0,C,1,H,50.1,P,0,P,1009.5,H,0*5C"];
        let (profile, judged) = read(&nmea, "");
        assert_eq!((profile.begins, profile.sentences.len()), (Some(b'$'), 2));
        assert_eq!(profile.check.as_ref().unwrap().kind, Kind::Xor);
        assert!(judged.iter().all(|it| matches!(it, Judged::Report(..))), "{judged:?}");
        let gill = ["\u{2}Q,229,002.74,M,00,\u{3}16", "\u{2}Q,230,002.74,M,00,\u{3}1E"];
        let (profile, judged) = read(&gill, "");
        assert_eq!((profile.begins, profile.separator), (Some(2), ','));
        assert_eq!(profile.check.as_ref().unwrap().mark, b"\x03");
        assert!(judged.iter().all(|it| matches!(it, Judged::Report(..))), "{judged:?}");
        let (profile, judged) = read(&["  12.5   7.1 0.3", "12.6 7.1 0.3"], "R\r\n");
        assert_eq!((profile.separator, profile.check.is_none()), (' ', true));
        assert_eq!(profile.poll.unwrap().ask, "R\r\n");
        assert!(judged.iter().all(|it| matches!(it, Judged::Report(..))), "{judged:?}");
    }

    #[test]
    fn lines_with_nothing_in_common_are_no_profile() {
        for lines in [&[][..], &["hello"], &["1,2", "x"]] {
            let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(guess(&lines, "", "x"), None);
        }
    }
}
