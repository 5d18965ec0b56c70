//! Alerts in memory: every open one, and the newest of the closed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use domain::{Alert, AlertEvent, AlertId, AlertState, EventKind, RuleCode, StationCode, Timestamp};

use super::answer;
use crate::ledger::Read;

/// Closed alerts that stay in memory, for the pages and the API. 60 stations with two rules and two tides a day close
/// about 120 alerts on the worst day: two weeks of those, in about 2 MB. Older ones are in the ledger on disk.
const CLOSED_MAX: usize = 2_000;

/// Events that an alert keeps. The worst alert known to us changes eight times a day; this is two months of it.
/// Beyond it the oldest but the first goes, so that how it began can always be shown.
const EVENTS_MAX: usize = 500;

#[derive(Debug)]
struct Kept {
    alert: Arc<Alert>,
    /// Counts the alerts in the order of the ledger.
    born: u64,
    /// Counts all events there ever were, so that a notice's id never comes twice.
    events_ever: usize,
    /// Where in the ledger its life begins.
    begins: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Alerts {
    kept: HashMap<AlertId, Kept>,
    open: HashMap<(RuleCode, StationCode), AlertId>,
    by_birth: BTreeMap<u64, AlertId>,
    closed: VecDeque<AlertId>,
    births: u64,
}

impl Alerts {
    pub(crate) fn open_for(&self, rule: &RuleCode, station: &StationCode) -> Option<Arc<Alert>> {
        let id = self.open.get(&(rule.clone(), station.clone()))?;
        self.get(id)
    }

    pub(crate) fn get(&self, id: &AlertId) -> Option<Arc<Alert>> {
        self.kept.get(id).map(|kept| Arc::clone(&kept.alert))
    }

    pub(crate) fn newest_first(&self) -> Vec<Arc<Alert>> {
        self.by_birth.values().rev().filter_map(|id| self.get(id)).collect()
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many events the alert ever had; the next event has this number.
    pub(crate) fn events_ever(&self, id: &AlertId) -> usize {
        self.kept.get(id).map_or(0, |kept| kept.events_ever)
    }

    /// The first ledger record that any alert in memory needs.
    pub(crate) fn begins(&self) -> Option<u64> {
        self.kept.values().map(|kept| kept.begins).min()
    }

    pub(crate) fn judged(&mut self, read: Read, position: u64) {
        let kind = read.event.kind;
        let key = (read.rule.clone(), read.station.clone());
        let id = read.id.clone();
        let alert = match self.kept.get(&id) {
            Some(kept) => with_event(&kept.alert, read.level, read.event),
            None => with_event(&newborn(&read), read.level, read.event),
        };
        match kind {
            EventKind::Raised => {
                self.open.insert(key, id.clone());
            }
            EventKind::Cleared | EventKind::Withdrawn => {
                self.open.remove(&key);
            }
            _ => {}
        }
        self.keep(&id, alert, position);
        if ends(kind) {
            self.close(id);
        }
    }

    pub(crate) fn acknowledged(&mut self, id: &AlertId, at: Timestamp, by: &str, note: &str) {
        let Some(kept) = self.kept.get(id) else { return };
        let (begins, level) = (kept.begins, kept.alert.level);
        let alert = with_event(&kept.alert, level, answer(at, by, note));
        self.keep(id, alert, begins);
    }

    fn keep(&mut self, id: &AlertId, alert: Alert, position: u64) {
        let births = &mut self.births;
        let by_birth = &mut self.by_birth;
        let kept = self.kept.entry(id.clone()).or_insert_with(|| {
            let born = *births;
            *births += 1;
            by_birth.insert(born, id.clone());
            Kept { alert: Arc::new(alert.clone()), born, events_ever: 0, begins: position }
        });
        kept.alert = Arc::new(alert);
        kept.events_ever += 1;
    }

    fn close(&mut self, id: AlertId) {
        self.closed.push_back(id);
        while CLOSED_MAX < self.closed.len() {
            let Some(oldest) = self.closed.pop_front() else { return };
            if let Some(kept) = self.kept.remove(&oldest) {
                self.by_birth.remove(&kept.born);
            }
        }
    }
}

/// After it the alert is over, for whichever reason.
const fn ends(kind: EventKind) -> bool {
    matches!(kind, EventKind::Cleared | EventKind::Backlog | EventKind::Withdrawn)
}

fn newborn(read: &Read) -> Alert {
    Alert {
        id: read.id.clone(),
        rule: read.rule.clone(),
        station: read.station.clone(),
        parameter: read.parameter.clone(),
        level: read.level,
        state: AlertState::Open,
        raised_at: read.raised_at,
        cleared_at: None,
        events: Vec::new(),
    }
}

/// The alert after this event: the one place that says what an event does to an alert.
pub(crate) fn with_event(alert: &Alert, level: u8, event: AlertEvent) -> Alert {
    let mut after = alert.clone();
    after.level = level;
    match event.kind {
        kind if ends(kind) => {
            after.state = AlertState::Cleared;
            after.cleared_at = Some(event.at);
        }
        EventKind::Acknowledged if after.state == AlertState::Open => {
            after.state = AlertState::Acknowledged;
        }
        // What is worse than what was answered needs a new answer.
        EventKind::Worsened => after.state = AlertState::Open,
        _ => {}
    }
    after.events.push(event);
    if EVENTS_MAX < after.events.len() {
        after.events.remove(1);
    }
    after
}
