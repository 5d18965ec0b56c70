//! One client's connection after its login: one task, one loop. Each turn reads what is there, hands whole packets
//! out, starts a commit for what they brought, and writes what is ready to be written, in as few system calls as that
//! takes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::intake::Proof;

use super::access::Access;
use super::aliases;
use super::attachment::Attachment;
use super::counters;
use super::door::Shared;
use super::end::End;
use super::inbound::{Echo, Group, Inbound, Why, answer};
use super::peer::Peer;
use super::posting::Origin;
use super::session::{Room, Session};
use super::socket::Socket;
use super::wire::{self, Version};

/// Where no deadline runs, the timer is looked at this often.
const IDLE: Duration = Duration::from_secs(3600);

/// A connection that is logged in.
pub(super) struct Connection<S> {
    pub(super) socket: Socket<S>,
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
    pub(super) access: Access,
    pub(super) session: Arc<Session>,
    pub(super) attachment: Arc<Attachment>,
    /// The connection that the session was taken from.
    pub(super) older: Option<Arc<Attachment>>,
    pub(super) room: Room,
    /// What the client's topic aliases stand for.
    pub(super) aliases: aliases::Incoming,
    pub(super) why: Why,
    pub(super) inbound: Inbound,
    /// One and a half times the keep-alive.
    pub(super) silence_max: Option<Duration>,
    pub(super) heard_at: Instant,
    pub(super) timer: Pin<Box<Sleep>>,
    /// There may be something in the session to fetch.
    pub(super) mail: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Serves the client until one side ends it.
    pub(super) async fn run(mut self) {
        self.wait_for_older().await;
        let end = self.serve().await;
        let name = self.peer.name();
        counters::closed(end.as_str());
        match &end {
            End::Storage(error) => tracing::error!(name, %error, "nothing can be acknowledged"),
            End::Bad(_) => {
                counters::refused(end.as_str());
                tracing::warn!(name, reason = end.as_str(), why = end.why(), "disconnected");
            }
            _ => tracing::info!(name, reason = end.as_str(), why = end.why(), "disconnected"),
        }
        self.settle(&end).await;
        let will = self.attachment.take_will().filter(|_| !matches!(end, End::Goodbye));
        self.shared.broker.detach(&self.session, &self.attachment, will);
        self.farewell(&end).await;
    }

    /// What the older connection has on its way to the disk is answered for first: a message with QoS 2 that comes
    /// again here must find whether it was kept.
    async fn wait_for_older(&mut self) {
        if let Some(older) = self.older.take() {
            // A disk that hangs ends the older one's wait after one deadline; it must not keep this client out.
            timeout(self.shared.config.end_deadline * 2, older.settled()).await.ok();
        }
    }

    /// What is on its way to the disk is still made durable, answered and handed out, within the deadline.
    async fn settle(&mut self, end: &End) {
        if !matches!(end, End::Storage(_)) {
            timeout(self.shared.config.end_deadline, self.finish_commits()).await.ok();
        }
        for id in self.inbound.unsettled() {
            self.session.unheard(id);
        }
        self.attachment.settle();
    }

    async fn serve(&mut self) -> End {
        self.arm_timer();
        loop {
            if let Err(end) = self.digest() {
                return end;
            }
            self.inbound.commit(&self.shared.intake);
            if let Err(end) = poll_fn(|cx| self.poll(cx)).await {
                return end;
            }
        }
    }

    /// Hands out every whole packet that was read, as far as there is room for what it brings.
    fn digest(&mut self) -> Result<(), End> {
        self.access.meter.refill(self.heard_at);
        while self.has_room() {
            let bytes_max = self.shared.config.packet_bytes_max;
            let Some(header) = wire::peek(&self.socket.read, bytes_max)? else { break };
            if self.socket.read.len() < header.total() {
                break;
            }
            let frame = self.socket.read.split_to(header.total()).freeze();
            self.handle(wire::read(self.room.version, header, &frame)?)?;
        }
        self.arm_for_meter();
        Ok(())
    }

    /// A client that does not read its answers, or has all it may have on the way to the disk, is not read either.
    fn has_room(&self) -> bool {
        self.inbound.has_room(&self.shared.config)
            && self.access.meter.is_open()
            && self.socket.write.len() < self.room.write_bytes_max
    }

    /// One look at everything that can move; ready when there is something to digest.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.attachment.register(cx);
        if let Some(kick) = self.attachment.kicked() {
            return Poll::Ready(Err(End::Kicked(kick)));
        }
        let had_room = self.has_room();
        let proven = self.answer_proven(cx)?;
        self.access.poll(cx, &mut self.socket.write)?;
        self.poll_mail_and_drain(cx)?;
        let mut moved = proven || (!had_room && self.has_room());
        if self.has_room() {
            moved |= self.poll_read(cx)?;
        }
        moved |= self.poll_timer(cx)?;
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Answers every group whose commit is done. Were there any?
    fn answer_proven(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut any = false;
        while let Poll::Ready(proven) = self.inbound.poll_proven(cx) {
            let (group, proof) = proven.map_err(End::Storage)?;
            self.hand_out(group, proof);
            any = true;
        }
        while let Poll::Ready(kept) = self.inbound.poll_kept(cx) {
            let (group, proof) = kept.map_err(End::Storage)?;
            self.answer_group(&group, &proof);
            any = true;
        }
        Ok(any)
    }

