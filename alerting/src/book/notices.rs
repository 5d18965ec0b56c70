//! Notices in memory: every one that waits, and the newest of the settled.
//!
//! Notices about one rule and station to one person over one channel stand in one lane, and only the first of a lane
//! is ever due: an all-clear must not overtake the alarm that it clears, however often the alarm had to be retried.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use domain::{ChannelKind, Notice, NoticeId, Timestamp};

use super::{GaveUp, NoticeState, NoticeView};

/// Settled notices that stay in memory: for the pages, and to know whose receipt comes back. 300 notices a minute on
/// the worst hour of a spring tide and receipts that come within a quarter of an hour need 4,500; about 5 MB.
const SETTLED_MAX: usize = 5_000;

#[derive(Debug)]
struct Kept {
    notice: Arc<Notice>,
    state: NoticeState,
    born: u64,
    lane: Lane,
    /// Where in the ledger its life begins.
    begins: u64,
    /// References handed out and not yet reported delivered.
    parts_open: Vec<String>,
}

type Lane = (String, domain::PersonId, ChannelKind);

#[derive(Debug, Default)]
pub(crate) struct Notices {
    kept: HashMap<NoticeId, Kept>,
    by_birth: BTreeMap<u64, NoticeId>,
    lanes: HashMap<Lane, VecDeque<NoticeId>>,
    due: BTreeSet<(ChannelKind, Timestamp, u64)>,
    settled: VecDeque<NoticeId>,
    references: HashMap<String, NoticeId>,
    waiting: HashMap<ChannelKind, usize>,
    births: u64,
}

impl Notices {
    /// A new notice: it waits, or was given up in the breath in which it was made.
    pub(crate) fn made(&mut self, notice: Notice, given_up: Option<&str>, position: u64) {
        if self.kept.contains_key(&notice.id) {
            return;
        }
        let (id, at, channel) = (notice.id.clone(), notice.made_at, notice.channel);
        let lane = lane(&notice);
        let born = self.births;
        self.births += 1;
        let state = NoticeState::Waiting { attempts: 0, next_at: at, last_error: None };
        let notice = Arc::new(notice);
        self.by_birth.insert(born, id.clone());
        self.kept.insert(
            id.clone(),
            Kept {
                notice,
                state,
                born,
                lane: lane.clone(),
                begins: position,
                parts_open: Vec::new(),
            },
        );
        *self.waiting.entry(channel).or_default() += 1;
        self.lanes.entry(lane.clone()).or_default().push_back(id.clone());
        self.queue_front(&lane);
        if let Some(why) = given_up {
            self.given_up(&id, at, why.to_owned());
        }
    }

    /// An attempt failed for now.
    pub(crate) fn put_off(&mut self, id: &NoticeId, attempt: u32, later: Timestamp, error: String) {
        let Some(kept) = self.kept.get_mut(id) else { return };
        let NoticeState::Waiting { attempts, next_at, last_error } = &mut kept.state else {
            return;
        };
        self.due.remove(&(kept.notice.channel, *next_at, kept.born));
        (*attempts, *next_at, *last_error) = (attempt, later, Some(error));
        let lane = kept.lane.clone();
        self.queue_front(&lane);
    }

    pub(crate) fn handed_over(&mut self, id: &NoticeId, at: Timestamp, references: &[String]) {
        let state = NoticeState::HandedOver { at, reference: references.join(",") };
        if !self.settle(id, state) {
            return;
        }
        let Some(kept) = self.kept.get_mut(id) else { return };
        if kept.notice.channel == ChannelKind::Sms {
            // Some SMSCs give no name; then no receipt can be told apart.
            let named = references.iter().filter(|reference| !reference.is_empty());
            kept.parts_open = named.cloned().collect();
            for reference in &kept.parts_open {
                self.references.insert(reference.clone(), id.clone());
            }
        }
    }

    pub(crate) fn given_up(&mut self, id: &NoticeId, at: Timestamp, why: String) {
        self.settle(id, NoticeState::GivenUp { at, why });
    }

    /// What the SMSC reports of one part: delivered when the last part is, lost when one is.
    pub(crate) fn receipt(
        &mut self,
        id: &NoticeId,
        at: Timestamp,
        reference: &str,
        delivered: bool,
        detail: &str,
    ) {
        self.references.remove(reference);
        let Some(kept) = self.kept.get_mut(id) else { return };
        if !matches!(kept.state, NoticeState::HandedOver { .. }) {
            return;
        }
        kept.parts_open.retain(|part| part != reference);
        if !delivered {
            let why = format!("{}: {detail}", GaveUp::NotDelivered.as_str());
            kept.state = NoticeState::GivenUp { at, why };
        } else if kept.parts_open.is_empty() {
            kept.state = NoticeState::Delivered { at };
        }
    }

