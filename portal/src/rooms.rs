//! The portal's view, answered by the real rooms: history, registry, alerting and what the engine says of the analyzer.
//! Each of their types ends here and becomes one of ours, by hand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alerting::{Alerting, NoticeState, NoticeView};
use domain::{
    Aggregation, Alert, AlertId, Clock, Edit, Every, ParameterCode, StationCode, Timestamp,
};
use history::{Available, Group, History, HistoryError, Query, Rhythm, Spread, Tested};
use registry::{Registry, RegistryError, RiverKind};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::field::Field;
use crate::serve::serve_view;
use crate::site::{Beside, LiveReading, Readiness, Settings};
use crate::view::{
    Answer, At, Beyond, Book, Bucket, Course, Delivery, Latest, Point, River, Role, SessionHash,
    Spells, Standing, Told, Trouble, User, View, Wanted,
};

/// Intervals that one question may bring: what a page or an answer shows is bounded well below.
const BUCKETS_MAX: usize = 20_000;

/// Everything the portal is given.
#[derive(Clone)]
pub struct Portal {
    /// Readings over time.
    pub history: History,
    /// The province's book, users and sessions.
    pub registry: Registry,
    /// Alerts and notices.
    pub alerting: Alerting,
    /// What the analyzer says now.
    pub standing: Arc<dyn Fn() -> Vec<analytics::rules::Standing> + Send + Sync>,
    /// Tells the time of the water.
    pub clock: Arc<dyn Clock>,
    /// Tells the time of the people who log in: in a demo it does not run faster.
    pub wall: Arc<dyn Clock>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The answer of `/-/ready`.
    pub ready: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Readings as they come, flagged.
    pub live: broadcast::Sender<LiveReading>,
    /// Is this the demo, whose outbox anybody may read?
    pub demo: bool,
    /// Where readers find us; with `https`, cookies are for `https` only.
    pub public_url: Option<String>,
    /// Refused packets, gaps and commands.
    pub field: Option<Field>,
    /// Addresses that other parts answer on the same port.
    pub beside: Vec<Beside>,
}

/// Serves the portal on `listener` until `stop`, then lets answers under way end.
///
/// # Errors
/// Where the listener has no address.
pub async fn serve(
    listener: TcpListener,
    portal: Portal,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let settings = portal.settings();
    serve_view(listener, Arc::new(Rooms::new(portal)), settings, stop).await
}

/// Binds a listener; port 0 takes any free one.
///
/// # Errors
/// Those of the socket.
pub async fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(listen).await
}

impl Portal {
    /// What is not a room.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            clock: Arc::clone(&self.clock),
            wall: Arc::clone(&self.wall),
            metrics: Arc::clone(&self.metrics),
            ready: Arc::clone(&self.ready),
            live: self.live.clone(),
            demo: self.demo,
            public_url: self.public_url.clone(),
            field: self.field.clone(),
            beside: self.beside.clone(),
        }
    }
}

/// The rooms behind the view.
pub struct Rooms {
    portal: Portal,
    /// The book as it was at this version; read again when the version has moved.
    book: Mutex<Option<(u64, Arc<Book>)>>,
}

impl Rooms {
    /// The view of these rooms.
    #[must_use]
    pub fn new(portal: Portal) -> Self {
        Self { portal, book: Mutex::new(None) }
    }

    fn known(&self, version: u64) -> Option<Arc<Book>> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.as_ref().filter(|(at, _)| *at == version).map(|(_, book)| Arc::clone(book))
    }

    async fn read_book(&self) -> Result<Arc<Book>, RegistryError> {
        let registry = &self.portal.registry;
        // The version is read first: what changes while we read makes the next question read again.
        let version = registry.version().await?;
        if let Some(book) = self.known(version) {
            return Ok(book);
        }
        let lines = registry.rivers().await?.into_iter().chain(registry.coast().await?);
        let book = Arc::new(Book {
            stations: registry.stations().await?,
            parameters: registry.parameters().await?,
            rivers: lines.map(river).collect(),
            rules: registry.rules().await?,
            edits: by_station(registry.edits().await?),
        });
        let kept = Some((version, Arc::clone(&book)));
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(book)
    }

    /// History reads files: that is done beside the tasks that wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&History) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let history = self.portal.history.clone();
        let answer = tokio::task::spawn_blocking(move || question(&history)).await;
        let answer = answer.map_err(|stopped| Trouble::new("history", stopped))?;
        answer.map_err(|error| Trouble::new("history", error))
    }
}

