//! Bytes both ways over a port that comes and goes. It is opened when it is needed, by its path, and after a failure
//! not at once; whoever speaks over it decides when it is closed.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::upstream::backoff::Backoff;

use super::port::{self, Port};
use super::{Place, Serial};

/// A disturbed line is listened to for so long at most: something that never stops talking is not waited for.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What is counted of opening.
pub(crate) trait Told: Send + Sync {
    /// It was opened, or could not be.
    fn opened(&self, outcome: &'static str);
    /// Is it open?
    fn is_open(&self, open: bool);
}

/// The line is of no use now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// It was closed while it was used.
    #[error("the line was closed")]
    Closed(#[source] io::Error),
    /// It cannot be opened.
    #[error("the line cannot be opened")]
    NoLine(#[source] io::Error),
    /// Somebody talks without a pause.
    #[error("the line is never silent")]
    Busy,
    /// It takes no bytes.
    #[error("the line takes no question in time")]
    Stuck,
}

/// See the module.
pub(crate) struct Wire {
    name: String,
    place: Place,
    serial: Serial,
    told: Box<dyn Told>,
    port: Option<Box<dyn Port>>,
    /// What was heard and not yet understood.
    pub(crate) heard: BytesMut,
    backoff: Backoff,
    /// After a failure it is not opened before.
    open_at: Option<Instant>,
}

impl Wire {
    /// A line that is not open yet; `seed` differs between lines and runs.
    pub(crate) fn new(
        name: &str,
        place: Place,
        serial: Serial,
        retry_max: Duration,
        seed: u64,
        told: impl Told + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            place,
            serial,
            told: Box::new(told),
            port: None,
            heard: BytesMut::new(),
            backoff: Backoff::new(retry_max, seed),
            open_at: None,
        }
    }

    /// Is it open?
    pub(crate) fn is_open(&self) -> bool {
        self.port.is_some()
    }

    /// Is it a serial port of this machine?
    pub(crate) fn is_serial(&self) -> bool {
        matches!(self.place, Place::Serial(_))
    }

    /// When it may be opened again, where it failed.
    pub(crate) fn opens_at(&self) -> Option<Instant> {
        self.open_at
    }

    /// Opens it where it is closed. After a failure it fails at once until its wait is over.
    pub(crate) async fn open(&mut self) -> Result<(), Broken> {
        if self.port.is_some() {
            return Ok(());
        }
        if self.open_at.is_some_and(|at| Instant::now() < at) {
            return Err(Broken::NoLine(io::ErrorKind::NotConnected.into()));
        }
        let line = &self.name;
        match port::open(&self.place, &self.serial).await {
            Ok(port) => {
                if self.open_at.take().is_some() {
                    tracing::info!(line, "line open again");
                }
                self.backoff.succeeded();
                self.told.opened("open");
                self.told.is_open(true);
                self.port = Some(port);
                Ok(())
            }
            Err(error) => {
                self.told.opened("refused");
                let wait = self.backoff.next();
                let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(line, at = %self.place, %error, retry_ms, "no line");
                self.open_at = Some(Instant::now() + wait);
                Err(Broken::NoLine(error))
            }
        }
    }

    /// Closes it.
    pub(crate) fn close(&mut self) {
        if self.port.take().is_some() {
            self.told.is_open(false);
        }
        self.heard.clear();
    }

    /// Says this, until `until`.
    pub(crate) async fn say(&mut self, bytes: &[u8], until: Instant) -> Result<(), Broken> {
        let Some(port) = &mut self.port else { return Err(closed()) };
        let said = async {
            port.write_all(bytes).await?;
            port.flush().await
        };
        match timeout_at(until, said).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::Closed(error)),
            Err(_) => Err(Broken::Stuck),
        }
    }

    /// Holds a break for so long, and waits for `after` then.
    pub(crate) async fn wake(&mut self, held: Duration, after: Duration) -> Result<(), Broken> {
        for (hold, long) in [(true, held), (false, after)] {
            let Some(port) = &self.port else { return Err(closed()) };
            port.hold(hold).map_err(Broken::Closed)?;
            sleep(long).await;
        }
        Ok(())
    }

    /// Hears more; `false` where nothing more came in time, or more than `most` bytes wait to be understood.
    pub(crate) async fn hear(&mut self, until: Instant, most: usize) -> Result<bool, Broken> {
        let Some(port) = &mut self.port else { return Err(closed()) };
        if most < self.heard.len() {
            return Ok(false);
        }
        match timeout_at(until, port.read_buf(&mut self.heard)).await {
            Err(_) => Ok(false),
            Ok(Ok(0)) => Err(closed()),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => Err(Broken::Closed(error)),
        }
    }

    /// Waits until the line was silent for so long; how many bytes came meanwhile is the answer.
    pub(crate) async fn hush(&mut self, silence: Duration) -> Result<usize, Broken> {
        let Some(port) = &mut self.port else { return Err(closed()) };
        let begun = Instant::now();
        let mut bytes = 0;
        let mut scrap = [0_u8; 512];
        // A reactor that was not asked yet knows of no byte: at least one turn of it.
        let silence = silence.max(Duration::from_millis(1));
        loop {
            match timeout(silence, port.read(&mut scrap)).await {
                Err(_) => return Ok(bytes),
                Ok(Ok(0)) => return Err(closed()),
                Ok(Ok(more)) => bytes += more,
                Ok(Err(error)) => return Err(Broken::Closed(error)),
            }
            if DRAIN_MAX < begun.elapsed() {
                return Err(Broken::Busy);
            }
        }
    }
}

fn closed() -> Broken {
    Broken::Closed(io::ErrorKind::UnexpectedEof.into())
}
