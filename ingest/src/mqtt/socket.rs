//! A stream with its two buffers. Everything is polled from the connection's one task, so nothing is locked or split.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::counters::Counters;

/// What is read at once by a connection that says little. A thousand idle ones hold 4 MiB.
const READ_BYTES: usize = 4 * 1024;
/// What is read at once by one that fills its buffer: some 300 reports.
const READ_BYTES_BUSY: usize = 64 * 1024;
/// What is thrown away of a refused client's bytes, so that closing does not reset the connection before the client
/// has read why. Four times the largest packet it may have been sending.
const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// For how long that is done.
const DISCARD_MAX: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Socket<S> {
    stream: S,
    pub(super) read: BytesMut,
    pub(super) write: BytesMut,
    /// Written to the stream, perhaps not yet to the wire (TLS keeps a buffer of its own).
    unflushed: bool,
    /// Since when the client has not taken a byte.
    pub(super) stalled_since: Option<Instant>,
    read_bytes: usize,
    counters: Counters,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S, counters: Counters) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            write: BytesMut::new(),
            unflushed: false,
            stalled_since: None,
            read_bytes: READ_BYTES,
            counters,
        }
    }

    /// Reads what is there. 0 is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(self.read_bytes);
        let space = self.read.capacity() - self.read.len();
        let count = ready!(pin!(self.stream.read_buf(&mut self.read)).poll(cx))?;
        self.counters.bytes_in.increment(count as u64);
        self.read_bytes = if count == space { READ_BYTES_BUSY } else { READ_BYTES };
        Poll::Ready(Ok(count))
    }

    /// Writes what the client takes; ready when all is on its way.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.write.is_empty() {
            let Poll::Ready(count) = Pin::new(&mut self.stream).poll_write(cx, &self.write) else {
                self.stalled_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            let count = count?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.write.advance(count);
            self.counters.bytes_out.increment(count as u64);
            self.stalled_since = None;
            self.unflushed = true;
        }
        if self.unflushed {
            if Pin::new(&mut self.stream).poll_flush(cx)?.is_pending() {
                self.stalled_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            self.stalled_since = None;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, waiting.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Writes everything and closes, waiting at most `deadline`.
    pub(super) async fn close(&mut self, deadline: Duration) {
        let close = async {
            std::future::poll_fn(|cx| self.poll_drain(cx)).await?;
            self.stream.shutdown().await
        };
        // A client that is gone or takes nothing is closed all the same.
        timeout(deadline, close).await.ok();
    }

    /// The same for a client that may still be sending: what it sends is thrown away until it has read our answer.
    pub(super) async fn close_on_talker(&mut self, deadline: Duration) {
        self.close(deadline).await;
        let discard = async {
            let mut discarded = 0;
            while discarded < DISCARD_BYTES_MAX {
                self.read.clear();
                match self.fill().await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => discarded += count,
                }
            }
        };
        timeout(DISCARD_MAX, discard).await.ok();
    }
}
