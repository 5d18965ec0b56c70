//! Stories of one station. A story is a line of events: `06:05 4.3` is a good reading taken and received at 06:05 (hours
//! may pass 24), `07:00<06:05 4.3` one taken at 06:05 and received at 07:00; `replay`, `suspect`, `bad` and `unjudged`
//! may follow; `null` is a missing sensor, `06:30 tick` the passing of time, `restart` a snapshot written and read.

use std::fmt::Write;
use std::time::Duration;

use domain::{Admitted, Flag, Level, Measured, ParameterCode, Rule, RuleCode, RuleError};
use domain::{StationCode, Timestamp, Verdict, Water, Why};
use expect_test::{Expect, expect};

use super::*;

mod fold; // what holds for every story
mod stories; // what was promised, one by one

/// The province's ladder: limit/clear in g/L.
const LADDER: &str = "0.3/0.25 0.5/0.4 1/0.8 2/1.7 4/3.5";

/// All stations here report every 15 minutes.
const INTERVAL: Duration = Duration::from_mins(15);

fn check(levels: &str, hold_min: u64, story: &str, expected: &Expect) {
    let mut teller = Teller::new(vec![rule("salt", levels, hold_min)]);
    for event in story.split('|') {
        teller.take(event.trim());
    }
    expected.assert_eq(&teller.told());
}

struct Teller {
    analyzer: Analyzer,
    verdicts: Vec<Verdict>,
}

impl Teller {
    fn new(rules: Vec<Rule>) -> Self {
        let analyzer = Analyzer::new(rules, [(station("xuan-hoa"), INTERVAL)]).unwrap();
        Self { analyzer, verdicts: Vec::new() }
    }

    fn take(&mut self, event: &str) {
        let words: Vec<&str> = event.split_whitespace().collect();
        match words[..] {
            ["restart"] => self.restart(),
            [at, "tick"] => self.analyzer.tick(time(at), &mut self.verdicts),
            [at, value, ref more @ ..] => {
                self.analyzer.step(&report(at, value, more), &mut self.verdicts);
            }
            _ => panic!("not an event: `{event}`"),
        }
    }

    fn restart(&mut self) {
        self.analyzer = restarted(&self.analyzer);
    }

    fn told(&self) -> String {
        self.verdicts.iter().fold(String::new(), |text, verdict| text + &told(verdict))
    }
}

/// The analyzer as it stands up again from its written snapshot.
fn restarted(before: &Analyzer) -> Analyzer {
    let written = serde_json::to_vec(&before.snapshot()).unwrap();
    let intervals = before.stations.iter().map(|(code, post)| (code.clone(), post.interval));
    let mut after = Analyzer::new(before.rules.clone(), intervals).unwrap();
    let restored = after.restore(serde_json::from_slice(&written).unwrap()).unwrap();
    assert_eq!(restored.left, 0);
    after
}

fn told(verdict: &Verdict) -> String {
    let water = |water| match water {
        Water::Unknown => "unknown".to_owned(),
        Water::Safe => "safe".to_owned(),
        Water::Exceed(level) => format!("level {level}"),
    };
    let mut text = format!(
        "{} {} -> {}, {} since {}",
        clock(verdict.judged_at),
        water(verdict.before),
        water(verdict.water),
        verdict.why,
        clock(verdict.since),
    );
    if let (Some(value), Some(taken_at)) = (verdict.value, verdict.taken_at) {
        write!(text, ": {value} at {}", clock(taken_at)).unwrap();
    }
    if let Some(limit) = verdict.limit {
        write!(text, ", limit {limit}").unwrap();
    }
    text + "\n"
}

fn report(at: &str, value: &str, more: &[&str]) -> Admitted {
    let (received, taken) = at.split_once('<').unwrap_or((at, at));
    let value = value.parse().ok();
    let flag = match more.first() {
        _ if value.is_none() => Flag::Missing,
        Some(&"bad") => Flag::Bad,
        Some(&"suspect") => Flag::Suspect,
        Some(&"unjudged") => Flag::NotEvaluated,
        _ => Flag::Good,
    };
    Admitted {
        station: station("xuan-hoa"),
        taken_at: time(taken),
        received_at: time(received),
        seq: None,
        replay: more.contains(&"replay"),
        values: vec![Measured { parameter: parameter("salinity"), value, flag }],
    }
}

fn rule(code: &str, levels: &str, hold_min: u64) -> Rule {
    let level = |text: &str| {
        let (limit, clear) = text.split_once('/').unwrap();
        Level { limit: limit.parse().unwrap(), clear: clear.parse().unwrap() }
    };
    Rule {
        code: RuleCode::new(code).unwrap(),
        name: "Độ mặn".to_owned(),
        parameter: parameter("salinity"),
        stations: Vec::new(),
        levels: levels.split_whitespace().map(level).collect(),
        hold: Duration::from_mins(hold_min),
    }
}

fn time(text: &str) -> Timestamp {
    let (hours, minutes) = text.split_once(':').unwrap();
    let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
    Timestamp::from_millis(minutes * 60_000)
}

fn clock(at: Timestamp) -> String {
    let minutes = at.as_millis() / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn station(code: &str) -> StationCode {
    StationCode::new(code).unwrap()
}

fn parameter(code: &str) -> ParameterCode {
    ParameterCode::new(code).unwrap()
}