impl View for Rooms {
    fn book(&self) -> Answer<'_, Arc<Book>> {
        Box::pin(async { self.read_book().await.map_err(registry_trouble) })
    }

    fn latest(&self) -> Answer<'_, Vec<Latest>> {
        // From memory, under a short lock.
        let latest = self.portal.history.latest_all().into_iter().map(latest).collect();
        Box::pin(std::future::ready(Ok(latest)))
    }

    fn parameters(&self, station: &StationCode) -> Answer<'_, Vec<ParameterCode>> {
        Box::pin(std::future::ready(Ok(self.portal.history.parameters(station))))
    }

    fn points(&self, wanted: Wanted, limit: usize) -> Answer<'_, Vec<Point>> {
        Box::pin(async move {
            let query = query(wanted, limit);
            let points = self.ask(move |history| history.range(&query)).await?;
            Ok(points.into_iter().map(point).collect())
        })
    }

    fn buckets(
        &self,
        wanted: Wanted,
        every: Every,
        aggregation: Aggregation,
    ) -> Answer<'_, Vec<Bucket>> {
        Box::pin(async move {
            let query = query(wanted, BUCKETS_MAX);
            let buckets =
                self.ask(move |history| history.buckets(&query, every, aggregation)).await?;
            Ok(buckets.into_iter().map(bucket).collect())
        })
    }

    fn spells(
        &self,
        wanted: Wanted,
        every: Every,
        beyond: Beyond,
        gap_max: Duration,
    ) -> Answer<'_, Vec<Spells>> {
        Box::pin(async move {
            let query = query(wanted, BUCKETS_MAX);
            let beyond = of_history(beyond);
            let found = self.ask(move |history| history.spells(&query, every, beyond, gap_max));
            Ok(found.await?.into_iter().map(spells).collect())
        })
    }

    fn spread(&self, wanted: Wanted, spread: Spread) -> Answer<'_, Option<Vec<Group>>> {
        Box::pin(async move {
            let query = query(wanted, usize::MAX);
            self.ask(move |history| history.spread(&query, &spread)).await
        })
    }

    fn test_flags(&self, wanted: Wanted) -> Answer<'_, Vec<Tested>> {
        Box::pin(async move {
            let Wanted { station, parameter, from, to, as_of, .. } = wanted;
            let asked = move |history: &History| {
                history.test_flags(&station, &parameter, (from, to), as_of)
            };
            self.ask(asked).await
        })
    }

    fn availability(&self, wanted: Wanted, rhythm: Rhythm) -> Answer<'_, Available> {
        Box::pin(async move {
            let query = query(wanted, usize::MAX);
            self.ask(move |history| history.availability(&query, rhythm)).await
        })
    }

    fn spells_of(
        &self,
        wanted: Vec<(Wanted, Duration)>,
        every: Every,
        beyond: Beyond,
    ) -> Answer<'_, Vec<Vec<Spells>>> {
        Box::pin(async move {
            let beyond = of_history(beyond);
            // One part for each core of the smallest machine; a greater one has others to answer meanwhile.
            let half = wanted.len().div_ceil(2).max(1);
            let part = |wanted: &[(Wanted, Duration)]| {
                let part = wanted.to_vec();
                self.ask(move |history| {
                    let one = |(wanted, gap_max)| {
                        history.spells(&query(wanted, BUCKETS_MAX), every, beyond, gap_max)
                    };
                    part.into_iter().map(one).collect::<Result<Vec<_>, _>>()
                })
            };
            let parts: Vec<_> = wanted.chunks(half).map(part).collect();
            let found = futures_util::future::try_join_all(parts).await?;
            let found = found.into_iter().flatten();
            Ok(found.map(|one| one.into_iter().map(spells).collect()).collect())
        })
    }

    fn standing(&self) -> Vec<Standing> {
        (self.portal.standing)().into_iter().map(standing).collect()
    }

    fn alerts(&self) -> Vec<Arc<Alert>> {
        self.portal.alerting.alerts()
    }

    fn alert(&self, id: &AlertId) -> Option<Arc<Alert>> {
        self.portal.alerting.alert(id)
    }

    fn acknowledge<'a>(
        &'a self,
        id: &'a AlertId,
        by: &'a str,
        note: &'a str,
    ) -> Answer<'a, Option<Arc<Alert>>> {
        Box::pin(async move {
            let answered = self.portal.alerting.acknowledge(id, by, note).await;
            answered.map_err(|error| Trouble::new("alerting", error))
        })
    }

    fn notices(&self, newest: usize) -> Vec<Told> {
        self.portal.alerting.notices(newest).into_iter().map(told).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.portal.alerting.changes()
    }

    fn sign_in<'a>(&'a self, name: &'a str, password: &'a str) -> Answer<'a, Option<User>> {
        Box::pin(async move {
            let user = self.portal.registry.check_password(name, password).await;
            Ok(user.map_err(registry_trouble)?.map(user_of))
        })
    }

    fn put_session<'a>(
        &'a self,
        session: SessionHash,
        user: &'a str,
        expires: Timestamp,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            // Nobody waits for the sweep, and a session that has ended is refused with or without it.
            if let Err(error) =
                self.portal.registry.drop_expired_sessions(self.portal.wall.now()).await
            {
                tracing::warn!(%error, "sessions that have ended could not be swept");
            }
            // The form token is derived from the session's id, so nothing of it is stored.
            let put = self.portal.registry.put_session(&session, user, expires, "");
            put.await.map_err(registry_trouble)
        })
    }

    fn session(&self, session: SessionHash, now: Timestamp) -> Answer<'_, Option<User>> {
        Box::pin(async move {
            let session = self.portal.registry.session(&session, now).await;
            Ok(session.map_err(registry_trouble)?.map(|session| user_of(session.user)))
        })
    }

    fn drop_session(&self, session: SessionHash) -> Answer<'_, ()> {
        Box::pin(async move {
            self.portal.registry.drop_session(&session).await.map_err(registry_trouble)
        })
    }

    fn audit<'a>(
        &'a self,
        at: Timestamp,
        who: &'a str,
        act: &'a str,
        before: &'a str,
        after: &'a str,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let written = self.portal.registry.audit(at, who, act, before, after).await;
            written.map_err(registry_trouble)
        })
    }
}

