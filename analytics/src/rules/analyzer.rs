//! All rules at all stations: a fold over admitted reports and the passing of time. Verdicts come out in the order of
//! the rules, then of the stations' codes. The silence of a station is also looked at before each of its reports, so
//! that what is found does not depend on how often [`Analyzer::tick`] is called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use domain::{Admitted, ParameterCode, Rule, RuleCode, RuleError, StationCode};
use domain::{Timestamp, Verdict, Water, Why};

use super::watch::{Site, Watch};

/// The interval of a station that reports before anybody told its interval; the one that a new station of the registry
/// has.
pub const INTERVAL_UNTOLD: Duration = Duration::from_mins(15);

/// No station reports more often; an interval of zero would make every moment a silence.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The state of the water under every rule at every station.
#[derive(Debug, Clone)]
pub struct Analyzer {
    pub(super) rules: Vec<Rule>,
    pub(super) stations: BTreeMap<StationCode, Post>,
}

/// A station: its rhythm and, in the order of the rules, a watch for each rule that concerns it.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub interval: Duration,
    pub watches: Vec<(usize, Watch)>,
}

/// How the water stands under one rule at one station.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The rule.
    pub rule: RuleCode,
    /// Where.
    pub station: StationCode,
    /// On what.
    pub parameter: ParameterCode,
    /// The state.
    pub water: Water,
    /// The limit of the level reached; `None` unless exceeding.
    pub limit: Option<f64>,
    /// The newest good live value, in the parameter's unit.
    pub value: Option<f64>,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
    /// Since when, in event time, the state holds; `None` before the first answer.
    pub since: Option<Timestamp>,
    /// Why it came to be; `None` before the first answer.
    pub why: Option<Why>,
}

impl Analyzer {
    /// An analyzer that has heard nothing yet.
    ///
    /// # Errors
    /// The first rule that would lie, or that is there twice.
    pub fn new(
        rules: Vec<Rule>,
        intervals: impl IntoIterator<Item = (StationCode, Duration)>,
    ) -> Result<Self, RuleError> {
        let mut analyzer = Self { rules: Vec::new(), stations: BTreeMap::new() };
        analyzer.set_rules(rules)?;
        analyzer.set_intervals(intervals);
        Ok(analyzer)
    }

    /// Takes an admitted report whose values [`crate::Quality`] has judged; its `now` is the report's `received_at`.
    pub fn step(&mut self, admitted: &Admitted, out: &mut Vec<Verdict>) {
        let rules = &self.rules;
        let station = &admitted.station;
        let post = self
            .stations
            .entry(station.clone())
            .or_insert_with(|| Post::new(rules, station, INTERVAL_UNTOLD));
        let (interval, now) = (post.interval, admitted.received_at);
        for (index, watch) in &mut post.watches {
            let site = Site { rule: &rules[*index], station, interval, now };
            watch.tick(&site, out);
            for said in admitted.values.iter().filter(|v| v.parameter == site.rule.parameter) {
                watch.step(&site, admitted, said, out);
            }
        }
    }

    /// Looks for stations that have been silent for too long.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Verdict>) {
        for (wanted, rule) in self.rules.iter().enumerate() {
            for (station, post) in &mut self.stations {
                let site = Site { rule, station, interval: post.interval, now };
                let own = post.watches.iter_mut().filter(|(index, _)| *index == wanted);
                own.for_each(|(_, watch)| watch.tick(&site, out));
            }
        }
    }

    /// How the water stands, rule by rule and station by station. A rule for every station stands where the station has
    /// ever sent its parameter; one that names a station stands there from the start.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let mut all = Vec::new();
        for (wanted, rule) in self.rules.iter().enumerate() {
            for (station, post) in &self.stations {
                let own = post.watches.iter().filter(|(index, _)| *index == wanted);
                let known = own.filter(|(_, watch)| watch.seen || !rule.stations.is_empty());
                all.extend(known.map(|(_, watch)| standing(rule, station, watch)));
            }
        }
        all
    }

    /// Takes new rules. The state under a rule that is still the same (code, parameter, levels, hold) is kept, under
    /// any other it starts anew.
    ///
    /// # Errors
    /// The first rule that would lie, or that is there twice; then the old rules stay.
    pub fn set_rules(&mut self, rules: Vec<Rule>) -> Result<(), RuleError> {
        check(&rules)?;
        let old = std::mem::replace(&mut self.rules, rules);
        for (station, post) in &mut self.stations {
            let fresh = Post::new(&self.rules, station, post.interval);
            let had = std::mem::replace(post, fresh).watches;
            let mut had: HashMap<_, _> =
                had.into_iter().map(|(i, w)| (&old[i].code, (i, w))).collect();
            for (index, watch) in &mut post.watches {
                let rule = &self.rules[*index];
                match had.remove(&rule.code) {
                    Some((i, kept)) if is_same(&old[i], rule) => *watch = kept,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes the stations there are, with their intervals. The state of those that stay is kept, the others' is gone.
    pub fn set_intervals(&mut self, intervals: impl IntoIterator<Item = (StationCode, Duration)>) {
        let mut had = std::mem::take(&mut self.stations);
        for (station, interval) in intervals {
            let interval = interval.max(INTERVAL_MIN);
            let post = match had.remove(&station) {
                Some(post) => Post { interval, ..post },
                None => Post::new(&self.rules, &station, interval),
            };
            self.stations.insert(station, post);
        }
    }
}

impl Post {
    pub fn new(rules: &[Rule], station: &StationCode, interval: Duration) -> Self {
        let own = rules.iter().enumerate().filter(|(_, rule)| rule.watches(station));
        let watches = own.map(|(index, rule)| (index, Watch::new(rule))).collect();
        Self { interval, watches }
    }
}

/// Does the rule judge as before? Its name and the list of its stations do not matter to a station that it watches.
fn is_same(old: &Rule, new: &Rule) -> bool {
    (&old.parameter, &old.levels, old.hold) == (&new.parameter, &new.levels, new.hold)
}

fn check(rules: &[Rule]) -> Result<(), RuleError> {
    let mut codes = BTreeSet::new();
    for rule in rules {
        rule.check()?;
        if !codes.insert(&rule.code) {
            return Err(RuleError::Repeated(rule.code.clone()));
        }
    }
    Ok(())
}

fn standing(rule: &Rule, station: &StationCode, watch: &Watch) -> Standing {
    Standing {
        rule: rule.code.clone(),
        station: station.clone(),
        parameter: rule.parameter.clone(),
        water: watch.water,
        limit: watch.limit(rule),
        value: watch.newest.map(|heard| heard.value),
        taken_at: watch.newest.map(|heard| heard.taken_at),
        since: watch.change.map(|change| change.since),
        why: watch.change.map(|change| change.why),
    }
}
