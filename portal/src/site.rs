//! The one thing behind every address: what can be asked, and what the answers are made with. Its routes stand here,
//! all on one page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use domain::{Clock, Reading, Timestamp};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

use crate::assets::{self, Assets};
use crate::events::{self, Events};
use crate::field::Field;
use crate::headers::{self, Route};
use crate::limiter::Limiter;
use crate::session::Transport;
use crate::view::View;
use crate::{api, pages};

/// An answer takes no longer than this; a stream of events has begun by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The largest thing sent to us is a note on an alert.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Passwords that are checked at once: argon2id takes 19 MiB and a core for each.
const PASSWORDS_AT_ONCE: usize = 2;

/// A reading on its way past, already flagged by the analyzer.
#[derive(Debug, Clone)]
pub struct LiveReading {
    /// The reading.
    pub reading: Reading,
}

/// May work be sent here?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Everything runs.
    Ready,
    /// These do not, in words for an operator.
    NotReady(Vec<String>),
}

/// An address that another part answers on our port.
#[derive(Clone)]
pub struct Beside {
    /// Its path.
    pub path: &'static str,
    /// How it is answered. The request carries the [`Peer`](crate::Peer).
    pub methods: MethodRouter,
}

/// What the portal is given besides the other rooms.
#[derive(Clone)]
pub struct Settings {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Tells the time by which sessions end.
    pub wall: Arc<dyn Clock>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The answer of `/-/ready`.
    pub ready: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Readings as they come.
    pub live: broadcast::Sender<LiveReading>,
    /// Is this the demo, whose outbox anybody may read?
    pub demo: bool,
    /// Where readers find us, as `https://man.example.vn`. With `https`, cookies are for `https` only.
    pub public_url: Option<String>,
    /// Refused packets, gaps, commands; without it their addresses answer that nothing is known.
    pub field: Option<Field>,
    /// Addresses of others on the same port.
    pub beside: Vec<Beside>,
}

pub(crate) struct Site {
    pub(crate) view: Arc<dyn View>,
    pub(crate) settings: Settings,
    pub(crate) transport: Transport,
    pub(crate) events: Events,
    pub(crate) assets: Assets,
    pub(crate) limiter: Limiter,
    pub(crate) passwords: Semaphore,
    pub(crate) stop: CancellationToken,
}

impl Site {
    pub(crate) fn new(
        view: Arc<dyn View>,
        settings: Settings,
        transport: Transport,
        stop: CancellationToken,
    ) -> Self {
        let boot = u64::try_from(settings.clock.now().as_millis()).unwrap_or(0);
        Self {
            view,
            settings,
            transport,
            events: Events::new(boot),
            assets: Assets::new(),
            limiter: Limiter::default(),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            stop,
        }
    }

    /// The time of the people who log in.
    pub(crate) fn wall_now(&self) -> Timestamp {
        self.settings.wall.now()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }
}

/// Every address there is.
pub(crate) fn router(site: Arc<Site>) -> Router {
    let mut routes = Router::new();
    let mut at = |path: &'static str, methods: MethodRouter<Arc<Site>>| {
        // The answer carries the route it came by, so that counters have as many rows as there are lines here.
        let named = middleware::map_response(move |mut response: Response| async move {
            response.extensions_mut().insert(Route(path));
            response
        });
        routes = std::mem::take(&mut routes).route(path, methods.layer(named));
    };
    at("/", get(pages::home::home));
    at("/s/{station}", get(pages::station::station));
    at("/login", get(pages::login::form).post(pages::login::sign_in));
    at("/logout", post(pages::login::sign_out));
    at("/desk", get(pages::desk::desk));
    at("/admin/series", get(pages::series::index));
    at(
        "/admin/series/{station}/{parameter}",
        get(pages::series::series).post(pages::series::attempt),
    );
    at("/admin/series/{station}/{parameter}/edits", post(pages::series::make));
    at("/admin/series/{station}/{parameter}/edits/{id}/withdraw", post(pages::series::withdraw));
    at("/desk/alerts/{id}/ack", post(pages::desk::acknowledge));
    if site.settings.demo {
        at("/outbox", get(pages::outbox::outbox));
    }
    at("/assets/{name}", get(assets::asset));
    at("/api/v1/stations", get(api::stations::list));
    at("/api/v1/stations/{code}", get(api::stations::one));
    at("/api/v1/stations/{code}/readings", get(api::readings::readings));
    at("/api/v1/stations/{code}/spells", get(api::spells::spells));
    at("/api/v1/stations/{code}/statistics", get(api::statistics::statistics));
    at("/api/v1/stations/{code}/water-quality", get(api::water_quality::water_quality));
    at("/api/v1/stations/{code}/availability", get(api::statistics::availability));
    at("/api/v1/stations/{code}/tests", get(api::tests::tests));
    at("/api/v1/stations/{code}/edits", get(api::edits::list).post(api::edits::make));
    at("/api/v1/edits/{id}/withdraw", post(api::edits::withdraw));
    at("/api/v1/spells", get(api::spells::everywhere));
    at(
        "/api/v1/stations/{code}/commands",
        get(api::field::commands).post(api::field::make_command),
    );
    at("/api/v1/stations/{code}/commands/{id}", get(api::field::one_command));
    at("/api/v1/stations/{code}/config", get(api::field::config).put(api::field::configure));
    at("/api/v1/firmware/images", get(api::firmware::images));
    at("/api/v1/firmware/stations", get(api::firmware::stations));
    let rollouts = get(api::firmware::rollouts).post(api::firmware::start);
    at("/api/v1/firmware/rollouts", rollouts);
    at("/api/v1/firmware/rollouts/{id}", get(api::firmware::rollout));
    at("/api/v1/firmware/rollouts/{id}/{act}", post(api::firmware::steer));
    at("/api/v1/gaps", get(api::field::gaps));
    at("/api/v1/deadletter", get(api::field::letters));
    at("/api/v1/deadletter/{id}", get(api::field::one_letter));
    at("/api/v1/deadletter/{id}/replay", post(api::field::replay));
    at("/api/v1/latest", get(api::latest::latest));
    at("/api/v1/warnings", get(api::warnings::warnings));
    at("/api/v1/alerts", get(api::alerts::list));
    at("/api/v1/alerts/{id}", get(api::alerts::one));
    at("/api/v1/alerts/{id}/ack", post(api::alerts::acknowledge));
    at("/api/v1/events", get(events::events));
    at("/api/v1/session", get(api::session));
    for Beside { path, methods } in site.settings.beside.clone() {
        at(path, methods.with_state(()));
    }
    at("/metrics", get(metrics));
    at("/-/healthy", get(healthy));
    at("/-/ready", get(ready));
    routes
        .fallback(pages::error::nothing_here)
        .method_not_allowed_fallback(pages::error::not_this_way)
        .layer(middleware::from_fn(headers::etag))
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_WITHIN))
        .layer(middleware::from_fn(headers::protect))
        .layer(middleware::from_fn(headers::count))
        .with_state(site)
}

/// `GET /metrics`
async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, (site.settings.metrics)()).into_response()
}

/// `GET /-/healthy`
async fn healthy() -> &'static str {
    "healthy\n"
}

/// `GET /-/ready`
async fn ready(State(site): State<Arc<Site>>) -> Response {
    match (site.settings.ready)() {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::NotReady(reasons) => {
            (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
        }
    }
}
