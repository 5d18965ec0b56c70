//! The loop of one export: what the journal brought, what is due of it, out with it, remembered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::{Clock, Parameter, Timestamp};
use history::{History, HistoryError};
use ingest::{BadRecord, Decoder, Record};
use journal::{Journal, JournalError};
use registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::follow::{READ_BYTES, Tally};

use super::config::{Circular10, Target};
use super::page::page;
use super::sent::{Sent, digest};
use super::slots::{Slot, Slots};
use super::{Came, Page, Trouble, folder, ftp, sftp};

/// How often the journal is looked at. A slot waits for its `settle` anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files of one connection: what 50 stations have each five minutes. After so many it is remembered what was sent.
const BATCH: usize = 50;

/// The first wait after a failure. It doubles up to `retry_max`.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Files that a server refused and that wait by themselves. Over it, no later file goes before them.
const SET_ASIDE_MAX: usize = 1_000;

/// Why an export cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What was sent cannot be read or remembered.
    #[error("what was exported cannot be remembered")]
    Remember(#[from] std::io::Error),
    /// The journal does not read back.
    #[error("journal does not serve")]
    Journal(#[from] JournalError),
    /// The journal holds what this program does not know.
    #[error("journal holds a record that cannot be read")]
    Record(#[from] BadRecord),
}

/// Where files come from.
#[derive(Clone)]
pub struct Source {
    /// What is followed.
    pub journal: Journal,
    /// Where the values are.
    pub history: History,
    /// How far history has come.
    pub tally: Arc<Tally>,
    /// Parameters and their units.
    pub registry: Registry,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The data folder's part for exports.
    pub dir: PathBuf,
}

/// Sends files to one department.
pub struct Export {
    config: Arc<Circular10>,
    source: Source,
    slots: Slots,
    sent: Sent,
    /// The first record that was not read.
    next: u64,
    decoder: Decoder,
    /// What a server refused: how often, and when it is tried again.
    aside: BTreeMap<Slot, (u32, Instant)>,
    failures: u32,
}

impl Export {
    /// An export that goes on where it stood; a new one begins with what comes from now on, or, where it says from when,
    /// with what the journal still has of that. Blocking.
    ///
    /// # Errors
    /// [`ExportError::Remember`].
    pub fn open(config: Circular10, source: Source) -> Result<Self, ExportError> {
        let oldest = source.journal.oldest();
        let begin = config.from.map_or(source.journal.durable_end(), |_| oldest);
        let sent = Sent::open(&source.dir, &config.name, begin)?;
        if sent.at() < oldest {
            tracing::error!(
                export = config.name,
                next = sent.at(),
                oldest,
                "records were deleted before they were exported"
            );
        }
        // A data folder that was restored may end before what was sent out of it.
        let next = sent.at().min(source.journal.durable_end()).max(oldest);
        let (slots, decoder, aside) = (Slots::default(), Decoder::default(), BTreeMap::new());
        Ok(Self {
            config: Arc::new(config),
            source,
            slots,
            sent,
            next,
            decoder,
            aside,
            failures: 0,
        })
    }

    /// Sends until told to stop; a file that is on its way then is sent again after the start.
    ///
    /// # Errors
    /// [`ExportError`]: nothing more can be remembered, or the journal does not serve.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ExportError> {
        tracing::info!(export = self.config.name, next = self.next, "exporting");
        while !stop.is_cancelled() {
            self = blocking(move || self.gather()).await?;
            let wait = tokio::select! {
                wait = self.send() => wait?,
                () = stop.cancelled() => break,
            };
            self.show();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Notes the slots that the journal speaks of, as far as history has them.
    fn gather(mut self) -> Result<Self, ExportError> {
        let oldest = self.source.clock.now() - self.config.keep;
        while !self.slots.is_full() && self.next < self.source.tally.next.load(Ordering::Acquire) {
            let records = self.source.journal.read(self.next, READ_BYTES)?;
            let end = self.source.tally.next.load(Ordering::Acquire);
            for (position, bytes) in records.iter().filter(|(position, _)| *position < end) {
                if let Record::Admitted(admitted) = self.decoder.decode(bytes)?
                    && self.config.takes(&admitted.station)
                {
                    let every = self.config.every;
                    let slot = Slot::of(admitted.station, admitted.taken_at, every);
                    if slot.end < oldest {
                        skipped(&self.config.name, 1);
                    } else if self.config.wants(slot.end) {
                        self.slots.add(slot, *position);
                    }
                }
                self.next = position + 1;
            }
            if records.is_empty() {
                break;
            }
        }
        skipped(&self.config.name, self.slots.forget(oldest));
        Ok(self)
    }

    /// Sends a batch of what is due; returns how long to wait.
    async fn send(&mut self) -> Result<Duration, ExportError> {
        let (now, looked) = (self.source.clock.now(), Instant::now());
        self.aside.retain(|slot, _| self.slots.holds(slot));
        let due = self.due(now, looked);
        if due.is_empty() {
            self.remember(Vec::new()).await?;
            return Ok(LOOK_EVERY);
        }
        let parameters = match self.source.registry.parameters().await {
            Ok(parameters) => parameters,
            Err(error) => return Ok(self.failed("registry", &error)),
        };
        let pages = match self.pages(due, parameters).await {
            Ok(pages) => pages,
            Err(error) => return Ok(self.failed("history", &error)),
        };
        // What has nothing in it, or went out just so before, is done.
        let mut fresh = Vec::new();
        for (slot, page) in pages {
            match page {
                Some(page) if !self.sent.holds(&slot, &digest(&page.text)) => {
                    fresh.push((slot, page));
                }
                Some(_) => self.done(&slot, "same"),
                None => self.done(&slot, "empty"),
            }
        }
        let (slots, pages): (Vec<Slot>, Vec<Page>) = fresh.into_iter().unzip();
        let came = self.put(&pages).await;
        let mut sent = Vec::new();
        for (slot, page) in slots.iter().zip(&pages).take(came.done) {
            self.done(slot, "sent");
            sent.push((slot.clone(), digest(&page.text)));
        }
        let count = sent.len();
        self.remember(sent).await?;
        if 0 < count {
            tracing::info!(
                export = self.config.name,
                files = count,
                waiting = self.slots.len(),
                "exported"
            );
        }
        if 0 < count {
            self.failures = 0;
        }
        Ok(match came.trouble {
            // There may be more.
            None => Duration::ZERO,
            Some(trouble @ Trouble::Away(_)) => self.failed("away", &trouble),
            Some(trouble @ Trouble::Refused(_)) => {
                self.refused(slots.get(came.done), &trouble);
                // Whoever refuses one after the other is not asked for all of them at once.
                match count {
                    0 => self.failed("refused", &trouble),
                    _ => Duration::ZERO,
                }
            }
        })
    }

    /// What is to be sent now: the oldest first, and behind them what was refused before and may be tried again.
    fn due(&self, now: Timestamp, looked: Instant) -> Vec<Slot> {
        let full = SET_ASIDE_MAX <= self.aside.len();
        let aside = |slot: &Slot| full || self.aside.contains_key(slot);
        let mut due = self.slots.due(now, self.config.settle, BATCH, aside);
        let again = self.aside.iter().filter(|(_, (_, until))| *until <= looked);
        due.extend(again.map(|(slot, _)| slot.clone()).take(BATCH - due.len()));
        due
    }

    async fn put(&self, pages: &[Page]) -> Came {
        if pages.is_empty() {
            return Came::all(0);
        }
        let patience = self.config.patience;
        match &self.config.target {
            Target::Folder(dir) => {
                let (dir, pages) = (dir.clone(), pages.to_vec());
                blocking(move || folder::put(&dir, &pages)).await
            }
            Target::Sftp(to) => {
                let out = self.source.dir.join(format!("{}.out", self.config.name));
                sftp::put(to, pages, &out, patience).await
            }
            Target::Ftp(to) => ftp::put(to, pages, patience).await,
        }
    }

    async fn pages(
        &self,
        due: Vec<Slot>,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<(Slot, Option<Page>)>, HistoryError> {
        let (config, history) = (self.config.clone(), self.source.history.clone());
        blocking(move || {
            let read = |slot: Slot| {
                let page = page(&config, &history, &parameters, &slot)?;
                Ok((slot, page))
            };
            due.into_iter().map(read).collect()
        })
        .await
    }

    fn done(&mut self, slot: &Slot, outcome: &'static str) {
        self.slots.remove(slot);
        self.aside.remove(slot);
        counted(&self.config.name, outcome);
    }

    /// Writes down what was sent, and how far the journal is needed.
    async fn remember(&mut self, sent: Vec<(Slot, String)>) -> Result<(), ExportError> {
        let at = self.slots.needed(self.next);
        if sent.is_empty() && at == self.sent.at() {
            return Ok(());
        }
        // A line and a sync: it does not hold up anybody else for long.
        Ok(tokio::task::block_in_place(|| self.sent.add(sent, at))?)
    }

    /// Nothing goes out now; returns how long to wait.
    fn failed(&mut self, why: &'static str, error: &(dyn std::error::Error + 'static)) -> Duration {
        counted(&self.config.name, why);
        self.failures = self.failures.saturating_add(1);
        let wait = back_off(self.failures, self.config.retry_max);
        let waiting = self.slots.len();
        tracing::warn!(export = self.config.name, error, waiting, ?wait, "export waits");
        wait
    }

    /// One file was refused; it is set aside for a while, and the others go on.
    fn refused(&mut self, slot: Option<&Slot>, trouble: &Trouble) {
        let Some(slot) = slot else { return };
        let times = self.aside.get(slot).map_or(1, |(times, _)| times.saturating_add(1));
        let wait = back_off(times, self.config.retry_max);
        tracing::error!(
            export = self.config.name, station = %slot.station, slot = %slot.end,
            error = trouble as &dyn std::error::Error, ?wait, "a file was refused"
        );
        self.aside.insert(slot.clone(), (times, Instant::now() + wait));
    }

    fn show(&self) {
        let export = self.config.name.clone();
        metrics::gauge!("saltline_export_waiting", "export" => export.clone())
            .set(self.slots.len() as f64);
        let oldest = self.slots.oldest();
        let age = oldest.map_or(Duration::ZERO, |oldest| self.source.clock.now().since(oldest));
        metrics::gauge!("saltline_export_oldest_seconds", "export" => export)
            .set(age.as_secs_f64());
    }
}

fn back_off(failures: u32, most: Duration) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(most)
}

fn counted(export: &str, outcome: &'static str) {
    let export = export.to_owned();
    metrics::counter!("saltline_export_total", "export" => export, "outcome" => outcome)
        .increment(1);
}

fn skipped(export: &str, slots: usize) {
    if 0 < slots {
        let export = export.to_owned();
        metrics::counter!("saltline_export_too_old_total", "export" => export)
            .increment(slots as u64);
    }
}

/// Runs on a thread that may block. It is awaited to its end, so it has an owner.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        let most = Duration::from_secs(900);
        let waits: Vec<_> = (1..13).map(|n| back_off(n, most).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(back_off(u32::MAX, most), most);
    }
}
