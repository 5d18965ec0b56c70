//! From a listener to answers: a bounded number of connections, each with its deadlines, and an end in order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::events::Events;
use crate::patience::Patience;
use crate::session::{Peer, Transport};
use crate::site::{Settings, Site, router};
use crate::view::View;

/// Connections at once: the listeners to events and as many again for everybody else. Each holds two small buffers.
pub const CONNECTIONS_MAX: usize = 6_000;

/// A request's head arrives within this time, and an idle connection is kept for as long. A phone on 2G needs about
/// three seconds.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// A reader that takes nothing for this long is gone.
const TAKES_WITHIN: Duration = Duration::from_secs(30);

/// Bytes that a request's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Answers that are under way when we stop may take this long.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// After an error of `accept` (no file descriptors left) the next try waits, so that it does not spin.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Serves `view` on `listener` until `stop`, then lets answers under way end.
///
/// # Errors
/// Where the listener has no address.
pub async fn serve_view(
    listener: TcpListener,
    view: Arc<dyn View>,
    settings: Settings,
    stop: CancellationToken,
) -> io::Result<()> {
    let transport = Transport::of(listener.local_addr()?, settings.public_url.as_deref());
    let live = settings.live.subscribe();
    let site = Arc::new(Site::new(view, settings, transport, stop.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(Events::pump(Arc::clone(&site), live, stop.clone()));
    accept(&listener, &router(site), &stop, &mut tasks).await;
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WITHIN, ended).await.is_err() {
        tracing::warn!(left = tasks.len(), "connections did not end in time and are cut");
    }
    tasks.shutdown().await;
    Ok(())
}

/// Every address, answered without a socket: for tests, and for who has a listener of their own. Live events come
/// only where [`serve_view`] runs.
pub fn app(
    view: Arc<dyn View>,
    settings: Settings,
    transport: Transport,
    stop: CancellationToken,
) -> Router {
    router(Arc::new(Site::new(view, settings, transport, stop)))
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
            (listener.accept().await, permit)
        };
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = tasks.join_next() => {}
            (accepted, permit) = next => match accepted {
                Ok((stream, peer)) => {
                    tasks.spawn(connection(stream, peer, router.clone(), stop.clone(), permit));
                }
                Err(error) => {
                    metrics::counter!("saltline_http_accept_errors_total").increment(1);
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            },
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(router, request).await) }
    });
    let io = TokioIo::new(Patience::new(stream, TAKES_WITHIN));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, service)
        // A WebSocket leaves here with its socket; from then on it is the front door's.
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended badly");
    }
    drop(permit);
}

async fn answer(router: Router, request: hyper::Request<Incoming>) -> axum::response::Response {
    match router.oneshot(request.map(axum::body::Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