    /// The notices of a channel that may be tried at `now`, the longest due first.
    pub(crate) fn due(
        &self,
        channel: ChannelKind,
        now: Timestamp,
    ) -> impl Iterator<Item = (u32, Arc<Notice>)> + '_ {
        let from = (channel, Timestamp::from_millis(i64::MIN), 0);
        self.due
            .range(from..=(channel, now, u64::MAX))
            .filter_map(|(_, _, born)| self.kept.get(self.by_birth.get(born)?))
            .filter_map(|kept| match kept.state {
                NoticeState::Waiting { attempts, .. } => Some((attempts, Arc::clone(&kept.notice))),
                _ => None,
            })
    }

    /// When the next notice of a channel after `now` falls due.
    pub(crate) fn next_due(&self, channel: ChannelKind, now: Timestamp) -> Option<Timestamp> {
        let after = (channel, now, u64::MAX);
        let end = (channel, Timestamp::from_millis(i64::MAX), u64::MAX);
        (after < end).then(|| self.due.range(after..=end).next().map(|(_, at, _)| *at))?
    }

    pub(crate) fn waiting(&self, channel: ChannelKind) -> usize {
        self.waiting.get(&channel).copied().unwrap_or(0)
    }

    /// Whose receipt is this? SMSCs are known to answer submit_sm in hexadecimal and to report in decimal.
    pub(crate) fn by_reference(&self, reference: &str) -> Option<(NoticeId, String)> {
        let decimal = reference.parse::<u64>().ok();
        let hexadecimal = u64::from_str_radix(reference, 16).ok();
        let candidates = [
            Some(reference.to_owned()),
            decimal.map(|n| format!("{n:x}")),
            decimal.map(|n| format!("{n:X}")),
            decimal.map(|n| format!("{n:08x}")),
            decimal.map(|n| format!("{n:08X}")),
            hexadecimal.map(|n| n.to_string()),
            hexadecimal.map(|n| format!("{n:010}")),
        ];
        candidates
            .into_iter()
            .flatten()
            .find_map(|known| Some((self.references.get(&known)?.clone(), known)))
    }

    /// The first ledger record that any notice in memory needs.
    pub(crate) fn begins(&self) -> Option<u64> {
        self.kept.values().map(|kept| kept.begins).min()
    }

    pub(crate) fn newest(&self, count: usize) -> Vec<NoticeView> {
        let newest = self.by_birth.values().rev().take(count);
        newest.filter_map(|id| self.view(id)).collect()
    }

    pub(crate) fn view(&self, id: &NoticeId) -> Option<NoticeView> {
        let kept = self.kept.get(id)?;
        Some(NoticeView { notice: Arc::clone(&kept.notice), state: kept.state.clone() })
    }

    /// Ends the waiting of a notice; false where it was not waiting.
    fn settle(&mut self, id: &NoticeId, state: NoticeState) -> bool {
        let Some(kept) = self.kept.get_mut(id) else { return false };
        let NoticeState::Waiting { next_at, .. } = kept.state else { return false };
        self.due.remove(&(kept.notice.channel, next_at, kept.born));
        kept.state = state;
        if let Some(waiting) = self.waiting.get_mut(&kept.notice.channel) {
            *waiting -= 1;
        }
        let lane = kept.lane.clone();
        if let Some(queue) = self.lanes.get_mut(&lane) {
            queue.retain(|waiting| waiting != id);
        }
        self.queue_front(&lane);
        self.settled.push_back(id.clone());
        self.forget_the_oldest();
        true
    }

    fn queue_front(&mut self, lane: &Lane) {
        let Some(queue) = self.lanes.get(lane) else { return };
        let Some(first) = queue.front() else {
            self.lanes.remove(lane);
            return;
        };
        let Some(kept) = self.kept.get(first) else { return };
        if let NoticeState::Waiting { next_at, .. } = kept.state {
            self.due.insert((kept.notice.channel, next_at, kept.born));
        }
    }

    fn forget_the_oldest(&mut self) {
        while SETTLED_MAX < self.settled.len() {
            let Some(oldest) = self.settled.pop_front() else { return };
            let Some(kept) = self.kept.remove(&oldest) else { return };
            self.by_birth.remove(&kept.born);
            for reference in kept.parts_open {
                // An SMSC that began to count anew may have given the name to a newer message.
                if self.references.get(&reference) == Some(&oldest) {
                    self.references.remove(&reference);
                }
            }
        }
    }
}

/// The rule and the station are the alert's id without the position that raised it.
fn lane(notice: &Notice) -> Lane {
    let alert = notice.alert.as_str();
    let watched = alert.rsplit_once('.').map_or(alert, |(watched, _)| watched);
    (watched.to_owned(), notice.person.clone(), notice.channel)
}
