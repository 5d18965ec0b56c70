//! Messages between their arrival and their acknowledgement. What one read brought is one batch and one commit; while
//! it runs the next is gathered. Acknowledgements leave in the order of arrival, and only with a [`Proof`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use journal::JournalError;

use crate::intake::{Batch, Intake, Proof};

/// Messages that may wait for the disk: the receive maximum that an MQTT 5 broker is told. One fsync of 30 ms on a
/// slow card then still passes 30,000 messages a second.
pub(super) const MESSAGES_MAX: u16 = 1_024;

/// Bytes of messages that may wait for the disk; the largest message still fits beside it.
const BYTES_MAX: usize = 1024 * 1024;

/// Commits under way at one time: one runs, one waits for the disk.
const COMMITS_MAX: usize = 2;

#[derive(Default)]
struct Group {
    batch: Batch,
    /// To be acknowledged once the batch is on disk.
    ids: Vec<u16>,
    messages: usize,
    bytes: usize,
}

struct Committing {
    commit: Pin<Box<dyn Future<Output = Result<Proof, JournalError>> + Send>>,
    group: Group,
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbound {
    gathering: Group,
    committing: VecDeque<Committing>,
    messages: usize,
    bytes: usize,
}

impl Inbound {
    /// May another message be taken? What does not fit stays in the socket, and TCP slows the broker down.
    pub(super) fn has_room(&self) -> bool {
        self.messages < usize::from(MESSAGES_MAX) && self.bytes < BYTES_MAX
    }

    /// What the next message adds to.
    pub(super) fn batch(&mut self) -> &mut Batch {
        &mut self.gathering.batch
    }

    /// Counts a message that was added to the batch, and remembers what is to be acknowledged.
    pub(super) fn add(&mut self, id: Option<u16>, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
        self.gathering.messages += 1;
        self.gathering.bytes += bytes;
        self.gathering.ids.extend(id);
    }

    /// Starts the commit of what was gathered, if there is anything and a commit is free.
    pub(super) fn commit(&mut self, intake: &Intake) {
        if self.gathering.messages == 0 || COMMITS_MAX <= self.committing.len() {
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

    /// Waits for the oldest commit; for ever where there is none. May be dropped and asked again.
    pub(super) async fn proven(&mut self) -> Result<(Vec<u16>, Proof), JournalError> {
        poll_fn(|cx| {
            let Some(front) = self.committing.front_mut() else { return Poll::Pending };
            let proof = ready!(front.commit.as_mut().poll(cx));
            let Some(Committing { group, .. }) = self.committing.pop_front() else {
                return Poll::Pending;
            };
            self.messages -= group.messages;
            self.bytes -= group.bytes;
            Poll::Ready(proof.map(|proof| (group.ids, proof)))
        })
        .await
    }
}
