//! What the tests of several files need: the keeper Ba Tu, the station Xuân Hòa, a clock we hold.

pub(crate) mod smsc; // takes SMS
pub(crate) mod smtp; // takes e-mails

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{
    ChannelKind, Clock, Duty, Language, Level, ParameterCode, Person, PersonId, Rule, RuleCode,
    Station, StationCode, Timestamp, Verdict, Water, Why, standard_parameters,
};
use journal::Journal;

use crate::{Alerting, NoticeView, Roster};

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub(crate) struct Held(AtomicI64);

impl Held {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time(text).as_millis())))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// An instant of 12 March 2026 in Vietnam, as `05:00`.
pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-03-12T{text}:00+07:00")).unwrap()
}

pub(crate) const LIMITS: [(f64, f64); 3] = [(1.0, 0.8), (2.0, 1.8), (4.0, 3.5)];

pub(crate) fn rule() -> Rule {
    Rule {
        code: RuleCode::new("salinity-intake").unwrap(),
        name: "Lấy nước ngọt".to_owned(),
        parameter: ParameterCode::new("salinity").unwrap(),
        stations: Vec::new(),
        levels: LIMITS.map(|(limit, clear)| Level { limit, clear }).to_vec(),
        hold: Duration::ZERO,
    }
}

pub(crate) fn station() -> Station {
    Station {
        name: "Cống Xuân Hòa".to_owned(),
        river: Some("sông Tiền".to_owned()),
        km_from_mouth: Some(42.0),
        ..Station::new(StationCode::new("xuan-hoa").unwrap())
    }
}

pub(crate) fn person(id: &str, language: Language) -> Person {
    Person {
        id: PersonId::new(id).unwrap(),
        name: "Ba Tư".to_owned(),
        phone: Some("+84901234567".to_owned()),
        email: Some(format!("{id}@example.vn")),
        language,
    }
}

pub(crate) fn duty(person: &str, channel: ChannelKind) -> Duty {
    let person = PersonId::new(person).unwrap();
    Duty { person, rule: None, station: None, channel, from_level: 0 }
}

/// Ba Tư, on duty over these channels.
pub(crate) fn roster(channels: &[ChannelKind]) -> Roster {
    Roster {
        people: vec![person("ba-tu", Language::VietnameseUnmarked)],
        duties: channels.iter().map(|channel| duty("ba-tu", *channel)).collect(),
        stations: vec![station()],
        rules: vec![rule()],
        parameters: standard_parameters(),
    }
}

/// A verdict as `05:00 exceed0 1.2`, `06:00 safe 0.5`, `07:00 unknown`, `03:00 backlog1 2.5`.
pub(crate) fn verdict(text: &str) -> Verdict {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = time(words[0]);
    let level = words[1].trim_start_matches(char::is_alphabetic).parse::<u8>().ok();
    let water = match level {
        Some(level) => Water::Exceed(level),
        None if words[1] == "safe" => Water::Safe,
        None => Water::Unknown,
    };
    let why = match words[1].trim_end_matches(char::is_numeric) {
        "backlog" => Why::FoundInBacklog,
        "exceed" => Why::Rose,
        "safe" => Why::BackToSafe,
        _ => Why::WentSilent,
    };
    Verdict {
        rule: rule().code,
        station: station().code,
        parameter: rule().parameter,
        water,
        before: Water::Unknown,
        limit: level.map(|level| LIMITS[usize::from(level)].0),
        value: words.get(2).map(|value| value.parse().unwrap()),
        taken_at: Some(at),
        since: at,
        judged_at: at,
        why,
    }
}

/// An alerting on a ledger in `dir`, with Ba Tư on duty over these channels.
pub(crate) fn alerting(
    dir: &std::path::Path,
    clock: Arc<dyn Clock>,
    channels: &[ChannelKind],
) -> Alerting {
    let ledger = Journal::open(dir, &journal::Config::default()).unwrap();
    let alerting = Alerting::open(ledger, clock).unwrap();
    alerting.set_roster(roster(channels));
    alerting
}

/// A clock that runs as ours does, from 05:00.
#[derive(Debug)]
pub(crate) struct Running(tokio::time::Instant);

impl Running {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for Running {
    fn now(&self) -> Timestamp {
        time("05:00") + self.0.elapsed()
    }
}

/// Waits until the newest notices satisfy the question, for at most so long as a slow machine may need.
pub(crate) async fn until(alerting: &Alerting, question: impl Fn(&[NoticeView]) -> bool) {
    let mut changes = alerting.changes();
    let satisfied = async {
        while !question(&alerting.notices(100)) {
            changes.changed().await.unwrap();
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), satisfied).await.is_err() {
        panic!("not within 30 s: {:#?}", alerting.notices(100));
    }
}
