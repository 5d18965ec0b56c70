//! Publishes between their arrival and their acknowledgement. What one read brought is one batch and one commit;
//! while it runs the next is gathered. Acknowledgements leave in the order of arrival, and only with a [`Proof`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::intake::{Batch, Intake, Proof};
use bytes::BytesMut;
use domain::{Reason, Refusal};
use journal::JournalError;

use super::Config;
use super::message::Message;
use super::wire::{self, Answering, Version, code};

/// Commits of one connection under way at one time. One runs, one waits for the disk; two more hide the time between
/// the end of a sync and the next read.
const COMMITS_MAX: usize = 4;

/// The longest reason string: PUBACK is for a technician's eyes, and some clients keep small buffers.
const WHY_BYTES_MAX: usize = 200;

/// An answer to be: to a publish, or to what followed it with QoS 2. All of them wait for the disk, because each says
/// that something will be remembered.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) kind: Answering,
    pub(super) id: u16,
    pub(super) verdict: Verdict,
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Verdict {
    Good,
    /// The same as before: the message came twice.
    Again,
    /// The id of a PUBREC, PUBREL or PUBCOMP is not known.
    UnknownId,
    /// The client's words were not believed.
    Refused(Fate, Refusal),
}

/// How much of a packet was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Partly,
    Wholly,
}

/// What was gathered and is made durable together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) batch: Batch,
    pub(super) acks: Vec<Ack>,
    /// Readings that subscribers get once they are on disk, and whether they are retained.
    pub(super) echoes: Vec<(Arc<Message>, bool)>,
    publishes: usize,
    bytes: usize,
    puback_count: usize,
}

struct Committing {
    commit: Pin<Box<dyn Future<Output = Result<Proof, JournalError>> + Send>>,
    group: Group,
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbound {
    pub(super) gathering: Group,
    committing: VecDeque<Committing>,
    /// Publishes and their bytes in all groups.
    publishes: usize,
    bytes: usize,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.publishes == 0
    }
}

impl Inbound {
    /// May another publish be taken? What does not fit stays in the socket, and TCP slows the client down.
    pub(super) fn has_room(&self, config: &Config) -> bool {
        self.publishes < usize::from(config.in_flight_max)
            && self.bytes < config.in_flight_bytes_max
    }

    /// Counts a publish that was added to the gathering group.
    pub(super) fn add(&mut self, bytes: usize) {
        self.publishes += 1;
        self.bytes += bytes;
        self.gathering.publishes += 1;
        self.gathering.bytes += bytes;
    }

    /// Messages with QoS 1 that the client waits to hear of.
    pub(super) fn unacknowledged(&self) -> usize {
        let committing: usize = self.committing.iter().map(|it| it.group.puback_count).sum();
        committing + self.gathering.puback_count
    }

    /// Adds an answer to the gathering group.
    pub(super) fn answer(&mut self, ack: Ack) {
        self.gathering.puback_count += usize::from(ack.kind == Answering::Ack);
        self.gathering.acks.push(ack);
    }

    /// Ids of messages with QoS 2 for which there will be no PUBREC, because the connection ends before the disk said
    /// that they are kept.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = u16> {
        let groups = self.committing.iter().map(|it| &it.group).chain([&self.gathering]);
        let acks = groups.flat_map(|group| &group.acks);
        let first =
            |ack: &&Ack| ack.kind == Answering::Rec && !matches!(ack.verdict, Verdict::Again);
        acks.filter(first).map(|ack| ack.id)
    }

    /// Starts the commit of what was gathered, if there is anything and a commit is free.
    pub(super) fn commit(&mut self, intake: &Intake) {
        if self.gathering.is_empty() || COMMITS_MAX <= self.committing.len() {
            return;
        }
        let mut group = std::mem::take(&mut self.gathering);
        let commit = Box::pin(intake.commit(std::mem::take(&mut group.batch)));
        self.committing.push_back(Committing { commit, group });
    }

    /// Is nothing under way?
    pub(super) fn is_idle(&self) -> bool {
        self.committing.is_empty()
    }

    /// The oldest commit's group and proof; never ready when there is none.
    pub(super) fn poll_proven(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Group, Proof), JournalError>> {
        let Some(front) = self.committing.front_mut() else { return Poll::Pending };
        let proof = ready!(front.commit.as_mut().poll(cx));
        let Some(Committing { group, .. }) = self.committing.pop_front() else {
            return Poll::Pending;
        };
        self.publishes -= group.publishes;
        self.bytes -= group.bytes;
        Poll::Ready(proof.map(|proof| (group, proof)))
    }
}

/// Writes an answer. The proof is what makes it true.
pub(super) fn answer(to: &mut BytesMut, version: Version, ack: &Ack, why: Why, _: &Proof) {
    let detail = |refusal| if why == Why::Told { short(refusal) } else { "" };
    let told = match &ack.verdict {
        Verdict::Good | Verdict::Again => (code::SUCCESS, ""),
        Verdict::UnknownId => (code::ID_NOT_FOUND, ""),
        Verdict::Refused(Fate::Wholly, refusal) => {
            (reason_code(refusal.reason), detail(&refusal.detail))
        }
        Verdict::Refused(Fate::Partly, refusal) => (code::SUCCESS, detail(&refusal.detail)),
    };
    wire::answer(to, version, ack.kind, ack.id, told);
}

/// Does the client take reason strings?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Told,
    Untold,
}

/// The answer of MQTT 5 to each reason.
pub(super) const fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::ForeignTopic => code::NOT_AUTHORIZED,
        _ => code::PAYLOAD_INVALID,
    }
}

/// The start of a text, cut between letters.
fn short(text: &str) -> &str {
    let mut end = text.len().min(WHY_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_vietnamese_reason_is_cut_between_letters() {
        let long = "độ mặn ".repeat(40);
        assert!(short(&long).len() <= WHY_BYTES_MAX);
        assert!(long.starts_with(short(&long)));
        assert_eq!(short("ngắn"), "ngắn");
    }
}