fn by_station(edits: Vec<Edit>) -> HashMap<StationCode, Vec<Edit>> {
    edits.into_iter().fold(HashMap::new(), |mut all, edit| {
        all.entry(edit.station.clone()).or_default().push(edit);
        all
    })
}

fn registry_trouble(error: RegistryError) -> Trouble {
    Trouble::new("registry", error)
}

fn query(wanted: Wanted, limit: usize) -> Query {
    let Wanted { station, parameter, from, to, as_of, edits } = wanted;
    Query { station, parameter, from, to, limit, as_of, edits }
}

fn river(river: registry::River) -> River {
    let course = match river.kind {
        RiverKind::River => Course::River,
        RiverKind::Canal => Course::Canal,
        RiverKind::Coast => Course::Coast,
    };
    let registry::River { code, name, name_en, line, .. } = river;
    River { code, course, name, name_en, line }
}

fn latest(latest: history::Latest) -> Latest {
    let history::Latest { station, parameter, taken_at, received_at, value, flag } = latest;
    Latest { station, parameter, taken_at, received_at, value, flag }
}

fn point(point: history::Point) -> Point {
    let history::Point { taken_at, value, flag, layer, .. } = point;
    Point { taken_at, value, flag, layer }
}

fn bucket(bucket: history::Bucket) -> Bucket {
    let history::Bucket { start, min, max, first, last, mean, total, count, flag } = bucket;
    let (min, max) = (min.map(at), max.map(at));
    let (first, last) = (first.map(at), last.map(at));
    Bucket { start, min, max, first, last, mean, total, count, flag }
}

fn of_history(beyond: Beyond) -> history::Beyond {
    match beyond {
        Beyond::Above(limit) => history::Beyond::Above(limit),
        Beyond::Below(limit) => history::Beyond::Below(limit),
    }
}

fn spells(spells: history::Spells) -> Spells {
    let history::Spells { start, beyond, known, spells, longest } = spells;
    Spells { start, beyond, known, spells, longest }
}

fn at(at: history::At) -> At {
    At { value: at.value, taken_at: at.taken_at }
}

fn standing(standing: analytics::rules::Standing) -> Standing {
    Standing {
        rule: standing.rule,
        station: standing.station,
        parameter: standing.parameter,
        water: standing.water,
        limit: standing.limit,
        value: standing.value,
        taken_at: standing.taken_at,
        since: standing.since,
        why: standing.why,
    }
}

fn told(view: NoticeView) -> Told {
    let delivery = match view.state {
        NoticeState::Waiting { attempts, next_at, last_error } => {
            Delivery::Waiting { attempts, next_at: Some(next_at), last_error }
        }
        NoticeState::HandedOver { at, reference: _ } => Delivery::HandedOver { at },
        NoticeState::Delivered { at } => Delivery::Delivered { at },
        NoticeState::GivenUp { at, why } => Delivery::GivenUp { at, why },
    };
    Told { notice: (*view.notice).clone(), delivery }
}

fn user_of(user: registry::User) -> User {
    let role = match user.role {
        registry::Role::Viewer => Role::Viewer,
        registry::Role::Operator => Role::Operator,
        registry::Role::Admin => Role::Admin,
    };
    User { name: user.name, role }
}
