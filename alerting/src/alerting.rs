//! Decide, word, record: the one place where a decision becomes durable. Memory follows the ledger and never runs
//! ahead of it: what is not on disk is not shown, and nobody is told of it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::{
    Alert, AlertId, AlertState, ChannelKind, Clock, EventKind, Timestamp, Verdict, Water, Why,
};
use journal::{Journal, JournalError, Position};
use tokio::sync::{Mutex, watch};

use crate::book::{Book, GaveUp, NoticeState, NoticeView};
use crate::desk::Decision;
use crate::draft::{Desk, draft};
use crate::ledger::{LedgerError, Record, decided as decided_records};
use crate::roster::Roster;

/// Bytes of the ledger that are read at once while it is folded: some thousand records, and small beside the rest.
const FOLD_BYTES: usize = 4 << 20;

/// Where the next start begins to fold. Retention deletes nothing that this has not passed.
const CURSOR: &str = "book";

/// Ledger records between two moves of that cursor: at 3,000 records a day two weeks of them.
pub(crate) const MARK_EVERY: u64 = 50_000;

/// A person's note is for the next person: a few sentences.
const NOTE_CHARS_MAX: usize = 1_000;

/// Who acts has a name that fits a line.
const NAME_CHARS_MAX: usize = 100;

/// The alerting: cheap to clone, one memory inside.
#[derive(Clone)]
pub struct Alerting {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: Journal,
    clock: Arc<dyn Clock>,
    book: RwLock<Book>,
    roster: RwLock<Arc<Roster>>,
    public_url: RwLock<Option<Arc<str>>>,
    /// Held from the look at the book to the record's arrival in it: decisions stand on each other.
    deciding: Mutex<()>,
    changes: watch::Sender<u64>,
}

/// A decision that changed something, as it now stands in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The alert after it.
    pub alert: Arc<Alert>,
    /// The decision with its reason.
    pub decision: Decision,
    /// The event that it added.
    pub event: EventKind,
    /// How many notices it made.
    pub notices: usize,
}

