//! Sends what is due and records the receipt. What is due is found by looking into the book, so the way after a power
//! cut is the way of every minute; a new ledger record wakes the loop at once.
//!
//! A notice leaves only after the record that made it is durable, and its outcome is recorded before its lane moves
//! on. While a channel is away or asks for less, one notice at a time is tried, with a growing pause.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelKind, Notice, NoticeId, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::alerting::{Alerting, AlertingError, MARK_EVERY, report_given_up};
use crate::book::GaveUp;
use crate::channels::email::Email;
use crate::channels::sms::{Fate, Handled, Receipt, Sms};
use crate::channels::{Accepted, Channels, NotSent, Setback, email};
use crate::ledger::Record;
use crate::outbox::{self, Next};

/// The longest sleep. Retries fall due by the given clock, which in a demo runs sixty times as fast as this one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest sleep, against a clock that stands still just before an instant.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The longest pause of a whole channel: how late at most it is noticed that the other side is back.
const CHANNEL_PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// What is on its way at shutdown may take so long to be answered and recorded; 30 s are given for everything.
const DRAIN: Duration = Duration::from_secs(12);

/// A receipt may overtake the record of the hand-over that it belongs to, by an fsync at most.
const RECEIPT_WAIT: Duration = Duration::from_secs(2);

impl Alerting {
    /// Sends what is due until `stop`, then waits for what is on its way. Ends early only when the ledger cannot be
    /// written any more: then nothing may be sent, because nobody would remember it.
    pub async fn deliver(&self, channels: Channels, stop: CancellationToken) {
        let mut delivery = Delivery::new(self.clone(), &channels);
        let hang_up = CancellationToken::new();
        let tend = delivery.tend(hang_up.clone());
        let send = async {
            if let Err(error) = delivery.run(&stop).await {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "delivery stops: the ledger cannot be written");
            }
            hang_up.cancel();
        };
        tokio::join!(tend, send);
    }

    /// Records what the SMSC says became of a message.
    async fn receipt(&self, receipt: Receipt) -> Handled {
        let fate = receipt.fate.as_str();
        if receipt.fate == Fate::OnTheWay {
            metrics::counter!("saltline_sms_receipts_total", "fate" => fate).increment(1);
            return Handled::Done;
        }
        let Some((notice, reference)) = self.whose(&receipt.reference).await else {
            metrics::counter!("saltline_sms_receipts_total", "fate" => "unmatched").increment(1);
            tracing::warn!(reference = receipt.reference, fate, "a receipt for no message of ours");
            return Handled::Done;
        };
        metrics::counter!("saltline_sms_receipts_total", "fate" => fate).increment(1);
        let delivered = receipt.fate == Fate::Delivered;
        if !delivered && let Some(view) = self.book().notices.view(&notice) {
            report_given_up(&view.notice, GaveUp::NotDelivered, &receipt.detail);
        }
        let record = Record::Receipt {
            notice: notice.to_string(),
            reference,
            delivered,
            detail: receipt.detail,
        };
        match self.record(record).await {
            Ok(()) => Handled::Done,
            Err(error) => {
                tracing::error!(%error, %notice, "a receipt could not be recorded");
                Handled::Again
            }
        }
    }

    async fn whose(&self, reference: &str) -> Option<(NoticeId, String)> {
        let mut changes = self.changes();
        let found = async {
            loop {
                changes.borrow_and_update();
                let known = self.book().notices.by_reference(reference);
                if known.is_some() || changes.changed().await.is_err() {
                    return known;
                }
            }
        };
        timeout(RECEIPT_WAIT, found).await.ok().flatten()
    }
}

/// One channel, as the loop sees it.
struct Way {
    kind: ChannelKind,
    sender: Sender,
    on_their_way: HashSet<NoticeId>,
    at_once_max: usize,
    /// Failures of the whole channel in a row.
    setbacks: u32,
    paused_until: Option<Instant>,
}

#[derive(Clone)]
enum Sender {
    Email(Arc<Email>),
    Sms(Arc<Sms>),
    /// Not configured: notices wait for a configuration until they are worth nothing.
    Nothing,
}

/// How an attempt ended, for the loop.
struct Attempt {
    kind: ChannelKind,
    notice: NoticeId,
    ended: Ended,
}

enum Ended {
    /// The other side answered for itself.
    Answered,
    /// The whole channel stands still.
    Stopped(Setback),
    /// Nothing was sent: the notice is worth nothing any more.
    Expired,
}

struct Delivery {
    alerting: Alerting,
    ways: [Way; 2],
    attempts: JoinSet<Result<Attempt, AlertingError>>,
    /// The ledger's end when the cursor was moved last.
    marked: u64,
    marking: JoinSet<Result<(), AlertingError>>,
}

