//! The rules of the book, parted into those that can be computed and those that cannot. The book may change under a
//! rule (a range is narrowed, a station goes), and a rule that cannot be computed must neither stop the engine nor be
//! passed over: it is logged, counted, and shown as *unknown* wherever it should watch.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use alerting::{Alerting, AlertingError, Roster};
use analytics::rules::Standing;
use domain::{Alert, AlertState, Rule, StationCode, Timestamp, Water, Why};
use registry::{Misfit, misfits};

/// The rules, as they were when the book was last read.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What the analyzer computes.
    pub usable: Vec<Rule>,
    /// What nobody can compute.
    pub unusable: Vec<Unusable>,
    stations: BTreeSet<StationCode>,
}

/// A rule that cannot be computed at these stations.
#[derive(Debug, Clone)]
pub struct Unusable {
    /// The rule, with the stations at which it cannot be computed (none: at no station).
    pub rule: Rule,
    /// Why, in words.
    pub why: String,
}

/// The rules, shared with those who ask where things stand; replaced when the book changes.
#[derive(Debug, Clone, Default)]
pub struct SharedRules(Arc<RwLock<Arc<Rules>>>);

impl SharedRules {
    /// The rules as they are.
    #[must_use]
    pub fn get(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes others.
    pub fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

impl Rules {
    /// Parts the rules of the book. Each that cannot be computed is logged and counted.
    #[must_use]
    pub fn sort(book: &Roster) -> Self {
        let codes: Vec<StationCode> = book.stations.iter().map(|s| s.code.clone()).collect();
        let mut rules = Self { stations: codes.iter().cloned().collect(), ..Self::default() };
        for rule in &book.rules {
            if let Err(why) = rule.check() {
                report("malformed", &why.to_string());
                rules.unusable.push(Unusable { rule: rule.clone(), why: why.to_string() });
                continue;
            }
            let misfits = misfits(rule, &book.parameters, &codes);
            for misfit in &misfits {
                report(misfit.as_str(), &misfit.to_string());
            }
            rules.take(rule, &misfits);
        }
        metrics::gauge!("saltline_rules_unusable").set(rules.unusable.len() as f64);
        rules
    }

    /// A station that is not there keeps the rule from being computed there, and nowhere else.
    fn take(&mut self, rule: &Rule, misfits: &[Misfit]) {
        let mut left = rule.clone();
        for misfit in misfits {
            let mut broken = rule.clone();
            if let Misfit::NoSuchStation { station, .. } = misfit {
                broken.stations = vec![station.clone()];
                left.stations.retain(|code| code != station);
            } else {
                left.stations.clear();
            }
            self.unusable.push(Unusable { rule: broken, why: misfit.to_string() });
        }
        // A rule whose stations are all gone must not become one for every station.
        if misfits.is_empty() || !left.stations.is_empty() {
            self.usable.push(left);
        }
    }

    /// Where the rules that cannot be computed should watch, nobody knows how the water is.
    #[must_use]
    pub fn unknown(&self) -> Vec<Standing> {
        let mut all = Vec::new();
        for Unusable { rule, .. } in &self.unusable {
            let everywhere = rule.stations.is_empty();
            let at: Vec<_> = if everywhere {
                self.stations.iter().collect()
            } else {
                rule.stations.iter().collect()
            };
            all.extend(at.into_iter().map(|station| unknown(rule, station)));
        }
        all
    }

    /// Why nobody watches any more what this alert is about; `None` where somebody does.
    #[must_use]
    pub fn unwatched(&self, alert: &Alert) -> Option<Why> {
        let same = |rule: &&Rule| rule.code == alert.rule;
        let watched = self.stations.contains(&alert.station)
            && self
                .usable
                .iter()
                .filter(same)
                .any(|rule| rule.parameter == alert.parameter && rule.watches(&alert.station));
        if watched {
            return None;
        }
        let mut broken = self.unusable.iter().map(|unusable| &unusable.rule).filter(same);
        if broken.any(|rule| rule.watches(&alert.station)) {
            return Some(Why::RuleUnusable);
        }
        let known = self.usable.iter().any(|rule| same(&rule));
        Some(if known { Why::NotWatched } else { Why::RuleRemoved })
    }

    /// Ends the open alerts that nobody watches any more. Found by looking, so it does not matter how the rule went,
    /// nor whether the engine ran meanwhile. Returns those that ended.
    ///
    /// # Errors
    /// [`AlertingError`] where the ledger cannot be written.
    pub async fn withdraw(
        &self,
        alerting: &Alerting,
        now: Timestamp,
    ) -> Result<Vec<Arc<Alert>>, AlertingError> {
        let open = alerting.alerts().into_iter().filter(|alert| alert.state != AlertState::Cleared);
        let unwatched: Vec<_> =
            open.filter_map(|alert| self.unwatched(&alert).map(|why| (alert, why))).collect();
        if unwatched.is_empty() {
            return Ok(Vec::new());
        }
        let ended = alerting.withdraw(&unwatched, now).await?;
        Ok(ended.into_iter().map(|decided| decided.alert).collect())
    }
}

fn report(why: &'static str, words: &str) {
    metrics::counter!("saltline_rules_unusable_total", "why" => why).increment(1);
    tracing::error!(why, "{words}; it is shown as unknown");
}

fn unknown(rule: &Rule, station: &StationCode) -> Standing {
    Standing {
        rule: rule.code.clone(),
        station: station.clone(),
        parameter: rule.parameter.clone(),
        water: Water::Unknown,
        limit: None,
        value: None,
        taken_at: None,
        since: None,
        why: Some(Why::RuleUnusable),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{AlertId, Level, ParameterCode, RuleCode, Station, standard_parameters};

    use super::*;

    fn rule(code: &str, parameter: &str, stations: &[&str], limit: f64) -> Rule {
        Rule {
            code: RuleCode::new(code).unwrap(),
            name: code.to_owned(),
            parameter: ParameterCode::new(parameter).unwrap(),
            stations: stations.iter().map(|code| StationCode::new(code).unwrap()).collect(),
            levels: vec![Level { limit, clear: limit * 0.9 }],
            hold: Duration::ZERO,
        }
    }

    /// The book has the stations a and b.
    fn sorted(rules: Vec<Rule>) -> Rules {
        let stations = ["a", "b"].map(|code| Station::new(StationCode::new(code).unwrap()));
        Rules::sort(&Roster {
            rules,
            stations: stations.to_vec(),
            parameters: standard_parameters(),
            ..Roster::default()
        })
    }

    fn alert(rule: &str, station: &str) -> Alert {
        let (rule, station) = (RuleCode::new(rule).unwrap(), StationCode::new(station).unwrap());
        Alert {
            id: AlertId::raised(&rule, &station, 7),
            rule,
            station,
            parameter: ParameterCode::new("salinity").unwrap(),
            level: 0,
            state: AlertState::Open,
            raised_at: Timestamp::from_millis(0),
            cleared_at: None,
            events: Vec::new(),
        }
    }

    fn unknown_at(rules: &Rules) -> Vec<String> {
        let all = rules.unknown();
        assert!(all.iter().all(|one| one.why == Some(Why::RuleUnusable)));
        assert!(all.iter().all(|one| one.water == Water::Unknown));
        all.iter().map(|one| format!("{}@{}", one.rule, one.station)).collect()
    }

    #[test]
    fn a_rule_that_cannot_be_computed_is_unknown_and_the_others_are_judged() {
        let mut lying = rule("lying", "salinity", &["a"], 4.0);
        lying.levels[0].clear = 4.0;
        let rules = sorted(vec![
            rule("good", "salinity", &[], 4.0),
            rule("misspelt", "salinty", &[], 4.0),
            rule("far", "salinity", &["b"], 400.0),
            lying,
        ]);
        assert_eq!(rules.usable.iter().map(|r| r.code.as_str()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(unknown_at(&rules), ["misspelt@a", "misspelt@b", "far@b", "lying@a"]);
    }

    #[test]
    fn a_station_that_is_gone_leaves_the_rule_to_the_others_and_never_to_all() {
        let rules = sorted(vec![
            rule("two", "salinity", &["a", "gone"], 4.0),
            rule("none", "salinity", &["gone"], 4.0),
        ]);
        assert_eq!(rules.usable.len(), 1);
        assert_eq!(rules.usable[0].stations, [StationCode::new("a").unwrap()]);
        assert_eq!(unknown_at(&rules), ["two@gone", "none@gone"]);
    }

    #[test]
    fn an_alert_is_withdrawn_with_the_reason_for_which_nobody_watches() {
        let rules = sorted(vec![
            rule("salt", "salinity", &["a"], 4.0),
            rule("acid", "ph", &[], 9.0),
            rule("far", "salinity", &[], 400.0),
        ]);
        let why = |code, station| rules.unwatched(&alert(code, station));
        assert_eq!(why("salt", "a"), None);
        assert_eq!(why("salt", "b"), Some(Why::NotWatched), "the rule is for another station");
        assert_eq!(why("acid", "a"), Some(Why::NotWatched), "the rule is on another parameter now");
        assert_eq!(why("far", "a"), Some(Why::RuleUnusable));
        assert_eq!(why("renamed", "a"), Some(Why::RuleRemoved));
        assert_eq!(why("acid", "gone"), Some(Why::NotWatched));
    }
}
