//! A real record published as if it were a station: one report for all values of one time, at a chosen speed or as fast
//! as the engine acknowledges.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, ParameterCode, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock::VirtualTime;
use crate::mqtt::{Door, Incoming, Link, LinkError, Login};
use crate::record::Report;

/// Reports under way at once: 50 of some 200 bytes fill one round trip of a LAN and are little to send again.
pub const REPLAY_WINDOW: u16 = 50;
/// Connections tried in a row without a single acknowledgement before it is given up: some four minutes.
const TRIES_MAX: u32 = 12;

/// How fast the record goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the engine acknowledges; every report is marked as a backlog.
    FlatOut,
    /// So many seconds of the record in a real second.
    Speed(f64),
}

/// What became of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Replayed {
    /// Reports acknowledged.
    pub acked: u64,
    /// Reports that the engine refused for good.
    pub refused: u64,
    /// Publishes sent a second time because the link was lost.
    pub again: u64,
}

/// A replay.
pub struct Replay {
    /// Where the engine is.
    pub door: Door,
    /// As which station.
    pub login: Login,
    /// How fast.
    pub pace: Pace,
    /// Added to every time, in milliseconds: moves the record to another date.
    pub shift_ms: i64,
}

struct UnderWay {
    pkid: u16,
    payload: Vec<u8>,
}

impl Replay {
    /// Publishes all reports and waits for every acknowledgement; `progress` is told how many are done.
    ///
    /// # Errors
    /// The last [`LinkError`], when the engine stayed away.
    pub async fn run(
        &self,
        reports: &[Report],
        clock: Arc<dyn Clock>,
        stop: &CancellationToken,
        progress: impl Fn(u64),
    ) -> Result<Replayed, LinkError> {
        let mut done = Replayed::default();
        let mut under_way = VecDeque::new();
        let mut next = 0;
        let mut backoff = Backoff::new(reports.len() as u64);
        let mut tries = 0;
        let time = self.time(reports, &*clock);
        loop {
            let before = done.acked + done.refused;
            let leg = Leg { replay: self, reports, time, clock: &*clock, progress: &progress };
            let error = tokio::select! {
                () = stop.cancelled() => return Ok(done),
                ended = leg.run(&mut next, &mut under_way, &mut done) => match ended {
                    Ok(()) => return Ok(done),
                    Err(error @ LinkError::Turned(_)) => return Err(error),
                    Err(error) => error,
                },
            };
            tries = if before < done.acked + done.refused { 0 } else { tries + 1 };
            if tries == 0 {
                backoff.reset();
            }
            if TRIES_MAX <= tries {
                return Err(error);
            }
            let wait = backoff.next_wait();
            tracing::warn!(%error, ?wait, under_way = under_way.len(), "link lost: trying again");
            tokio::time::sleep(wait).await;
        }
    }

    fn time(&self, reports: &[Report], clock: &dyn Clock) -> Option<VirtualTime> {
        let Pace::Speed(speed) = self.pace else { return None };
        let start = reports.first()?.at;
        Some(VirtualTime { start, epoch: clock.now(), speed })
    }

    fn payload(&self, seq: usize, report: &Report) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Json<'a> {
            time: String,
            seq: usize,
            values: BTreeMap<&'a str, f64>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            replay: bool,
        }
        let at = Timestamp::from_millis(report.at.as_millis().saturating_add(self.shift_ms));
        let values = report.values.iter().map(|(c, v)| (ParameterCode::as_str(c), *v)).collect();
        let json = Json { time: at.to_string(), seq, values, replay: self.pace == Pace::FlatOut };
        serde_json::to_vec(&json).expect("finite numbers and texts always fit into JSON")
    }
}

/// What is done over one connection.
struct Leg<'a, P: Fn(u64)> {
    replay: &'a Replay,
    reports: &'a [Report],
    time: Option<VirtualTime>,
    clock: &'a dyn Clock,
    progress: &'a P,
}

impl<P: Fn(u64)> Leg<'_, P> {
    async fn run(
        &self,
        next: &mut usize,
        under_way: &mut VecDeque<UnderWay>,
        done: &mut Replayed,
    ) -> Result<(), LinkError> {
        let mut link = Link::open(&self.replay.door, &self.replay.login).await?;
        let topic = format!("stations/{}/readings", self.replay.login.code);
        for packet in under_way.iter() {
            link.publish(&topic, packet.payload.clone(), packet.pkid, false)?;
            done.again += 1;
        }
        loop {
            while under_way.len() < usize::from(link.window()) && self.is_due(*next) {
                // 1 to 60,000 and round again: never in use twice with a window below that.
                let pkid = u16::try_from(*next % 60_000 + 1).unwrap_or(1);
                let payload = self.replay.payload(*next + 1, &self.reports[*next]);
                link.publish(&topic, payload.clone(), pkid, false)?;
                under_way.push_back(UnderWay { pkid, payload });
                *next += 1;
            }
            link.flush().await?;
            if under_way.is_empty() && self.reports.len() <= *next {
                return link.close().await;
            }
            let look = self.wait(*next);
            tokio::select! {
                () = tokio::time::sleep(look) => link.keep_alive(!under_way.is_empty()).await?,
                told = link.next() => heed(told?, under_way, done)?,
            }
            (self.progress)(done.acked + done.refused);
        }
    }

    fn is_due(&self, index: usize) -> bool {
        let Some(report) = self.reports.get(index) else { return false };
        self.time.is_none_or(|time| report.at <= time.at(self.clock.now()))
    }

    /// Until the next report is due, but no longer than a second.
    fn wait(&self, index: usize) -> Duration {
        const LOOK: Duration = Duration::from_secs(1);
        match (self.time, self.reports.get(index)) {
            (Some(time), Some(report)) => {
                time.wait(self.clock.now(), report.at).clamp(Duration::from_millis(1), LOOK)
            }
            _ => LOOK,
        }
    }
}

fn heed(
    told: Incoming,
    under_way: &mut VecDeque<UnderWay>,
    done: &mut Replayed,
) -> Result<(), LinkError> {
    let mut settle = |pkid: u16| {
        let found = under_way.iter().position(|p| p.pkid == pkid);
        found.and_then(|index| under_way.remove(index)).is_some()
    };
    match told {
        Incoming::Acked(pkid) => done.acked += u64::from(settle(pkid)),
        Incoming::Refused(pkid, why) => {
            done.refused += u64::from(settle(pkid));
            tracing::warn!(why, "the engine refused a report");
        }
        // Sent again with the next connection, after the back-off.
        Incoming::Later(_) => return Err(LinkError::Closed("quota exceeded".to_owned())),
        Incoming::Goodbye(why) => return Err(LinkError::Closed(why)),
        Incoming::Welcome { .. }
        | Incoming::Turned(_)
        | Incoming::Message { .. }
        | Incoming::Alive => {}
    }
    Ok(())
}
