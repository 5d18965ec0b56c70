//! What each node said at its birth, and what its messages mean by it.
//!
//! Order counts: births, data and deaths of a node and its devices carry one sequence of 0 to 255. A gap is counted and
//! the node is asked for its birth again, but what came is taken: its metrics are still what they were.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp};

use crate::formats::{REPORTS_MAX, VALUES_MAX, loose, refused};

use super::metric::{self, Worth};
use super::proto::{self, Metric, Payload, Unread, Value};
use super::topic::{Kind, Topic};

const NAME: &str = "sparkplug";

/// Nodes that are remembered: a node is a gateway or a station, and 4,096 of them are eight provinces.
const NODES_MAX: usize = 4_096;

/// Devices of one node.
const DEVICES_MAX: usize = 256;

/// What all births together may take in memory: 4,096 nodes with a hundred metrics of 60 bytes each.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a metric takes beside its name and unit: two entries of a table.
const METRIC_BYTES: usize = 100;

/// A node is asked for its birth at most so often: it answers with everything it has.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// What came of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Nothing to store: a death, a command, a birth without values.
    Nothing,
    /// What somebody measured.
    Reports {
        /// Who, as `group/node` or `group/node/device`.
        name: String,
        /// What.
        reports: Vec<Report<'static>>,
    },
    /// It cannot be read or believed.
    Refused(Refusal),
}

/// Something to publish: a node is to tell again what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// On which topic.
    pub topic: String,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// The nodes of one broker. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    nodes: HashMap<String, Node>,
    /// What their births take.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Node {
    alive: bool,
    /// The number of its connection; its death has the same.
    bd_seq: Option<u64>,
    /// The sequence number that comes next.
    next: u8,
    asked_at: Option<Timestamp>,
    /// The node's own metrics.
    own: Metrics,
    devices: HashMap<String, Metrics>,
    /// What all of these take.
    bytes: usize,
}

/// What was said at a birth.
#[derive(Debug, Default)]
struct Metrics {
    by_alias: HashMap<u64, String>,
    by_name: HashMap<String, Known>,
    /// About what they take.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Known {
    datatype: Option<u32>,
    unit: Option<String>,
}

/// Why a node is asked for its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsure {
    NoBirth,
    UnknownMetric,
    Gap,
}

impl Unsure {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoBirth => "no_birth",
            Self::UnknownMetric => "unknown_metric",
            Self::Gap => "gap",
        }
    }
}

/// A refusal, and whether a birth would help.
struct Unheard(Refusal, Option<Unsure>);

