//! The life of a station: it measures when its clock says so, stores, sends oldest first, forgets only what was
//! acknowledged; loses its link and its power as its fate wills, and comes back.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::firmware::REPORT;
use super::{Commands, Dials, Errand, FLASH_REPORTS, Fate, Flash, Order, Pace, Sample, Span};
use super::{Firmware, Stored, Updater, Wakes, measure};
use crate::backoff::Backoff;
use crate::clock::VirtualTime;
use crate::estuary::{Estuary, SimStation};
use crate::mqtt::{Door, Incoming, Link, LinkError, Login, Session, Version, WINDOW};
use crate::tally::Tally;

/// A station looks at least so often what has become due; with time running fast, once a virtual minute, but never
/// more than 200 times a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Measurements caught up with in one look: two days at one every five minutes. What a longer sleep of the machine
/// skips is skipped, as on a logger that was off, and said.
const CATCH_UP_MAX: u32 = 576;
/// After a refusal for quota the station waits so long before it sends again.
const QUOTA_WAIT: Duration = Duration::from_secs(1);

/// What a station is told when it is put up.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The truth it measures.
    pub estuary: Estuary,
    /// Its seed.
    pub seed: u64,
    /// How hard its life is.
    pub dials: Dials,
    /// The virtual clock.
    pub time: VirtualTime,
    /// Virtual time between measurements.
    pub interval: Duration,
    /// How long it has stood there without a link when it begins.
    pub away: Duration,
    /// What it does with what it could not send in time.
    pub backlog: Backlog,
    /// Where the engine is.
    pub door: Door,
    /// The station's key.
    pub key: Option<String>,
    /// The MQTT it speaks.
    pub version: Version,
    /// What it knows of firmware; nothing, where there is none.
    pub firmware: Option<Firmware>,
}

/// What a station does with reports that it could not send while they were news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backlog {
    /// It sends them after the news, at its pace.
    #[default]
    Unasked,
    /// It keeps them until it is asked, as a logger does whose firmware forgot where it stood.
    Asked,
}

/// A living station.
pub struct Life {
    place: &'static SimStation,
    orders: Orders,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
    fate: Fate,
    flash: Flash,
    commands: Commands,
    updater: Option<Updater>,
    pace: Pace,
    /// Questions for old reports that are being answered: id, first and last number, how many are kept.
    resends: Vec<(String, u64, u64, u64)>,
    due: Timestamp,
    clock_error_ms: i64,
    link: Option<Up>,
    retry: Backoff,
    pkid: u16,
}

struct Up {
    link: Link,
    since: Timestamp,
    under_way: u16,
    send_after: Instant,
}

impl Life {
    /// Puts a station up.
    #[must_use]
    pub fn new(
        place: &'static SimStation,
        orders: Orders,
        clock: Arc<dyn Clock>,
        tally: Arc<Tally>,
    ) -> Self {
        let now = orders.time.at(clock.now());
        let first = now - orders.away;
        let interval = orders.interval;
        // Numbers continue from run to run, because virtual time does.
        let first_seq =
            first.as_millis().max(0).cast_unsigned() / interval.as_millis().max(1) as u64;
        let fate = Fate::new(orders.seed, place.code, orders.dials);
        let floor = first.floor(interval);
        let mut life = Self {
            place,
            fate,
            flash: Flash::new(first_seq, FLASH_REPORTS),
            commands: Commands::default(),
            updater: orders.firmware.clone().map(|firmware| Updater::new(place.code, firmware)),
            pace: Pace::new(now),
            resends: Vec::new(),
            due: floor + if floor == first { Duration::ZERO } else { interval },
            clock_error_ms: 0,
            link: None,
            retry: Backoff::new(fate.seed()),
            pkid: 0,
            orders,
            clock,
            tally,
        };
        if !life.orders.away.is_zero() {
            life.measure_all_until(now);
        }
        life
    }

