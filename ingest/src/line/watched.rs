//! A bug ends a line's task, not the engine: the line begins anew, and not at once.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// After a bug the line rests for so long; the test does not wait for it.
const BUG_WAIT: Duration =
    if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(5) };

/// Runs what `begin` makes until it ends by itself or `stop` says so; after a bug anew. `bug` counts it.
pub(crate) async fn watched<W: Future<Output = ()> + Send + 'static>(
    line: &str,
    stop: &CancellationToken,
    bug: impl Fn(),
    begin: impl Fn() -> W,
) {
    while !stop.is_cancelled() {
        let mut once = JoinSet::new();
        once.spawn(begin());
        let Some(Err(error)) = once.join_next().await else { return };
        tracing::error!(line, %error, "a line ended by a bug");
        bug();
        tokio::select! {
            () = sleep(BUG_WAIT) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_bug_is_counted_and_the_line_begins_anew() {
        let (begun, bugs) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
        let bug = || {
            bugs.fetch_add(1, Ordering::Relaxed);
        };
        let begin = || {
            let begun = begun.clone();
            async move { assert!(2 < begun.fetch_add(1, Ordering::Relaxed), "a bug") }
        };
        watched("bus", &CancellationToken::new(), bug, begin).await;
        assert_eq!((begun.load(Ordering::Relaxed), bugs.load(Ordering::Relaxed)), (4, 3));
    }
}