impl Nodes {
    /// Hears one message that came at `now`.
    #[must_use]
    pub fn hear(&self, topic: &str, payload: &[u8], now: Timestamp) -> (Heard, Option<Ask>) {
        let Some(read) = Topic::parse(topic) else {
            let detail = format!("`{topic}` is not a topic of Sparkplug");
            return (Heard::Refused(refused(Reason::Malformed, &detail)), None);
        };
        if read.kind == Kind::NotForUs {
            return (Heard::Nothing, None);
        }
        let payload = match proto::decode(payload) {
            Ok(payload) => payload,
            Err(unread) => return (Heard::Refused(refusal(unread)), None),
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { nodes, bytes } = &mut *held;
        let Some(node) = place(nodes, &read) else {
            let detail = format!("{}: {NODES_MAX} other nodes are known already", read.name());
            return (Heard::Refused(refused(Reason::BadCount, &detail)), None);
        };
        let before = node.bytes;
        let room = BYTES_MAX.saturating_sub(*bytes - before);
        let (heard, unsure) = match node.hear(&read, &payload, room) {
            Ok((reports, unsure)) if reports.is_empty() => (Heard::Nothing, unsure),
            Ok((reports, unsure)) => (Heard::Reports { name: read.name(), reports }, unsure),
            Err(Unheard(refusal, unsure)) => (Heard::Refused(refusal), unsure),
        };
        *bytes = *bytes - before + node.bytes;
        let ask = unsure.and_then(|why| node.ask(&read, why, now));
        (heard, ask)
    }
}

#[cfg(any(test, fuzzing))]
impl Nodes {
    /// What is counted is what there is.
    pub(crate) fn holds_together(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let devices = |node: &Node| node.devices.values().map(|it| it.bytes).sum::<usize>();
        held.bytes == held.nodes.values().map(|node| node.bytes).sum::<usize>()
            && held.nodes.values().all(|node| node.bytes == node.own.bytes + devices(node))
    }
}

/// The node's place; where all are taken, that of a dead one.
fn place<'a>(nodes: &'a mut HashMap<String, Node>, topic: &Topic<'_>) -> Option<&'a mut Node> {
    let key = format!("{}/{}", topic.group, topic.node);
    if !nodes.contains_key(&key) && NODES_MAX <= nodes.len() {
        let dead = nodes.iter().find(|(_, node)| !node.alive)?.0.clone();
        nodes.remove(&dead);
    }
    Some(nodes.entry(key).or_default())
}

type Understood = Result<(Vec<Report<'static>>, Option<Unsure>), Unheard>;

impl Node {
    fn hear(&mut self, topic: &Topic<'_>, payload: &Payload, room: usize) -> Understood {
        match (topic.kind, topic.device) {
            (Kind::Birth, None) => self.born(payload, room),
            (Kind::Death, None) => {
                // A death of an earlier connection comes late, and is not this one's.
                if bd_seq(payload).is_none() || bd_seq(payload) == self.bd_seq {
                    *self = Self { asked_at: self.asked_at, ..Self::default() };
                }
                Ok((Vec::new(), None))
            }
            (Kind::NotForUs, _) => Ok((Vec::new(), None)),
            _ if !self.alive => {
                let detail = format!("{}: its node's birth was not heard", topic.name());
                Err(Unheard(refused(Reason::NoBirth, &detail), Some(Unsure::NoBirth)))
            }
            (Kind::Data, None) => {
                let unsure = self.in_order(payload)?;
                self.own.read(payload, &topic.name()).map(|reports| (reports, unsure))
            }
            (Kind::Birth, Some(device)) => self.device_born(device, payload, room),
            (Kind::Data, Some(device)) => {
                let unsure = self.in_order(payload)?;
                let Some(metrics) = self.devices.get(device) else {
                    let detail = format!("{}: its birth was not heard", topic.name());
                    let refusal = refused(Reason::NoBirth, &detail);
                    return Err(Unheard(refusal, Some(Unsure::NoBirth)));
                };
                metrics.read(payload, &topic.name()).map(|reports| (reports, unsure))
            }
            (Kind::Death, Some(device)) => {
                let unsure = self.in_order(payload)?;
                self.bytes -= self.devices.remove(device).map_or(0, |metrics| metrics.bytes);
                Ok((Vec::new(), unsure))
            }
        }
    }

    fn born(&mut self, payload: &Payload, room: usize) -> Understood {
        let seq = seq(payload)?;
        let own = Metrics::of(payload, room)?;
        let reports = own.read(payload, "birth")?;
        *self = Self {
            alive: true,
            bd_seq: bd_seq(payload),
            next: seq.wrapping_add(1),
            asked_at: self.asked_at,
            bytes: own.bytes,
            own,
            devices: HashMap::new(),
        };
        Ok((reports, None))
    }

    fn device_born(&mut self, device: &str, payload: &Payload, room: usize) -> Understood {
        let unsure = self.in_order(payload)?;
        if !self.devices.contains_key(device) && DEVICES_MAX <= self.devices.len() {
            let detail = format!("device {device}: the node has {DEVICES_MAX} others");
            return Err(Unheard(refused(Reason::BadCount, &detail), None));
        }
        let before = self.devices.get(device).map_or(0, |metrics| metrics.bytes);
        let metrics = Metrics::of(payload, room.saturating_sub(self.bytes - before))?;
        let reports = metrics.read(payload, device)?;
        self.bytes = self.bytes - before + metrics.bytes;
        self.devices.insert(device.to_owned(), metrics);
        Ok((reports, unsure))
    }

    /// Is it the next one? The last one once more is a broker that delivers again, not a gap.
    fn in_order(&mut self, payload: &Payload) -> Result<Option<Unsure>, Unheard> {
        let seq = seq(payload)?;
        if seq == self.next.wrapping_sub(1) {
            return Ok(None);
        }
        let gap = seq != self.next;
        self.next = seq.wrapping_add(1);
        if gap {
            metrics::counter!("saltline_sparkplug_gaps_total").increment(1);
        }
        Ok(gap.then_some(Unsure::Gap))
    }

    fn ask(&mut self, topic: &Topic<'_>, why: Unsure, now: Timestamp) -> Option<Ask> {
        if self.asked_at.is_some_and(|asked| now.since(asked) < ASK_EVERY) {
            return None;
        }
        self.asked_at = Some(now);
        let (node, reason) = (topic.command(), why.as_str());
        tracing::info!(node, reason, "asking a node for its birth");
        metrics::counter!("saltline_sparkplug_rebirths_total", "reason" => reason).increment(1);
        let payload = proto::rebirth(u64::try_from(now.as_millis()).unwrap_or(0));
        Some(Ask { topic: node, payload })
    }
}

impl Metrics {
    /// What a birth says that there is, if it takes no more than `room`.
    fn of(payload: &Payload, room: usize) -> Result<Self, Unheard> {
        let mut it = Self::default();
        for metric in &payload.metrics {
            let Some(name) = metric.name.clone().filter(|name| !name.is_empty()) else {
                let refusal = refused(Reason::Malformed, "a birth has a metric without a name");
                return Err(Unheard(refusal, None));
            };
            if let Some(alias) = metric.alias
                && it.by_alias.insert(alias, name.clone()).is_some()
            {
                let detail = format!("alias {alias} stands for two metrics");
                return Err(Unheard(refused(Reason::Malformed, &detail), None));
            }
            let unit = metric::unit(metric.properties.as_ref());
            it.bytes += 2 * name.len() + unit.as_ref().map_or(0, String::len) + METRIC_BYTES;
            it.by_name.insert(name, Known { datatype: metric.datatype, unit });
        }
        if room < it.bytes {
            let detail = format!("a birth of {} bytes in memory; {room} are left", it.bytes);
            return Err(Unheard(refused(Reason::BadCount, &detail), None));
        }
        Ok(it)
    }

    /// The message's values, together where they have one time.
    fn read(&self, payload: &Payload, who: &str) -> Result<Vec<Report<'static>>, Unheard> {
        let mut reports: Vec<Report<'static>> = Vec::new();
        for metric in &payload.metrics {
            let Some(said) = self.said(metric, who)? else { continue };
            let taken = taken(metric, payload);
            let replay = metric.is_historical == Some(true);
            let same = |report: &Report<'_>| report.taken == taken && report.replay == replay;
            match reports.iter().rposition(same) {
                Some(at) if reports[at].values.len() < VALUES_MAX => reports[at].values.push(said),
                None if reports.len() < REPORTS_MAX => {
                    reports.push(Report { taken, seq: None, replay, values: vec![said] });
                }
                _ => {
                    let detail = format!(
                        "{who}: more than {REPORTS_MAX} times, or {VALUES_MAX} values of one time"
                    );
                    return Err(Unheard(refused(Reason::BadCount, &detail), None));
                }
            }
        }
        Ok(reports)
    }

    /// One value; `None` where it is no reading.
    fn said(&self, metric: &Metric, who: &str) -> Result<Option<Said<'static>>, Unheard> {
        let by_alias = || metric.alias.and_then(|alias| self.by_alias.get(&alias)).cloned();
        let named = metric.name.clone().filter(|name| !name.is_empty());
        let unknown = |what: String| {
            let detail = format!("{who}: {what} was not in its birth");
            Unheard(refused(Reason::NoBirth, &detail), Some(Unsure::UnknownMetric))
        };
        let Some(name) = named.or_else(by_alias) else {
            return Err(unknown(format!("alias {}", metric.alias.unwrap_or_default())));
        };
        if metric::is_control(&name) {
            return Ok(None);
        }
        let known = self.by_name.get(&name);
        let datatype = metric.datatype.or_else(|| known.and_then(|known| known.datatype));
        let value = match metric::worth(metric, datatype) {
            Worth::Number(value) => value,
            Worth::Skipped => {
                loose::skipped(NAME);
                return Ok(None);
            }
            Worth::Untyped => return Err(unknown(format!("the type of `{name}`"))),
        };
        Ok(Some(Said {
            unit: known.and_then(|known| known.unit.clone()).map(Cow::Owned),
            name: Cow::Owned(name),
            value,
            status: Status::Measuring,
        }))
    }
}

fn refusal(unread: Unread) -> Refusal {
    match unread {
        Unread::Malformed(why) => refused(Reason::Malformed, &why),
        Unread::TooMany(count) => refused(Reason::BadCount, &format!("{count} metrics")),
    }
}

fn seq(payload: &Payload) -> Result<u8, Unheard> {
    let seq = payload.seq.and_then(|seq| u8::try_from(seq).ok());
    seq.ok_or_else(|| Unheard(refused(Reason::Malformed, "seq: write 0 to 255"), None))
}

fn bd_seq(payload: &Payload) -> Option<u64> {
    let metric = payload.metrics.iter().find(|it| it.name.as_deref() == Some("bdSeq"))?;
    match metric.value {
        Some(Value::Long(value)) => Some(value),
        Some(Value::Int(value)) => Some(value.into()),
        _ => None,
    }
}

fn taken(metric: &Metric, payload: &Payload) -> Stated {
    match metric.timestamp.or(payload.timestamp) {
        // `as` would wrap; admit refuses what is in the future.
        Some(millis) => {
            Stated::At(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
        }
        None => Stated::OnArrival,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
