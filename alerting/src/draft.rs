//! What the desk's decisions write down: for each verdict the alert as it will be, and the notices worded for those
//! who have to know. Pure: the same book, roster and verdicts give the same draft, with the same ids.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{
    Alert, AlertEvent, AlertId, AlertState, ChannelKind, EventKind, Notice, NoticeId, RuleCode,
    StationCode, Timestamp, Verdict, Water,
};

use crate::alerting::Decided;
use crate::book::{Book, GaveUp, with_event};
use crate::desk::{Decision, decide, voice};
use crate::ledger::{Judged, NoticeRow, judged};
use crate::outbox::WAITING_MAX;
use crate::roster::Roster;
use crate::wording::{Happening, word};

/// What the draft is made from.
pub(crate) struct Desk<'a> {
    pub(crate) book: &'a Book,
    pub(crate) roster: &'a Roster,
    pub(crate) public_url: Option<&'a str>,
    /// The readings' record that gave the verdicts.
    pub(crate) position: u64,
    pub(crate) now: Timestamp,
}

/// The alerts as the draft has them so far: several verdicts of one record may concern one alert.
#[derive(Default)]
struct Scratch {
    open: HashMap<(RuleCode, StationCode), Option<Arc<Alert>>>,
    /// Events that the draft adds to each alert.
    added: HashMap<AlertId, usize>,
    notices: HashMap<ChannelKind, usize>,
}

/// One decision as it will be written down.
pub(crate) struct Draft {
    pub(crate) decided: Decided,
    pub(crate) row: Judged,
}

/// Decides on every verdict; a hold writes nothing down, and is returned with its reason for the counters.
pub(crate) fn draft(desk: &Desk<'_>, verdicts: &[Verdict]) -> (Vec<Draft>, Vec<Decision>) {
    let mut scratch = Scratch::default();
    let (mut drafts, mut holds) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        let open = open_alert(desk, &scratch, verdict);
        let decision = decide(open.as_deref(), verdict);
        match decision.event() {
            Some(kind) => drafts.push(write(desk, &mut scratch, open, verdict, decision, kind)),
            None => holds.push(decision),
        }
    }
    (drafts, holds)
}

fn open_alert(desk: &Desk<'_>, scratch: &Scratch, verdict: &Verdict) -> Option<Arc<Alert>> {
    let key = (verdict.rule.clone(), verdict.station.clone());
    scratch.open.get(&key).cloned().unwrap_or_else(|| desk.book.open_for(verdict))
}

fn write(
    desk: &Desk<'_>,
    scratch: &mut Scratch,
    open: Option<Arc<Alert>>,
    verdict: &Verdict,
    decision: Decision,
    kind: EventKind,
) -> Draft {
    let before = match (kind, open) {
        (EventKind::Raised | EventKind::Backlog, _) | (_, None) => {
            Arc::new(newborn(desk, scratch, verdict, kind))
        }
        (_, Some(open)) => open,
    };
    let event = event(desk, &before, verdict, decision, kind);
    let level = level(verdict).unwrap_or(before.level);
    let alert = Arc::new(with_event(&before, level, event.clone()));
    let number = number(desk, scratch, &alert.id);
    // Who was told of the higher level has to hear that it fell.
    let concern = level.max(before.level);
    let notices = notices(desk, scratch, &alert, &event, decision, concern, number);
    if kind != EventKind::Backlog {
        let still_open = (alert.state != AlertState::Cleared).then(|| Arc::clone(&alert));
        scratch.open.insert((alert.rule.clone(), alert.station.clone()), still_open);
    }
    let told = notices.iter().filter(|row| row.given_up.is_none()).count();
    let row = judged(&alert, decision, &event, verdict, notices);
    Draft { decided: Decided { alert, decision, event: kind, notices: told }, row }
}

fn newborn(desk: &Desk<'_>, scratch: &Scratch, verdict: &Verdict, kind: EventKind) -> Alert {
    let past = kind == EventKind::Backlog;
    Alert {
        id: fresh_id(desk, scratch, verdict, past),
        rule: verdict.rule.clone(),
        station: verdict.station.clone(),
        parameter: verdict.parameter.clone(),
        level: level(verdict).unwrap_or(0),
        state: AlertState::Open,
        // An alert of the past stands where the water crossed the limit, not where we learned of it.
        raised_at: if past { verdict.taken_at.unwrap_or(verdict.since) } else { desk.now },
        cleared_at: None,
        events: Vec::new(),
    }
}

/// The id of the event that this record raised. One record may raise several (a long backlog): the second and later
/// ones, and every one of the past, carry a letter and a number behind the position.
fn fresh_id(desk: &Desk<'_>, scratch: &Scratch, verdict: &Verdict, past: bool) -> AlertId {
    let first = AlertId::raised(&verdict.rule, &verdict.station, desk.position);
    let taken = |id: &AlertId| scratch.added.contains_key(id) || desk.book.alerts.get(id).is_some();
    if !past && !taken(&first) {
        return first;
    }
    let letter = if past { 'b' } else { 'r' };
    (1..)
        .map(|n: u32| AlertId::from_text(&format!("{first}{letter}{n}")))
        .find(|id| !taken(id))
        .expect("there are more numbers than alerts")
}

fn event(
    desk: &Desk<'_>,
    alert: &Alert,
    verdict: &Verdict,
    decision: Decision,
    kind: EventKind,
) -> AlertEvent {
    let last_limit = || alert.events.iter().rev().find_map(|event| event.limit);
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    AlertEvent {
        kind,
        at: desk.now,
        value: finite(verdict.value),
        taken_at: verdict.taken_at,
        limit: finite(verdict.limit).or_else(last_limit),
        why: decision.because().as_str().to_owned(),
        by: None,
    }
}

const fn level(verdict: &Verdict) -> Option<u8> {
    match verdict.water {
        Water::Exceed(level) => Some(level),
        Water::Safe | Water::Unknown => None,
    }
}

fn number(desk: &Desk<'_>, scratch: &mut Scratch, id: &AlertId) -> usize {
    let added = scratch.added.entry(id.clone()).or_default();
    *added += 1;
    desk.book.alerts.events_ever(id) + *added - 1
}

fn notices(
    desk: &Desk<'_>,
    scratch: &mut Scratch,
    alert: &Alert,
    event: &AlertEvent,
    decision: Decision,
    concern: u8,
    number: usize,
) -> Vec<NoticeRow> {
    let told = desk.roster.who(&alert.rule, &alert.station, concern, voice(alert, event.kind));
    for (person, channel, why) in &told.missed {
        metrics::counter!("saltline_duties_missed_total", "why" => why.as_str()).increment(1);
        let why = why.as_str();
        tracing::warn!(%person, %channel, why, alert = %alert.id, "a duty reached nobody");
    }
    let because = decision.because();
    let what =
        Happening { alert, event, because, roster: desk.roster, public_url: desk.public_url };
    told.to
        .into_iter()
        .map(|to| {
            let worded = word(&what, to.person, to.channel);
            let mut row = NoticeRow::new(&Notice {
                id: NoticeId::new(&alert.id, number, &to.person.id, to.channel),
                alert: alert.id.clone(),
                person: to.person.id.clone(),
                channel: to.channel,
                address: to.address.to_owned(),
                subject: worded.subject,
                body: worded.body,
                made_at: desk.now,
            });
            let made = scratch.notices.entry(to.channel).or_default();
            *made += 1;
            if WAITING_MAX < desk.book.notices.waiting(to.channel) + *made {
                row.given_up = Some(GaveUp::OutboxFull.as_str().to_owned());
            }
            row
        })
        .collect()
}
