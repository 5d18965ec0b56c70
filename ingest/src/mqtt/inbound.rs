//! Publishes between their arrival and their acknowledgement. What one read brought is one batch and one commit;
//! while it runs the next is gathered. Acknowledgements leave in the order of arrival, and only with a [`Proof`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::intake::{Batch, Intake, Proof};
use bytes::BytesMut;
use domain::{Reason, Refusal};
use journal::{Durable, JournalError, Position};

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
    /// Others have heard the message already: an answer that is lost must not make them hear it again.
    pub(super) heard: bool,
}

/// A reading on its way to subscribers.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) message: Arc<Message>,
    pub(super) retain: bool,
    /// Its packet id, where it has QoS 2.
    pub(super) id: Option<u16>,
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
    /// Readings that subscribers get once they are on disk.
    pub(super) echoes: Vec<Echo>,
    /// Answers of another shape, as bytes.
    pub(super) said: BytesMut,
    /// The position of the session log that the answers wait for, where they wait for one.
    kept: Option<Position>,
    publishes: usize,
    bytes: usize,
    puback_count: usize,
}

struct Committing {
    commit: Pin<Box<dyn Future<Output = Result<Proof, JournalError>> + Send>>,
    group: Group,
}

/// A group whose readings are on disk, and what it brought to others perhaps not.
struct Keeping {
    kept: Option<Pin<Box<dyn Future<Output = Result<Durable, JournalError>> + Send>>>,
    group: Group,
    proof: Proof,
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbound {
    pub(super) gathering: Group,
    committing: VecDeque<Committing>,
    /// Groups that wait for the session log, or behind one that does.
    keeping: VecDeque<Keeping>,
    /// Publishes and their bytes in all groups.
    publishes: usize,
    bytes: usize,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.publishes == 0
    }

    /// Its answers wait for this position too.
    pub(super) fn wait_for(&mut self, position: Option<Position>) {
        self.kept = self.kept.max(position);
    }

    /// What its answers wait for.
    pub(super) const fn kept(&self) -> Option<Position> {
        self.kept
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
        let keeping: usize = self.keeping.iter().map(|it| it.group.puback_count).sum();
        committing + keeping + self.gathering.puback_count
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
        let first = |ack: &&Ack| ack.kind == Answering::Rec && !ack.heard;
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
        self.committing.is_empty() && self.keeping.is_empty()
    }

    /// May a group be answered at once, because no other waits before it?
    pub(super) fn is_first(&self) -> bool {
        self.keeping.is_empty()
    }

    /// Has a group wait until the session log has it too, and those before it are answered.
    pub(super) fn keep(
        &mut self,
        group: Group,
        proof: Proof,
        kept: Option<impl Future<Output = Result<Durable, JournalError>> + Send + 'static>,
    ) {
        let kept = kept.map(|kept| Box::pin(kept) as Pin<Box<_>>);
        self.keeping.push_back(Keeping { kept, group, proof });
    }

    /// The next group that the session log has; never ready when there is none.
    pub(super) fn poll_kept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Group, Proof), JournalError>> {
        let Some(front) = self.keeping.front_mut() else { return Poll::Pending };
        if let Some(kept) = &mut front.kept {
            ready!(kept.as_mut().poll(cx))?;
        }
        let Some(Keeping { group, proof, .. }) = self.keeping.pop_front() else {
            return Poll::Pending;
        };
        Poll::Ready(Ok((group, proof)))
    }

    /// A group is answered: others have room.
    pub(super) fn answered(&mut self, group: &Group) {
        self.publishes -= group.publishes;
        self.bytes -= group.bytes;
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