/// The alerting cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// The ledger's journal cannot be read or written.
    #[error("the ledger cannot be read or written")]
    Journal(#[from] JournalError),
    /// The ledger holds what this program cannot read.
    #[error("the ledger cannot be folded")]
    Ledger(#[from] LedgerError),
}

impl Alerting {
    /// Opens the alerting on its ledger and folds it. Blocking; it reads only what is
    /// still remembered (see the cursor `book`).
    ///
    /// # Errors
    /// [`AlertingError`] where the ledger cannot be read: on half a memory somebody would be told twice or not at all.
    pub fn open(ledger: Journal, clock: Arc<dyn Clock>) -> Result<Self, AlertingError> {
        let mut book = Book::default();
        let mut at = ledger.cursor(CURSOR).unwrap_or(0).max(ledger.oldest());
        let from = at;
        loop {
            let records = ledger.read(at, FOLD_BYTES)?;
            let Some((last, _)) = records.last() else { break };
            at = last + 1;
            for (position, bytes) in &records {
                let (instant, record) = Record::decode(bytes, *position)?;
                book.apply(instant, &record, *position)?;
            }
        }
        let records = at - from;
        tracing::info!(records, open = book.alerts.open_count(), "the ledger is folded");
        mark(&ledger, &book)?;
        let inner = Inner {
            ledger,
            clock,
            book: RwLock::new(book),
            roster: RwLock::default(),
            public_url: RwLock::default(),
            deciding: Mutex::new(()),
            changes: watch::Sender::new(at),
        };
        let alerting = Self { inner: Arc::new(inner) };
        alerting.gauge();
        Ok(alerting)
    }

    /// Takes the province's people, duties and names as they now are; notices made before keep their addresses.
    pub fn set_roster(&self, roster: Roster) {
        *self.inner.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    /// Where people see the portal, as `https://man.example.vn`: e-mails then link to the station's page.
    pub fn set_public_url(&self, url: Option<&str>) {
        let url = url.map(|url| Arc::from(url.trim_end_matches('/')));
        *self.inner.public_url.write().unwrap_or_else(PoisonError::into_inner) = url;
    }

    /// Decides on the verdicts that the readings' record at `position` gave, words the notices, and returns when all
    /// of it is one durable ledger record. Positions must rise; one at or below the newest decided is a replay after a
    /// restart and is skipped. Must be driven to its end: it holds the desk until then.
    ///
    /// # Errors
    /// [`AlertingError`]: nothing was decided, nobody is told.
    pub async fn consider(
        &self,
        position: u64,
        verdicts: &[Verdict],
        now: Timestamp,
    ) -> Result<Vec<Decided>, AlertingError> {
        let _desk = self.inner.deciding.lock().await;
        if self.decided_to().is_some_and(|decided| position <= decided) {
            metrics::counter!("saltline_decisions_total", "because" => "decided_before")
                .increment(u64::try_from(verdicts.len()).unwrap_or(u64::MAX));
            return Ok(Vec::new());
        }
        let decided = self.decide_and_record(Some(position), verdicts, now).await?;
        // What changed nothing leaves no record; after a restart it is held again.
        let mut book = self.book_mut();
        book.decided_to = book.decided_to.max(Some(position));
        drop(book);
        Ok(decided)
    }

    /// Ends alerts that nobody watches any more, each with its reason: the rule is gone, or no longer watches there, or
    /// cannot be computed. That is no all-clear, and people are told so. One that is over already is left alone.
    ///
    /// # Errors
    /// [`AlertingError`]: nothing was decided, nobody is told.
    pub async fn withdraw(
        &self,
        unwatched: &[(Arc<Alert>, Why)],
        now: Timestamp,
    ) -> Result<Vec<Decided>, AlertingError> {
        let verdicts: Vec<_> =
            unwatched.iter().map(|(alert, why)| unknown(alert, *why, now)).collect();
        let _desk = self.inner.deciding.lock().await;
        self.decide_and_record(None, &verdicts, now).await
    }

    async fn decide_and_record(
        &self,
        position: Option<u64>,
        verdicts: &[Verdict],
        now: Timestamp,
    ) -> Result<Vec<Decided>, AlertingError> {
        // Without a record nothing is raised, so no id is made of the position.
        let (drafts, holds) = self.draft(position.unwrap_or(0), verdicts, now);
        for hold in &holds {
            count_decision(*hold);
        }
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let (decided, judged): (Vec<_>, Vec<_>) =
            drafts.into_iter().map(|draft| (draft.decided, draft.row)).unzip();
        self.record_all(decided_records(position, judged)).await?;
        for decided in &decided {
            report(decided);
        }
        Ok(decided)
    }

    fn draft(
        &self,
        position: u64,
        verdicts: &[Verdict],
        now: Timestamp,
    ) -> (Vec<crate::draft::Draft>, Vec<Decision>) {
        let roster = self.roster();
        let url = self.inner.public_url.read().unwrap_or_else(PoisonError::into_inner).clone();
        let book = self.book();
        let desk = Desk { book: &book, roster: &roster, public_url: url.as_deref(), position, now };
        draft(&desk, verdicts)
    }

    /// The newest readings' record that was decided on.
    #[must_use]
    pub fn decided_to(&self) -> Option<u64> {
        self.book().decided_to
    }

    /// The alerts, newest first: every open one, and the newest 2,000 of the closed.
    #[must_use]
    pub fn alerts(&self) -> Vec<Arc<Alert>> {
        self.book().alerts.newest_first()
    }

    /// The alert with this id, if it is in memory.
    #[must_use]
    pub fn alert(&self, id: &AlertId) -> Option<Arc<Alert>> {
        self.book().alerts.get(id)
    }

    /// Writes down that a person answered; `None` where there is no such alert. An answer to a cleared alert is kept
    /// as an event and changes nothing else.
    ///
    /// # Errors
    /// [`AlertingError`]: the answer was not written down.
    pub async fn acknowledge(
        &self,
        id: &AlertId,
        by: &str,
        note: &str,
    ) -> Result<Option<Arc<Alert>>, AlertingError> {
        let _desk = self.inner.deciding.lock().await;
        if self.alert(id).is_none() {
            return Ok(None);
        }
        let by: String = by.chars().take(NAME_CHARS_MAX).collect();
        let note: String = note.chars().take(NOTE_CHARS_MAX).collect();
        self.record(Record::acknowledged(id, &by, &note)).await?;
        let kind = EventKind::Acknowledged.as_str();
        metrics::counter!("saltline_alerts_total", "kind" => kind).increment(1);
        tracing::info!(alert = %id, by, "an alert is acknowledged");
        Ok(self.alert(id))
    }

    /// The newest notices, newest first, at most so many: every waiting one and the newest 5,000 settled are known.
    #[must_use]
    pub fn notices(&self, newest: usize) -> Vec<NoticeView> {
        self.book().notices.newest(newest)
    }

    /// Moves with every ledger record; the number is the ledger's end.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Moves the cursor from which the next start folds; looks at all that is in memory. Blocking.
    pub(crate) fn mark(&self) -> Result<(), AlertingError> {
        mark(&self.inner.ledger, &self.book())
    }

    /// Makes the record durable, then takes it into memory, then wakes whoever waits for changes.
    pub(crate) async fn record(&self, record: Record) -> Result<(), AlertingError> {
        self.record_all(vec![record]).await
    }

    async fn record_all(&self, records: Vec<Record>) -> Result<(), AlertingError> {
        let at = self.inner.clock.now();
        let bytes = records.iter().map(|record| record.encode(at)).collect();
        let durable = self.inner.ledger.append(bytes).await?;
        {
            let mut book = self.book_mut();
            for (record, position) in records.iter().zip(durable.first()..) {
                book.apply(at, record, position)?;
            }
        }
        self.gauge();
        let end: Position = durable.next();
        self.inner.changes.send_modify(|seen| *seen = (*seen).max(end));
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.inner.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn book_mut(&self) -> RwLockWriteGuard<'_, Book> {
        self.inner.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.inner.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and the counts are small")]
    fn gauge(&self) {
        let book = self.book();
        metrics::gauge!("saltline_alerts_open").set(book.alerts.open_count() as f64);
        for channel in [ChannelKind::Email, ChannelKind::Sms] {
            metrics::gauge!("saltline_notices_waiting", "channel" => channel.as_str())
                .set(book.notices.waiting(channel) as f64);
        }
    }
}

impl NoticeView {
    /// The word for where the notice stands, as pages, logs and counters write it.
    #[must_use]
    pub const fn state_str(&self) -> &'static str {
        match self.state {
            NoticeState::Waiting { .. } => "waiting",
            NoticeState::HandedOver { .. } => "handed_over",
            NoticeState::Delivered { .. } => "delivered",
            NoticeState::GivenUp { .. } => "given_up",
        }
    }
}

fn mark(ledger: &Journal, book: &Book) -> Result<(), AlertingError> {
    match book.begins() {
        Some(begins) if ledger.cursor(CURSOR) != Some(begins) => {
            Ok(ledger.set_cursor(CURSOR, begins)?)
        }
        _ => Ok(()),
    }
}

/// Nobody can say how the water under this alert is.
fn unknown(alert: &Alert, why: Why, now: Timestamp) -> Verdict {
    Verdict {
        rule: alert.rule.clone(),
        station: alert.station.clone(),
        parameter: alert.parameter.clone(),
        water: Water::Unknown,
        before: Water::Exceed(alert.level),
        limit: None,
        value: None,
        taken_at: None,
        since: now,
        judged_at: now,
        why,
    }
}

fn count_decision(decision: Decision) {
    let because = decision.because().as_str();
    metrics::counter!("saltline_decisions_total", "because" => because).increment(1);
}

fn report(decided: &Decided) {
    count_decision(decided.decision);
    let (alert, kind) = (&decided.alert, decided.event.as_str());
    metrics::counter!("saltline_alerts_total", "kind" => kind).increment(1);
    let because = decided.decision.because().as_str();
    let open = alert.state != AlertState::Cleared;
    tracing::info!(alert = %alert.id, kind, because, level = alert.level, open, notices = decided.notices, "decided");
}

/// Counts a notice that is given up, and says so.
pub(crate) fn report_given_up(notice: &domain::Notice, why: GaveUp, detail: &str) {
    let (channel, why) = (notice.channel.as_str(), why.as_str());
    metrics::counter!("saltline_notices_given_up_total", "channel" => channel, "why" => why)
        .increment(1);
    tracing::error!(notice = %notice.id, channel, why, detail, "a notice is given up");
}
