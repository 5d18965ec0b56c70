//! The fold of the ledger: which alerts are open, which notices wait, what became of the rest. A pure function of
//! the records in their order, bounded in memory: what is open or waiting is kept always, of what is over the newest.

mod alerts; // the open ones and the newest of the closed
mod notices; // the waiting ones and the newest of the settled

use std::sync::Arc;

use domain::{Alert, AlertId, EventKind, Notice, NoticeId, Timestamp};

use crate::ledger::{LedgerError, Record};
use alerts::Alerts;
use notices::Notices;

pub(crate) use alerts::with_event;

/// Where a notice stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeState {
    /// Not handed over yet.
    Waiting {
        /// Attempts that failed.
        attempts: u32,
        /// Not before this.
        next_at: Timestamp,
        /// What the last attempt said.
        last_error: Option<String>,
    },
    /// The mail server or the SMSC took it.
    HandedOver {
        /// When.
        at: Timestamp,
        /// What the other side calls it; the parts of a long SMS divided by commas.
        reference: String,
    },
    /// The SMSC reported it delivered to the phone.
    Delivered {
        /// When the receipt came.
        at: Timestamp,
    },
    /// No further attempt is made.
    GivenUp {
        /// When.
        at: Timestamp,
        /// Why: a word of [`GaveUp`], then the other side's words.
        why: String,
    },
}

/// Why a notice is given up, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GaveUp {
    /// The other side said never.
    Refused,
    /// It could not be handed over in the time in which it is worth something.
    TooLate,
    /// The SMSC took it and then reported that it will not arrive.
    NotDelivered,
    /// More notices waited than the outbox takes.
    OutboxFull,
}

impl GaveUp {
    /// The reason as logs, counters and the ledger write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TooLate => "too_late",
            Self::NotDelivered => "not_delivered",
            Self::OutboxFull => "outbox_full",
        }
    }
}

/// A notice and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeView {
    /// The message.
    pub notice: Arc<Notice>,
    /// Where it stands.
    pub state: NoticeState,
}

/// A notice that was read before the decision that it belongs to.
#[derive(Debug)]
struct Announced {
    of: Option<u64>,
    notice: Notice,
    given_up: Option<String>,
    position: u64,
}

/// The alerting's memory.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) decided_to: Option<u64>,
    pub(crate) alerts: Alerts,
    pub(crate) notices: Notices,
    /// Notices whose decision has not been read yet: they count once it is there.
    announced: Vec<Announced>,
}

impl Book {
    /// Takes in the record at `position` of the ledger.
    pub(crate) fn apply(
        &mut self,
        at: Timestamp,
        record: &Record,
        position: u64,
    ) -> Result<(), LedgerError> {
        match record {
            Record::Decided { position: decided, judged } => {
                for judged in judged {
                    let read = judged.read(position)?;
                    let alert = read.id.clone();
                    self.alerts.judged(read, position);
                    for row in &judged.notices {
                        let notice = row.read(&alert, at, position)?;
                        self.notices.made(notice, row.given_up.as_deref(), position);
                    }
                }
                for announced in std::mem::take(&mut self.announced) {
                    if (announced.of, announced.notice.made_at) == (*decided, at) {
                        let given_up = announced.given_up.as_deref();
                        self.notices.made(announced.notice, given_up, announced.position);
                    }
                }
                self.decided_to = self.decided_to.max(*decided);
            }
            Record::MoreNotices { position: of, alert, notices } => {
                let alert = AlertId::from_text(alert);
                for row in notices {
                    let notice = row.read(&alert, at, position)?;
                    let given_up = row.given_up.clone();
                    self.announced.push(Announced { of: *of, notice, given_up, position });
                }
            }
            Record::Attempted { notice, attempt, cause, detail, next_at } => {
                let next_at = Timestamp::from_millis(*next_at);
                let id = NoticeId::from_text(notice);
                self.notices.put_off(&id, *attempt, next_at, format!("{cause}: {detail}"));
            }
            Record::HandedOver { notice, references } => {
                self.notices.handed_over(&NoticeId::from_text(notice), at, references);
            }
            Record::Receipt { notice, reference, delivered, detail } => {
                let id = NoticeId::from_text(notice);
                self.notices.receipt(&id, at, reference, *delivered, detail);
            }
            Record::GivenUp { notice, why, detail } => {
                self.notices.given_up(&NoticeId::from_text(notice), at, format!("{why}: {detail}"));
            }
            Record::Acknowledged { alert, by, note } => {
                self.alerts.acknowledged(&AlertId::from_text(alert), at, by, note);
            }
        }
        Ok(())
    }

    /// The ledger record from which on a fold gives this memory again: everything before it concerns only what is
    /// over and forgotten. `None` while nothing is remembered.
    pub(crate) fn begins(&self) -> Option<u64> {
        [self.alerts.begins(), self.notices.begins()].into_iter().flatten().min()
    }

    /// The open alert of this verdict's rule and station.
    pub(crate) fn open_for(&self, verdict: &domain::Verdict) -> Option<Arc<Alert>> {
        self.alerts.open_for(&verdict.rule, &verdict.station)
    }
}

/// The event of a person's answer.
pub(crate) fn answer(at: Timestamp, by: &str, note: &str) -> domain::AlertEvent {
    domain::AlertEvent {
        kind: EventKind::Acknowledged,
        at,
        value: None,
        taken_at: None,
        limit: None,
        why: note.to_owned(),
        by: Some(by.to_owned()),
    }
}

#[cfg(test)]
mod tests;
