//! The domain's nouns as they stand in a record: border types, converted by hand both ways.

use domain::{
    Alert, AlertEvent, AlertId, ChannelKind, EventKind, Notice, NoticeId, ParameterCode, PersonId,
    RuleCode, StationCode, Timestamp, Verdict, Water,
};
use serde::{Deserialize, Serialize};

use super::LedgerError;
use crate::desk::Decision;

/// One alert that changed: what happened, why, on what evidence, and who is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) alert: String,
    rule: String,
    station: String,
    parameter: String,
    level: u8,
    raised_at: i64,
    kind: String,
    /// When it happened, by the engine's clock; the record's own instant is when it was written down.
    at: i64,
    because: String,
    evidence: Evidence,
    pub(crate) notices: Vec<NoticeRow>,
}

/// The verdict that the decision stands on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Evidence {
    water: String,
    before: String,
    why: String,
    value: Option<f64>,
    limit: Option<f64>,
    taken_at: Option<i64>,
    since: i64,
    judged_at: i64,
}

/// A notice as it was made. One that the full outbox could not take is given up in the same breath.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NoticeRow {
    id: String,
    person: String,
    channel: String,
    address: String,
    subject: String,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up: Option<String>,
}

/// Writes down a decision on `alert` (as it is after the decision).
pub(crate) fn judged(
    alert: &Alert,
    decision: Decision,
    event: &AlertEvent,
    verdict: &Verdict,
    notices: Vec<NoticeRow>,
) -> Judged {
    Judged {
        alert: alert.id.to_string(),
        rule: alert.rule.to_string(),
        station: alert.station.to_string(),
        parameter: alert.parameter.to_string(),
        level: alert.level,
        raised_at: alert.raised_at.as_millis(),
        kind: event.kind.as_str().to_owned(),
        at: event.at.as_millis(),
        because: decision.because().as_str().to_owned(),
        evidence: Evidence {
            water: water(verdict.water),
            before: water(verdict.before),
            why: verdict.why.as_str().to_owned(),
            value: verdict.value.filter(|v| v.is_finite()),
            limit: verdict.limit.filter(|v| v.is_finite()),
            taken_at: verdict.taken_at.map(Timestamp::as_millis),
            since: verdict.since.as_millis(),
            judged_at: verdict.judged_at.as_millis(),
        },
        notices,
    }
}

fn water(water: Water) -> String {
    match water {
        Water::Unknown => "unknown".to_owned(),
        Water::Safe => "safe".to_owned(),
        Water::Exceed(level) => format!("exceed {level}"),
    }
}

/// What a [`Judged`] says, in the domain's words.
pub(crate) struct Read {
    pub(crate) id: AlertId,
    pub(crate) rule: RuleCode,
    pub(crate) station: StationCode,
    pub(crate) parameter: ParameterCode,
    pub(crate) level: u8,
    pub(crate) raised_at: Timestamp,
    pub(crate) event: AlertEvent,
}

impl Judged {
    pub(crate) fn read(&self, position: u64) -> Result<Read, LedgerError> {
        let bad = |source| LedgerError::BadCode { position, source };
        let kind = EventKind::parse(&self.kind)
            .ok_or_else(|| LedgerError::BadWord { position, word: self.kind.clone() })?;
        Ok(Read {
            id: AlertId::from_text(&self.alert),
            rule: RuleCode::new(&self.rule).map_err(bad)?,
            station: StationCode::new(&self.station).map_err(bad)?,
            parameter: ParameterCode::new(&self.parameter).map_err(bad)?,
            level: self.level,
            raised_at: Timestamp::from_millis(self.raised_at),
            event: AlertEvent {
                kind,
                at: Timestamp::from_millis(self.at),
                value: self.evidence.value,
                taken_at: self.evidence.taken_at.map(Timestamp::from_millis),
                limit: self.evidence.limit,
                why: self.because.clone(),
                by: None,
            },
        })
    }
}

impl NoticeRow {
    pub(crate) fn new(notice: &Notice) -> Self {
        Self {
            id: notice.id.to_string(),
            person: notice.person.to_string(),
            channel: notice.channel.as_str().to_owned(),
            address: notice.address.clone(),
            subject: notice.subject.clone(),
            body: notice.body.clone(),
            given_up: None,
        }
    }

    pub(crate) fn read(
        &self,
        alert: &AlertId,
        at: Timestamp,
        position: u64,
    ) -> Result<Notice, LedgerError> {
        let channel = ChannelKind::parse(&self.channel)
            .ok_or_else(|| LedgerError::BadWord { position, word: self.channel.clone() })?;
        Ok(Notice {
            id: NoticeId::from_text(&self.id),
            alert: alert.clone(),
            person: PersonId::new(&self.person)
                .map_err(|source| LedgerError::BadCode { position, source })?,
            channel,
            address: self.address.clone(),
            subject: self.subject.clone(),
            body: self.body.clone(),
            made_at: at,
        })
    }
}
