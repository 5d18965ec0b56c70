//! What happens, as it happens: readings and changes of alerts as server-sent events. Each has an id; a reader that
//! lost its line sends the last one it saw and gets what it missed, as far as memory holds.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::{Reading, StationCode};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::{LiveReading, Site};
use crate::view::Book;

/// Events kept for readers that come back, and the most a reader may lag behind. 2,000 stations with two values every
/// 10 s make 400 a second: ten seconds of a lost line, in about 1 MB.
pub const EVENTS_KEPT: usize = 4_096;

/// Readers that may listen at once. Each costs a connection and a few kilobytes.
pub const LISTENERS_MAX: usize = 3_000;

/// A comment goes out this often, so that a dead line is noticed at both ends.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The units of parameters are looked up again this often.
const BOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Events {
    /// Tells ids of this process from those of one before: its numbers start anew.
    boot: String,
    kept: Mutex<Kept>,
    tell: broadcast::Sender<Arc<Happened>>,
    listeners: AtomicUsize,
}

struct Kept {
    next: u64,
    events: VecDeque<Arc<Happened>>,
}

struct Happened {
    seq: u64,
    what: What,
    text: OnceLock<String>,
}

enum What {
    Reading { reading: Reading, unit: String },
    Alerts { change: u64 },
}

#[derive(Serialize)]
struct ReadingSaid<'a> {
    station: &'a str,
    parameter: &'a str,
    time: String,
    value: Option<f64>,
    unit: &'a str,
    flag: u8,
}

#[derive(Serialize)]
struct AlertsSaid {
    change: u64,
}

impl Happened {
    fn name(&self) -> &'static str {
        match self.what {
            What::Reading { .. } => "reading",
            What::Alerts { .. } => "alerts",
        }
    }

    fn concerns(&self, station: Option<&StationCode>) -> bool {
        match (&self.what, station) {
            (What::Reading { reading, .. }, Some(station)) => &reading.station == station,
            _ => true,
        }
    }

    /// Written once, however many listen.
    fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let written = match &self.what {
                What::Reading { reading, unit } => serde_json::to_string(&ReadingSaid {
                    station: reading.station.as_str(),
                    parameter: reading.parameter.as_str(),
                    time: reading.taken_at.to_string(),
                    value: reading.value.filter(|value| value.is_finite()),
                    unit,
                    flag: reading.flag.number(),
                }),
                What::Alerts { change } => serde_json::to_string(&AlertsSaid { change: *change }),
            };
            written.expect("numbers and texts can be written as JSON")
        })
    }
}

impl Events {
    pub(crate) fn new(boot: u64) -> Self {
        let kept = Kept { next: 1, events: VecDeque::new() };
        Self {
            boot: format!("{boot:x}"),
            kept: Mutex::new(kept),
            tell: broadcast::Sender::new(EVENTS_KEPT),
            listeners: AtomicUsize::new(0),
        }
    }