    /// Gives what is on disk to subscribers, and answers for it, unless somebody who is kept on disk has to get it: then
    /// the answer waits for that too.
    fn hand_out(&mut self, mut group: Group, proof: Proof) {
        for Echo { message, retain, id } in std::mem::take(&mut group.echoes) {
            let origin = Origin::Client(&self.session, id);
            group.wait_for(self.shared.broker.hand_out(&message, retain, origin));
        }
        let kept = group.kept().zip(self.shared.broker.log.as_ref());
        if kept.is_none() && self.inbound.is_first() {
            return self.answer_group(&group, &proof);
        }
        let kept = kept.map(|(position, log)| log.reach(position));
        self.inbound.keep(group, proof, kept);
    }

    fn answer_group(&mut self, group: &Group, proof: &Proof) {
        for ack in &group.acks {
            answer(&mut self.socket.write, self.room.version, ack, self.why, proof);
        }
        self.socket.write.extend_from_slice(&group.said);
        self.inbound.answered(group);
    }

    /// Fetches what waits for the client and writes, until nothing waits or the client takes no more.
    fn poll_mail_and_drain(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        self.mail |= self.attachment.take_mail();
        loop {
            if self.mail && self.socket.write.len() < self.room.write_bytes_max {
                self.session.fetch(&self.attachment, &mut self.room, &mut self.socket.write);
                // It stopped because the buffer is full, or because nothing more may go out now.
                self.mail = self.room.write_bytes_max <= self.socket.write.len();
            }
            match self.socket.poll_drain(cx) {
                Poll::Ready(Ok(())) if self.mail => (),
                Poll::Ready(Ok(())) => return Ok(()),
                Poll::Ready(Err(error)) => return Err(End::Broken(error)),
                Poll::Pending => {
                    self.arm_for_stall();
                    return Ok(());
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        match self.socket.poll_fill(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(End::Closed),
            Poll::Ready(Ok(_)) => {
                self.heard_at = Instant::now();
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(End::Broken(error)),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        let now = Instant::now();
        if !self.has_room() {
            // We do not listen; that is not the client's silence.
            self.heard_at = now;
        }
        if self.silence_max.is_some_and(|max| self.heard_at + max <= now) {
            return Err(End::Silent);
        }
        let write_deadline = self.shared.config.write_deadline;
        if self.socket.stalled_since.is_some_and(|since| since + write_deadline <= now) {
            counters::dropped("write_stalled");
            return Err(End::Stalled);
        }
        if self.access.meter.is_mad(now) {
            return Err(End::OverRate);
        }
        self.access.meter.refill(now);
        self.arm_timer();
        Ok(true)
    }

    /// A client above its rate is looked at again when its budget is back.
    fn arm_for_meter(&mut self) {
        if let Some(until) = self.access.meter.closed_until(self.heard_at)
            && until < self.timer.deadline()
        {
            self.timer.as_mut().reset(until);
        }
    }

    /// Sets the timer to the next deadline. Reading does not move it; it looks again when it rings.
    fn arm_timer(&mut self) {
        let silent_at = self.silence_max.map(|max| self.heard_at + max);
        let stalled_at = self.socket.stalled_since.map(|at| at + self.shared.config.write_deadline);
        let idle = Instant::now() + IDLE;
        let next = [silent_at, stalled_at].into_iter().flatten().fold(idle, Instant::min);
        self.timer.as_mut().reset(next);
    }

    fn arm_for_stall(&mut self) {
        if let Some(since) = self.socket.stalled_since {
            let stalled_at = since + self.shared.config.write_deadline;
            if stalled_at < self.timer.deadline() {
                self.timer.as_mut().reset(stalled_at);
            }
        }
    }

    /// The client is told why, where its version has a word for it.
    async fn farewell(&mut self, end: &End) {
        let end_deadline = self.shared.config.end_deadline;
        if let (Version::V5, Some(code)) = (self.room.version, end.code()) {
            let why = if self.why == Why::Told { end.why() } else { String::new() };
            wire::disconnect(&mut self.socket.write, code, &why);
        }
        match end {
            End::Stalled | End::Broken(_) => (),
            End::Bad(_) => self.socket.close_on_talker(end_deadline).await,
            _ => self.socket.close(end_deadline).await,
        }
    }

    async fn finish_commits(&mut self) {
        loop {
            self.inbound.commit(&self.shared.intake);
            if self.inbound.is_idle() {
                return;
            }
            let moved = poll_fn(|cx| match self.answer_proven(cx) {
                Ok(false) => Poll::Pending,
                moved => Poll::Ready(moved),
            });
            if moved.await.is_err() {
                return;
            }
        }
    }
}

/// The timer a connection starts with.
pub(super) fn timer() -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Instant::now() + IDLE))
}
