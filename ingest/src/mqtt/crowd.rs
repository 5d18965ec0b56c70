//! Waking many: a few at a time, and everybody else's turn in between. A report that five hundred listeners get would
//! otherwise put five hundred tasks before the next step of the station that sent it, and each of them writes to a
//! socket. And no listener of a crowd is woken more often than each [`ROUND`]: what comes faster gathers, and one write
//! carries it, so that what listeners cost has a bound that no station's rate moves.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::attachment::Attachment;

/// Woken at one time. A listener's turn takes some 5 µs, most of it the kernel's for one write; what else is ready waits
/// a tenth of a millisecond at most, about a fifth of what a sync takes.
const BATCH: usize = 16;

/// From the first wake of one round to the first of the next: nobody who looks at a board sees it, and a crowd of 500
/// that is sent all there is takes a quarter of a core.
const ROUND: Duration = Duration::from_millis(10);

/// Connections that have mail and are not woken yet: each at most once, because it is its mail's first letter that puts
/// it here.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    waiting: Mutex<VecDeque<Arc<Attachment>>>,
    news: Notify,
    /// Somebody wakes them.
    served: AtomicBool,
}

impl Crowd {
    /// Is this a crowd?
    pub(super) const fn is_one(listeners: usize) -> bool {
        BATCH < listeners
    }

    /// Wakes these in their turn; at once where nobody serves the crowd.
    pub(super) fn wake(&self, attachments: Vec<Arc<Attachment>>) {
        if attachments.is_empty() {
            return;
        }
        self.waiting().extend(attachments);
        if self.served.load(Ordering::Acquire) {
            self.news.notify_one();
        } else {
            while self.wake_some() {}
        }
    }

    /// Wakes whoever waits, until it is dropped.
    pub(super) async fn serve(self: Arc<Self>) {
        let _served = Served::begin(&self);
        loop {
            self.news.notified().await;
            let next = Instant::now() + ROUND;
            while self.wake_some() {
                // Behind those who were just woken, and behind what the network and the disk have to say.
                yield_now().await;
            }
            sleep_until(next).await;
        }
    }

    /// Wakes the next few. Were there any?
    fn wake_some(&self) -> bool {
        let some: Vec<Arc<Attachment>> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        };
        some.iter().for_each(|attachment| attachment.wake());
        !some.is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Attachment>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the crowd is served, for as long as it is; who still waits then is woken.
struct Served<'a>(&'a Crowd);

impl<'a> Served<'a> {
    fn begin(crowd: &'a Crowd) -> Self {
        crowd.served.store(true, Ordering::Release);
        Self(crowd)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.served.store(false, Ordering::Release);
        while self.0.wake_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Wake, Waker};

    use tokio::task::JoinSet;

    use super::super::Entry;
    use super::super::peer::Peer;
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listeners(count: usize) -> (Vec<Arc<Attachment>>, Arc<Woken>) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let listener = || {
            let entry = Entry::Guest { name: "board".to_owned(), grants: Vec::new() };
            let attachment = Attachment::new(Arc::new(Peer::new(entry)), None);
            attachment.register(&Context::from_waker(&waker));
            Arc::new(attachment)
        };
        ((0..count).map(|_| listener()).collect(), woken)
    }

    #[test]
    fn where_nobody_serves_it_everybody_is_woken_at_once() {
        let (all, woken) = listeners(3 * BATCH + 1);
        Crowd::default().wake(all);
        assert_eq!(woken.0.load(Ordering::Relaxed), 3 * BATCH + 1);
    }

    #[tokio::test]
    async fn others_have_their_turn_between_a_few_and_a_round_takes_its_time() {
        let (all, woken) = listeners(3 * BATCH);
        let count = || woken.0.load(Ordering::Relaxed);
        let crowd = Arc::new(Crowd::default());
        let mut serving = JoinSet::new();
        serving.spawn(Arc::clone(&crowd).serve());
        yield_now().await;
        crowd.wake(all);
        let mut turns = 0;
        while count() < 3 * BATCH {
            turns += 1;
            assert!(count() <= turns * BATCH, "{} in {turns} turns", count());
            yield_now().await;
        }
        assert!(3 <= turns, "{turns}");
        // What comes when all were woken waits for the end of the round.
        for _ in 0..BATCH {
            yield_now().await;
        }
        let began = Instant::now();
        let (more, woken) = listeners(BATCH);
        crowd.wake(more);
        while woken.0.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        assert!(ROUND / 2 < began.elapsed(), "{:?}", began.elapsed());
        // Who waits when it ends is woken all the same.
        let (last, woken) = listeners(BATCH);
        crowd.wake(last);
        serving.shutdown().await;
        assert_eq!(woken.0.load(Ordering::Relaxed), BATCH);
    }
}
