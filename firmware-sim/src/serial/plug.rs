//! A port that is pulled out and put in again.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pty::SerialLink;

/// Serves a port; after each `unplug` it is pulled out for as long.
pub async fn plugged<F: Future>(
    link: PathBuf,
    unplug: Option<Duration>,
    stop: CancellationToken,
    serve: impl Fn(SerialLink, CancellationToken) -> F,
) {
    while !stop.is_cancelled() {
        let port = match SerialLink::new(&link) {
            Ok(port) => port,
            Err(error) => return tracing::error!(%error, "no pseudo-terminal"),
        };
        let serving = serve(port, stop.child_token());
        let Some(each) = unplug else {
            serving.await;
            return;
        };
        tokio::select! {
            _ = serving => {}
            () = tokio::time::sleep(each) => tracing::info!("unplugged"),
        }
        tokio::select! {
            () = tokio::time::sleep(each) => tracing::info!("plugged in again"),
            () = stop.cancelled() => {}
        }
    }
}
