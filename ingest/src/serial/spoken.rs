//! Which line speaks how, so that a refused line can be read again as it came, when its profile is mended.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Reason, Refusal, Report};

use crate::formats::refused;

use super::judge::Judged;
use super::profile::Profile;

/// The first level of the topic under which lines are refused: `serial/{line}`, `serial/{line}/{address}`.
const TOPIC: &str = "serial";

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spoken {
    by_topic: Arc<RwLock<HashMap<String, Speaker>>>,
}

/// How a logger speaks, and its address.
type Speaker = (Arc<Profile>, String);

/// The topic of a logger's refused lines.
pub(super) fn topic(line: &str, address: &str) -> String {
    if address.is_empty() { format!("{TOPIC}/{line}") } else { format!("{TOPIC}/{line}/{address}") }
}

impl Spoken {
    /// From now on the logger at this address of this line speaks so.
    pub(super) fn learn(&self, line: &str, address: &str, profile: &Arc<Profile>) {
        let mut held = self.by_topic.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(topic(line, address), (profile.clone(), address.to_owned()));
    }

    /// Reads a line that was refused under this topic.
    ///
    /// # Errors
    /// A refusal, where it is still none, or no such line is configured any more.
    pub(crate) fn decode(&self, topic: &str, line: &[u8]) -> Result<Vec<Report<'static>>, Refusal> {
        let held = self.by_topic.read().unwrap_or_else(PoisonError::into_inner);
        let Some((profile, address)) = held.get(topic) else {
            let detail = format!("no line `{topic}` is configured; nobody knows how it speaks");
            return Err(refused(Reason::Malformed, &detail));
        };
        let begins = profile.begins.into_iter().collect::<Vec<u8>>();
        match profile.judge(line.strip_prefix(begins.as_slice()).unwrap_or(line), address) {
            Judged::Report(_, report) => Ok(vec![report]),
            Judged::Skipped => Err(refused(Reason::BadCount, "it says nothing of the water")),
            Judged::Foreign(refusal) | Judged::Unproved(refusal) | Judged::Refused(refusal) => {
                Err(refusal)
            }
        }
    }
}