impl Delivery {
    fn new(alerting: Alerting, channels: &Channels) -> Self {
        let email = channels.email.as_ref().and_then(|config| match Email::new(config) {
            Ok(email) => Some(Sender::Email(Arc::new(email))),
            Err(error) => {
                tracing::error!(%error, "e-mail cannot be used");
                None
            }
        });
        let sms = channels.sms.as_ref().map(|config| Sender::Sms(Arc::new(Sms::new(config))));
        let window = channels.sms.as_ref().map_or(1, |config| config.window);
        let marked = *alerting.changes().borrow();
        let connections = usize::try_from(email::CONNECTIONS_MAX).unwrap_or(1);
        Self {
            alerting,
            ways: [
                Way::new(ChannelKind::Sms, sms, window),
                Way::new(ChannelKind::Email, email, connections),
            ],
            attempts: JoinSet::new(),
            marked,
            marking: JoinSet::new(),
        }
    }

    /// Keeps the channels' connections until `hang_up`.
    fn tend(&self, hang_up: CancellationToken) -> impl Future<Output = ()> + use<> {
        let alerting = self.alerting.clone();
        let senders: Vec<Sender> = self.ways.iter().map(|way| way.sender.clone()).collect();
        async move {
            for sender in senders {
                match sender {
                    Sender::Sms(sms) => {
                        sms.tend(|receipt| alerting.receipt(receipt), &hang_up).await;
                    }
                    Sender::Email(email) => {
                        hang_up.cancelled().await;
                        email.close().await;
                    }
                    Sender::Nothing => {}
                }
            }
        }
    }

    async fn run(&mut self, stop: &CancellationToken) -> Result<(), AlertingError> {
        let mut changes = self.alerting.changes();
        loop {
            let end = *changes.borrow_and_update();
            self.mark(end);
            let sleep = self.send_what_is_due();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                Some(ended) = self.attempts.join_next() => self.settle(ended)?,
                Some(marked) = self.marking.join_next() => match marked {
                    Ok(marked) => marked?,
                    Err(error) => tracing::error!(%error, "the ledger's cursor was not moved"),
                },
                () = sleep_until(Instant::now() + sleep) => {}
            }
        }
        self.drain().await
    }

    /// Now and then moves the ledger's cursor, beside the sending.
    fn mark(&mut self, end: u64) {
        if MARK_EVERY <= end - self.marked && self.marking.is_empty() {
            self.marked = end;
            let alerting = self.alerting.clone();
            self.marking.spawn_blocking(move || alerting.mark());
        }
    }

    async fn drain(&mut self) -> Result<(), AlertingError> {
        let deadline = sleep(DRAIN);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = self.attempts.join_next() => match ended {
                    Some(ended) => self.settle(ended)?,
                    None => return Ok(()),
                },
                () = &mut deadline => {
                    let left = self.attempts.len();
                    tracing::warn!(left, "messages were on their way at shutdown; they are tried again");
                    return Ok(());
                }
            }
        }
    }

    /// Starts an attempt at everything that is due and has room; returns how long nothing else will be due.
    fn send_what_is_due(&mut self) -> Duration {
        let now = self.alerting.now();
        let mut wait = LOOK_EVERY;
        for way in &mut self.ways {
            for (attempts, notice) in way.pick(&self.alerting, now) {
                way.on_their_way.insert(notice.id.clone());
                self.attempts.spawn(attempt(
                    self.alerting.clone(),
                    way.sender.clone(),
                    notice,
                    attempts,
                ));
            }
            wait = wait.min(way.quiet_for(&self.alerting, now));
        }
        wait.max(LOOK_AGAIN)
    }

    fn settle(
        &mut self,
        ended: Result<Result<Attempt, AlertingError>, tokio::task::JoinError>,
    ) -> Result<(), AlertingError> {
        let attempt = match ended {
            Ok(attempt) => attempt?,
            Err(error) => {
                // The notice stays marked as on its way, so that a defect never rings a phone twice.
                tracing::error!(%error, "an attempt broke off");
                return Ok(());
            }
        };
        for way in self.ways.iter_mut().filter(|way| way.kind == attempt.kind) {
            way.on_their_way.remove(&attempt.notice);
            way.note(&attempt.ended);
        }
        Ok(())
    }
}

impl Way {
    fn new(kind: ChannelKind, sender: Option<Sender>, at_once_max: usize) -> Self {
        if sender.is_none() {
            tracing::warn!(channel = %kind, "the channel is not configured; its notices wait");
        }
        Self {
            kind,
            sender: sender.unwrap_or(Sender::Nothing),
            on_their_way: HashSet::new(),
            at_once_max,
            setbacks: 0,
            paused_until: None,
        }
    }

