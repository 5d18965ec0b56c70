//! The ledger's format: one journal record is one event of people, as one JSON object.
//!
//! Constraints: a record is read alone, without its neighbours' help; times are milliseconds of UTC; ids are the
//! domain's, as text; the text of a notice is stored as it was sent, because it is evidence.
//!
//! ```json
//! {"v":1, "at":1773267000000, "what":{"event":"decided", "position":42, "judged":[…]}}
//! ```
//!
//! | event | says | then |
//! |---|---|---|
//! | `decided` | for the readings' record at `position` (null: for no record, as where a rule went away): per changed alert the event, the reason, the evidence and the notices made | each notice waits; its first attempt may begin |
//! | `more_notices` | notices of the `decided` record that follows with the same position and instant, when one record cannot hold them all | they wait only once that record is there |
//! | `attempted` | an attempt failed for now: number, cause, when to try again | the next attempt may begin at `next_at` |
//! | `handed_over` | the other side took it, under these references | only a receipt changes it |
//! | `receipt` | the SMSC says what became of one reference | delivered when all parts are |
//! | `given_up` | no further attempt will be made, and why | final |
//! | `acknowledged` | a person answered an alert | the alert is acknowledged |
//!
//! A first attempt has no record of its own in front of it: that it may have begun follows from `decided` being
//! durable, so one fsync stands before the first message and not two. For the same reason a notice found waiting
//! after a restart *may* have been sent by an attempt whose outcome the power cut took. It is sent again under the
//! same name (Message-ID in an e-mail, `user_message_reference` and part reference in an SMS), so that the other
//! side can tell; an SMS accepted in the very moment of a crash may still arrive twice, once per crash.
//!
//! Since version 0.2 an alert may end as `withdrawn`, because nobody watches any more; a program from before refuses
//! a ledger with that word instead of taking the alert for open.
//!
//! Versions: `v` is 1. A reader refuses a version it does not know, and ignores fields that it does not know; a
//! field that is added later has a default. A torn tail is the journal's business: what is torn was never durable,
//! so nobody was told.

mod rows; // the domain's nouns as they stand in a record

use bytes::Bytes;
use domain::{AlertId, NoticeId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use rows::{Judged, NoticeRow, Read, judged};

/// Notices that one record holds: 256 of about 1 kB are a quarter of the journal's largest record (1 MiB), so that
/// even texts of four times the usual length fit.
pub(crate) const NOTICES_A_RECORD: usize = 256;

/// The version that this module writes.
const VERSION: u8 = 1;

/// One event of people.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Record {
    Decided { position: Option<u64>, judged: Vec<Judged> },
    MoreNotices { position: Option<u64>, alert: String, notices: Vec<NoticeRow> },
    Attempted { notice: String, attempt: u32, cause: String, detail: String, next_at: i64 },
    HandedOver { notice: String, references: Vec<String> },
    Receipt { notice: String, reference: String, delivered: bool, detail: String },
    GivenUp { notice: String, why: String, detail: String },
    Acknowledged { alert: String, by: String, note: String },
}

/// A record with its instant, as read back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    v: u8,
    at: i64,
    what: Record,
}

/// The ledger holds something that cannot be read: the alerting does not start on half a memory.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Not a record of this format.
    #[error("ledger record {position} cannot be read")]
    Malformed {
        /// The record's position in the ledger.
        position: u64,
        /// What was wrong.
        source: serde_json::Error,
    },
    /// Written by a newer version of the product.
    #[error(
        "ledger record {position} is of version {version}; this program reads version {VERSION}"
    )]
    Newer {
        /// The record's position in the ledger.
        position: u64,
        /// Its version.
        version: u8,
    },
    /// A code inside the record is not one.
    #[error("ledger record {position} names something that cannot be")]
    BadCode {
        /// The record's position in the ledger.
        position: u64,
        /// Which.
        source: domain::BadCode,
    },
    /// A word of a closed list is not in the list.
    #[error("ledger record {position} says `{word}`, which this program does not know")]
    BadWord {
        /// The record's position in the ledger.
        position: u64,
        /// The word.
        word: String,
    },
}

/// The records of a decision, in the order in which they are written: `decided` comes last and makes the others count,
/// so a power cut between them leaves nothing decided and nobody half told.
pub(crate) fn decided(position: Option<u64>, mut judged: Vec<Judged>) -> Vec<Record> {
    let mut records = Vec::new();
    let mut room = NOTICES_A_RECORD;
    for judged in &mut judged {
        let rest = judged.notices.split_off(room.min(judged.notices.len()));
        room -= judged.notices.len();
        for notices in rest.chunks(NOTICES_A_RECORD) {
            let (alert, notices) = (judged.alert.clone(), notices.to_vec());
            records.push(Record::MoreNotices { position, alert, notices });
        }
    }
    records.push(Record::Decided { position, judged });
    records
}

impl Record {
    /// The record as bytes.
    pub(crate) fn encode(&self, at: Timestamp) -> Bytes {
        let line = Line { v: VERSION, at: at.as_millis(), what: self.clone() };
        Bytes::from(serde_json::to_vec(&line).expect("strings and numbers always serialize"))
    }

    /// A record and its instant, from the bytes at `position`.
    pub(crate) fn decode(bytes: &[u8], position: u64) -> Result<(Timestamp, Self), LedgerError> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        // A record of another version may not even parse as ours: then its version alone is looked for.
        match (serde_json::from_slice::<Line>(bytes), serde_json::from_slice::<Version>) {
            (Ok(line), _) if line.v == VERSION => Ok((Timestamp::from_millis(line.at), line.what)),
            (Ok(line), _) => Err(LedgerError::Newer { position, version: line.v }),
            (Err(source), version) => match version(bytes) {
                Ok(Version { v }) if v != VERSION => {
                    Err(LedgerError::Newer { position, version: v })
                }
                _ => Err(LedgerError::Malformed { position, source }),
            },
        }
    }

    pub(crate) fn handed_over(notice: &NoticeId, references: Vec<String>) -> Self {
        Self::HandedOver { notice: notice.to_string(), references }
    }

    pub(crate) fn given_up(notice: &NoticeId, why: &str, detail: String) -> Self {
        Self::GivenUp { notice: notice.to_string(), why: why.to_owned(), detail }
    }

    pub(crate) fn acknowledged(alert: &AlertId, by: &str, note: &str) -> Self {
        Self::Acknowledged { alert: alert.to_string(), by: by.to_owned(), note: note.to_owned() }
    }
}

#[cfg(test)]
mod tests;