    fn happen(&self, what: What) {
        let mut kept = self.kept();
        let event = Arc::new(Happened { seq: kept.next, what, text: OnceLock::new() });
        kept.next += 1;
        if kept.events.len() == EVENTS_KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&event));
        // Sent under the lock, so that a listener sees every event exactly once: replayed or live. No listener is
        // not an error.
        self.tell.send(event).ok();
    }

    /// What was missed since `last`, and what is to come. `None` for the missed when `last` is not in memory.
    fn listen(
        &self,
        last: Option<&str>,
    ) -> (Option<VecDeque<Arc<Happened>>>, broadcast::Receiver<Arc<Happened>>) {
        let kept = self.kept();
        let live = self.tell.subscribe();
        let Some(last) = last else { return (Some(VecDeque::new()), live) };
        let oldest = kept.next - kept.events.len() as u64;
        let seen = last
            .split_once('-')
            .filter(|(boot, _)| *boot == self.boot)
            .and_then(|(_, seq)| seq.parse::<u64>().ok())
            .filter(|&seq| oldest <= seq.saturating_add(1) && seq < kept.next);
        let missed = seen.map(|seq| {
            kept.events.iter().filter(|event| seq < event.seq).map(Arc::clone).collect()
        });
        (missed, live)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns what the engine tells into events, until `stop`.
    pub(crate) async fn pump(
        site: Arc<Site>,
        mut live: broadcast::Receiver<LiveReading>,
        stop: CancellationToken,
    ) {
        let mut book = Arc::<Book>::default();
        let mut changes = site.view.changes();
        let mut look = tokio::time::interval(BOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => match site.view.book().await {
                    Ok(newer) => book = newer,
                    Err(trouble) => drop(Problem::from(trouble)),
                },
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let change = *changes.borrow_and_update();
                    site.events.happen(What::Alerts { change });
                }
                heard = live.recv() => match heard {
                    Ok(LiveReading { reading }) => {
                        let parameter = book.parameter(reading.parameter.as_str());
                        let unit = parameter.map(|p| p.unit.clone()).unwrap_or_default();
                        site.events.happen(What::Reading { reading, unit });
                    }
                    Err(RecvError::Lagged(missed)) => {
                        metrics::counter!("saltline_events_skipped_total").increment(missed);
                        tracing::warn!(missed, "live readings were skipped: the portal fell behind");
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }
}

/// Counts itself out when its stream is dropped, however that happens.
struct Listener(Arc<Site>);

impl Listener {
    fn admit(site: &Arc<Site>) -> Option<Self> {
        let before = site.events.listeners.fetch_add(1, Ordering::Relaxed);
        let listener = Self(Arc::clone(site));
        metrics::gauge!("saltline_events_listeners").increment(1.0);
        (before < LISTENERS_MAX).then_some(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.events.listeners.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("saltline_events_listeners").decrement(1.0);
    }
}

/// `GET /api/v1/events?station=`
pub(crate) async fn events(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["station"])?;
    let station = match pairs.get("station") {
        Some(code) => Some(crate::api::station(&*site.view.book().await?, code)?.code.clone()),
        None => None,
    };
    let listener = Listener::admit(&site).ok_or_else(|| {
        let detail = format!("{LISTENERS_MAX} readers listen already");
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 30)
    })?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let stream = told(listener, station, last);
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut response = Sse::new(stream).keep_alive(heartbeat).into_response();
    // A proxy that gathers before it passes on would make live late.
    response.headers_mut().insert("x-accel-buffering", "no".parse().expect("a plain word"));
    Ok(response)
}

struct Told {
    listener: Listener,
    station: Option<StationCode>,
    missed: VecDeque<Arc<Happened>>,
    first: Option<Event>,
    live: broadcast::Receiver<Arc<Happened>>,
}

fn told(
    listener: Listener,
    station: Option<StationCode>,
    last: Option<&str>,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let (missed, live) = listener.0.events.listen(last);
    // The first word sets the reader's waiting time; `reset` says that something was missed for good: read anew.
    let hello = Event::default().retry(Duration::from_secs(3));
    let first = match missed {
        Some(_) => hello.comment("welcome"),
        None => hello.event("reset").data("{}"),
    };
    let told =
        Told { listener, station, missed: missed.unwrap_or_default(), first: Some(first), live };
    stream::unfold(told, |mut told| async move {
        let event = told.next().await?;
        Some((Ok(event), told))
    })
}

impl Told {
    /// The next event for this reader; `None` ends the stream, and the reader comes back with its last id.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let event = match self.missed.pop_front() {
                Some(event) => event,
                None => self.heard().await?,
            };
            if event.concerns(self.station.as_ref()) {
                let id = format!("{}-{}", self.listener.0.events.boot, event.seq);
                return Some(Event::default().id(id).event(event.name()).data(event.text()));
            }
        }
    }

    async fn heard(&mut self) -> Option<Arc<Happened>> {
        let heard = tokio::select! {
            () = self.listener.0.stop.cancelled() => return None,
            heard = self.live.recv() => heard,
        };
        if let Err(RecvError::Lagged(behind)) = heard {
            metrics::counter!("saltline_events_dropped_total", "reason" => "slow").increment(1);
            tracing::info!(behind, "a reader of events was too slow and is let go");
        }
        heard.ok()
    }
}