    /// What may leave now. A channel without a configuration only lets go of what is too late.
    fn pick(&mut self, alerting: &Alerting, now: Timestamp) -> Vec<(u32, Arc<Notice>)> {
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return Vec::new();
        }
        let at_once = if self.setbacks == 0 { self.at_once_max } else { 1 };
        let room = at_once.saturating_sub(self.on_their_way.len());
        let absent = matches!(self.sender, Sender::Nothing);
        let book = alerting.book();
        book.notices
            .due(self.kind, now)
            .filter(|(_, notice)| !self.on_their_way.contains(&notice.id))
            .filter(|(_, notice)| !absent || outbox::is_too_late(notice, now))
            .take(room)
            .collect()
    }

    /// How long the channel has nothing to do for sure: until its pause ends or the next retry falls due.
    fn quiet_for(&self, alerting: &Alerting, now: Timestamp) -> Duration {
        let pause = self.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        let due = alerting.book().notices.next_due(self.kind, now).map(|at| at.since(now));
        let pause = pause.filter(|pause| !pause.is_zero());
        [pause, due].into_iter().flatten().min().unwrap_or(LOOK_EVERY)
    }

    fn note(&mut self, ended: &Ended) {
        match ended {
            Ended::Answered => {
                if 0 < self.setbacks {
                    tracing::info!(channel = %self.kind, "the channel is back");
                }
                (self.setbacks, self.paused_until) = (0, None);
            }
            Ended::Stopped(cause) => {
                self.setbacks = self.setbacks.saturating_add(1);
                let pause = outbox::pause(self.setbacks).min(CHANNEL_PAUSE_LONGEST);
                self.paused_until = Some(Instant::now() + pause);
                let (channel, cause) = (self.kind.as_str(), cause.as_str());
                metrics::counter!("saltline_channel_pauses_total", "channel" => channel, "cause" => cause).increment(1);
                tracing::warn!(channel, cause, ?pause, "the channel pauses");
            }
            Ended::Expired => {}
        }
    }
}

async fn attempt(
    alerting: Alerting,
    sender: Sender,
    notice: Arc<Notice>,
    attempts: u32,
) -> Result<Attempt, AlertingError> {
    let kind = notice.channel;
    let ended = |ended| Ok(Attempt { kind, notice: notice.id.clone(), ended });
    if outbox::is_too_late(&notice, alerting.now()) {
        give_up(&alerting, &notice, GaveUp::TooLate, "it waited too long".to_owned()).await?;
        return ended(Ended::Expired);
    }
    let sent = match &sender {
        Sender::Email(email) => email.send(&notice).await,
        Sender::Sms(sms) => sms.send(&notice).await,
        Sender::Nothing => return ended(Ended::Expired),
    };
    count(kind, &sent);
    match sent {
        Ok(accepted) => {
            handed_over(&alerting, &notice, accepted).await?;
            ended(Ended::Answered)
        }
        Err(NotSent::Never { detail }) => {
            give_up(&alerting, &notice, GaveUp::Refused, detail).await?;
            ended(Ended::Answered)
        }
        Err(NotSent::Later { cause, detail }) => {
            put_off(&alerting, &notice, attempts + 1, cause, detail).await?;
            ended(if cause.stops_the_channel() { Ended::Stopped(cause) } else { Ended::Answered })
        }
    }
}

async fn handed_over(
    alerting: &Alerting,
    notice: &Notice,
    accepted: Accepted,
) -> Result<(), AlertingError> {
    let took = alerting.now().since(notice.made_at);
    metrics::histogram!("saltline_notice_handover_seconds", "channel" => notice.channel.as_str())
        .record(took.as_secs_f64());
    tracing::info!(notice = %notice.id, channel = %notice.channel, ?took, "a notice is handed over");
    alerting.record(Record::handed_over(&notice.id, accepted.references)).await
}

async fn put_off(
    alerting: &Alerting,
    notice: &Notice,
    attempt: u32,
    cause: Setback,
    detail: String,
) -> Result<(), AlertingError> {
    match outbox::after_failure(notice, attempt, alerting.now()) {
        Next::TooLate => give_up(alerting, notice, GaveUp::TooLate, detail).await,
        Next::RetryAt(next_at) => {
            let cause = cause.as_str();
            tracing::warn!(notice = %notice.id, attempt, cause, detail, %next_at, "a notice has to wait");
            let record = Record::Attempted {
                notice: notice.id.to_string(),
                attempt,
                cause: cause.to_owned(),
                detail,
                next_at: next_at.as_millis(),
            };
            alerting.record(record).await
        }
    }
}

async fn give_up(
    alerting: &Alerting,
    notice: &Notice,
    why: GaveUp,
    detail: String,
) -> Result<(), AlertingError> {
    report_given_up(notice, why, &detail);
    alerting.record(Record::given_up(&notice.id, why.as_str(), detail)).await
}

fn count(kind: ChannelKind, sent: &Result<Accepted, NotSent>) {
    let outcome = match sent {
        Ok(_) => "handed_over",
        Err(NotSent::Later { cause, .. }) => cause.as_str(),
        Err(NotSent::Never { .. }) => "refused",
    };
    metrics::counter!("saltline_notices_total", "channel" => kind.as_str(), "outcome" => outcome)
        .increment(1);
}

#[cfg(test)]
mod tests;