    /// Lives until told to stop; then says goodbye.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.updater.as_ref().is_some_and(Updater::is_bricked) {
                self.drop_link("bricked");
                stop.cancelled().await;
                return;
            }
            let now = self.now();
            if let Some(cut) = self.fate.power_cut(now) {
                self.without_power(cut, &stop).await;
                continue;
            }
            self.measure_until(now);
            self.mind_the_link(now, &stop).await;
            self.report_queue();
            self.wait(&stop).await;
        }
        self.farewell().await;
    }

    fn now(&self) -> Timestamp {
        self.orders.time.at(self.clock.now())
    }

    fn measure_until(&mut self, now: Timestamp) {
        let interval = self.orders.interval;
        let behind = now.since(self.due).as_millis() / interval.as_millis().max(1);
        if u128::from(CATCH_UP_MAX) < behind {
            tracing::warn!(
                station = self.place.code,
                behind,
                "slept too long: measurements skipped"
            );
            self.due = now.floor(interval);
        }
        self.measure_all_until(now);
    }

    fn measure_all_until(&mut self, now: Timestamp) {
        let interval = self.orders.interval;
        while self.due <= now {
            if self.fate.power_cut(self.due).is_none() {
                let sample = measure(&self.orders.estuary, &self.fate, self.place, self.due);
                let dropped = self.flash.store(self.due, self.stamp(self.due), sample);
                self.tally.measured(1);
                self.tally.dropped(dropped);
                if dropped > 0 {
                    tracing::warn!(
                        station = self.place.code,
                        "store full: the oldest report is lost"
                    );
                }
            }
            self.due = self.due + interval;
        }
    }

    /// What the station's own clock says.
    fn stamp(&self, at: Timestamp) -> Timestamp {
        let ran = at.as_millis() - self.orders.time.start.as_millis();
        let drift = ran as f64 * self.fate.dials().clock_drift_ppm * 1e-6;
        Timestamp::from_millis(at.as_millis() + self.clock_error_ms + drift as i64)
    }

    async fn without_power(&mut self, cut: Span, stop: &CancellationToken) {
        tracing::info!(station = self.place.code, "power cut");
        self.tally.power_cut();
        self.drop_link("power cut");
        let off = self.orders.time.wait(self.clock.now(), cut.until);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(off) => {}
        }
        self.clock_error_ms = match self.fate.wakes(cut) {
            Wakes::Right => self.clock_error_ms,
            Wakes::Behind => -(cut.until.since(cut.from).as_millis() as i64),
            Wakes::Factory => -cut.until.as_millis(),
        };
        self.due = self.due.max(cut.until.floor(self.orders.interval));
        self.retry.reset();
    }

    async fn mind_the_link(&mut self, now: Timestamp, stop: &CancellationToken) {
        if self.fate.outage(now).is_some() {
            self.drop_link("outage");
        } else if self.link.is_none() && self.retry.is_due() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.connect() => {}
            }
            // What became due while the link came up is news, and goes before the backlog.
            self.measure_until(self.now());
        }
        if let Err(error) = self.send().await {
            self.lost(&error);
        }
    }

    async fn connect(&mut self) {
        let login = Login {
            code: self.place.code.to_owned(),
            key: self.orders.key.clone(),
            version: self.orders.version,
            session: Session::Kept,
            window: WINDOW,
        };
        match self.greet(&login).await {
            Ok(up) => {
                tracing::info!(
                    station = self.place.code,
                    version = ?login.version,
                    queued = self.flash.len(),
                    "connected"
                );
                self.tally.connected();
                self.retry.reset();
                if self.clock_error_ms < -86_400_000 {
                    // The modem gives the time to a clock that lost it.
                    self.clock_error_ms = 0;
                }
                self.link = Some(up);
            }
            Err(error) => self.lost(&error),
        }
    }

    async fn greet(&mut self, login: &Login) -> Result<Up, LinkError> {
        let mut link = Link::open(&self.orders.door, login).await?;
        // First it listens, then it says that it is there: what was meant for it meanwhile comes again after that.
        let own = format!("stations/{}", self.place.code);
        let mut filters = vec![format!("{own}/command"), format!("{own}/config/desired")];
        if let Some(updater) = &mut self.updater {
            let below = ["offer", "chunk", "refused"];
            filters.extend(below.map(|below| format!("{own}/firmware/{below}")));
            let (below, hello) = updater.hello();
            self.commands.say(below, hello);
        }
        link.subscribe(&filters, self.next_pkid())?;
        let pkid = self.next_pkid();
        link.publish(&format!("{own}/state"), "online", pkid, true)?;
        link.flush().await?;
        Ok(Up { link, since: self.now(), under_way: 0, send_after: Instant::now() })
    }

    /// Answers first, then fills the window: news, then what was asked for, then the backlog, these two at their pace.
    async fn send(&mut self) -> Result<(), LinkError> {
        let Some(mut up) = self.link.take() else { return Ok(()) };
        if self.update() {
            return Ok(());
        }
        self.answer(&mut up)?;
        let topic = format!("stations/{}/readings", self.place.code);
        let now = self.now();
        let mut sent = 0;
        while up.under_way < up.link.window() && up.send_after <= Instant::now() {
            let pkid = self.next_pkid();
            // Older than one interval when the link came up: a backlog, not news.
            let news_from = up.since - self.orders.interval;
            let Some((report, replay)) = self.next_report(pkid, news_from, now) else { break };
            up.link.publish(&topic, payload(&report, replay), pkid, false)?;
            up.under_way += 1;
            sent += 1;
        }
        self.tally.sent(sent);
        up.link.flush().await?;
        up.link.keep_alive(0 < up.under_way).await?;
        self.link = Some(up);
        Ok(())
    }

    /// The report whose turn it is, and whether it is a replay.
    fn next_report(
        &mut self,
        pkid: u16,
        news_from: Timestamp,
        now: Timestamp,
    ) -> Option<(Stored, bool)> {
        if let Some(news) = self.flash.send_news(pkid, news_from) {
            return Some((news.clone(), false));
        }
        if !self.pace.may(now) {
            return None;
        }
        let asked = self.flash.send_asked(pkid).cloned();
        let old = match (asked, self.orders.backlog) {
            (Some(asked), _) => Some(asked),
            (None, Backlog::Unasked) => self.flash.send_backlog(pkid).cloned(),
            (None, Backlog::Asked) => None,
        };
        let old = old?;
        self.pace.went();
        Some((old, true))
    }

    /// Goes on with a new firmware; true where the station has just started into it, and its link is gone.
    fn update(&mut self) -> bool {
        let (now, commands) = (self.now(), &mut self.commands);
        let Some(updater) = &mut self.updater else { return false };
        // With time running fast, a second of the machine is long for the station, and short for the engine.
        let patience = Duration::from_secs(1).mul_f64(self.orders.time.speed.max(1.0));
        let safe = !commands.owes(REPORT);
        if updater.restarts(safe) {
            tracing::info!(station = self.place.code, "restarts into a new firmware");
            self.flash.all_again();
            commands.all_again();
            self.retry.reset();
            return true;
        }
        let words = updater.tick(now, safe, patience);
        words.into_iter().for_each(|(below, word)| commands.say(below, word));
        false
    }

    /// Sends the answers that are not under way.
    fn answer(&mut self, up: &mut Up) -> Result<(), LinkError> {
        loop {
            let pkid = self.next_pkid();
            let Some(answer) = self.commands.send_next(pkid) else { return Ok(()) };
            let topic = format!("stations/{}/{}", self.place.code, answer.below);
            up.link.publish(&topic, answer.body.to_string(), pkid, answer.retain)?;
        }
    }

    /// Does what the engine says.
    fn obey(&mut self, topic: &str, payload: &[u8]) {
        let own = format!("stations/{}/", self.place.code);
        let Some(below) = topic.strip_prefix(&own) else { return };
        let now = self.now();
        if below.starts_with("firmware/") {
            let words = self.updater.as_mut().map(|updater| updater.heed(below, payload, now));
            for (below, word) in words.into_iter().flatten() {
                self.commands.say(below, word);
            }
            return;
        }
        match self.commands.heed(below, payload, self.now()) {
            Some(Order::Resend { id, from, to }) => {
                let kept = self.flash.ask(from, to);
                tracing::info!(station = self.place.code, from, to, kept, "asked for old reports");
                self.resends.push((id, from, to, kept));
            }
            Some(Order::Pace(per_s)) => self.pace.set(per_s),
            None => {}
        }
        self.finish_resends();
    }

    /// Answers the questions of which every report has arrived.
    fn finish_resends(&mut self) {
        let (flash, commands) = (&self.flash, &mut self.commands);
        self.resends.retain(|(id, from, to, kept)| {
            let owes = flash.owes(*from, *to);
            if !owes {
                commands.done(id, &json!({ "sent": kept }));
            }
            owes
        });
    }

    fn next_pkid(&mut self) -> u16 {
        loop {
            self.pkid = self.pkid % u16::MAX + 1;
            if !self.flash.uses(self.pkid) && !self.commands.uses(self.pkid) {
                return self.pkid;
            }
        }
    }

    /// Waits until something is due or the engine says something.
    async fn wait(&mut self, stop: &CancellationToken) {
        let look = LOOK_EVERY
            .min(Duration::from_secs(60).div_f64(self.orders.time.speed.max(1e-6)))
            .max(Duration::from_millis(5))
            .min(self.orders.time.wait(self.clock.now(), self.due).max(Duration::from_millis(1)));
        let heard = async {
            match &mut self.link {
                Some(up) => up.link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(look) => {}
            heard = heard => match heard {
                Ok(incoming) => self.heed(incoming),
                Err(error) => self.lost(&error),
            }
        }
    }

    fn heed(&mut self, incoming: Incoming) {
        let Some(up) = &mut self.link else { return };
        match incoming {
            Incoming::Acked(pkid) => match self.flash.acknowledge(pkid) {
                Some(errand) => {
                    up.under_way = up.under_way.saturating_sub(1);
                    match errand {
                        Errand::Own => self.tally.acked(),
                        Errand::Again => self.tally.resent(),
                    }
                    self.finish_resends();
                }
                None => self.commands.acknowledge(pkid),
            },
            Incoming::Refused(pkid, why) => {
                if let Some(errand) = self.flash.acknowledge(pkid) {
                    up.under_way = up.under_way.saturating_sub(1);
                    if errand == Errand::Own {
                        self.tally.refused();
                    }
                    tracing::warn!(station = self.place.code, why, "the engine refused a report");
                    self.finish_resends();
                } else {
                    self.commands.acknowledge(pkid);
                }
            }
            Incoming::Message { topic, payload, pkid } => {
                self.obey(&topic, &payload);
                // What it asks for is remembered now; only then is it acknowledged.
                if let (Some(pkid), Some(up)) = (pkid, &mut self.link) {
                    up.link.acknowledge(pkid);
                }
            }
            Incoming::Later(pkid) => {
                self.flash.again(pkid);
                up.under_way = up.under_way.saturating_sub(1);
                up.send_after = Instant::now() + QUOTA_WAIT;
            }
            Incoming::Goodbye(why) => self.lost(&LinkError::Closed(why)),
            Incoming::Welcome { .. } | Incoming::Turned(_) | Incoming::Alive => {}
        }
    }

    fn lost(&mut self, error: &LinkError) {
        self.drop_link("lost");
        let wait = self.retry.next_wait();
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(station = self.place.code, %error, source, ?wait, "no link: trying again");
    }

    /// Closes the socket without a word, so that the engine publishes the will.
    fn drop_link(&mut self, why: &str) {
        if self.link.take().is_some() {
            tracing::info!(station = self.place.code, why, queued = self.flash.len(), "link down");
        }
        self.flash.all_again();
        self.commands.all_again();
    }

    fn report_queue(&self) {
        self.tally.queued(self.place.code, self.flash.len());
    }

    /// Waits a moment for what is under way, then says `offline` itself: a clean goodbye fires no will.
    async fn farewell(mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let saying = async {
            while self.link.as_ref().is_some_and(|up| 0 < up.under_way) {
                self.wait(&CancellationToken::new()).await;
            }
            let pkid = self.next_pkid();
            if let Some(mut up) = self.link.take() {
                let topic = format!("stations/{}/state", self.place.code);
                up.link.publish(&topic, "offline", pkid, true)?;
                up.link.flush().await?;
                // A socket closed over an unread answer is reset, and the goodbye lost with it.
                while up.link.next().await? != Incoming::Acked(pkid) {}
                up.link.close().await?;
            }
            Ok::<(), LinkError>(())
        };
        if !matches!(timeout(PATIENCE, saying).await, Ok(Ok(()))) {
            tracing::info!(station = self.place.code, "left without a goodbye");
        }
        self.report_queue();
    }
}

/// One report of `docs/wire.md`.
#[derive(serde::Serialize)]
struct ReportJson<'a> {
    time: String,
    seq: u64,
    values: &'a Sample,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replay: bool,
}

fn payload(report: &Stored, replay: bool) -> Vec<u8> {
    let json = ReportJson {
        time: report.stamped.to_local_rfc3339(),
        seq: report.seq,
        values: &report.sample,
        replay,
    };
    serde_json::to_vec(&json).expect("numbers and texts always fit into JSON")
}
