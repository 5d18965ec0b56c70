//! What each packet of a client does.

use std::sync::Arc;

use bytes::BytesMut;
use domain::{Reason, Refusal};
use journal::Position;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::formats::shape::Shape;
use crate::intake::Answer;

use super::connection::Connection;
use super::counters;
use super::end::End;
use super::flights::Said;
use super::inbound::{Ack, Echo, Fate, Verdict};
use super::keep::Line;
use super::message::{Message, Published};
use super::peer::Destination;
use super::posting::Origin;
use super::routes::Subscribed;
use super::session::Arrival;
use super::share::parts;
use super::topic;
use super::wire::{self, Answering, Bad, Filter, Packet, Publish, Subscribe, Version, code};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Does what the packet asks.
    pub(super) fn handle(&mut self, packet: Packet<'_>) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish)?,
            Packet::PubAck(answer) => self.acknowledged(answer)?,
            Packet::PubRec(answer) => self.received(answer)?,
            Packet::PubRel(answer) => self.released(answer),
            Packet::PubComp(answer) => self.completed(answer)?,
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe)?,
            Packet::Unsubscribe { id, filters } => self.unsubscribe(id, &filters),
            Packet::Ping => wire::pingresp(&mut self.socket.write),
            Packet::Disconnect { keep_will, session_expiry_s } => {
                return Err(self.goodbye(keep_will, session_expiry_s));
            }
            Packet::Auth(auth) => {
                let (peer, shared) = (&self.peer, &self.shared);
                self.access.hear(&auth, peer, shared, &mut self.socket.write)?;
            }
        }
        Ok(())
    }

    fn publish(&mut self, publish: Publish<'_>) -> Result<(), End> {
        let Some(alias) = publish.alias else { return self.publish_on(&publish) };
        let alias_max = self.shared.config.topic_alias_max;
        let topic = self.aliases.topic(alias, publish.topic, alias_max)?;
        self.publish_on(&Publish { topic: &topic, ..publish })
    }

    fn publish_on(&mut self, publish: &Publish<'_>) -> Result<(), End> {
        self.shared.broker.counters.publishes[usize::from(publish.qos)].increment(1);
        if publish.qos == 2 && self.session.arrived(publish.id) == Arrival::Repeated {
            // The answer waits for what the first one wrote, perhaps over another connection.
            let position = self.session.line().map(Line::until_now);
            self.inbound.gathering.wait_for(position);
            self.say(Answering::Rec, publish.id, Verdict::Again);
            return Ok(());
        }
        // Only MQTT 5 knows a receive maximum; a 3.1.1 client is slowed down instead.
        if publish.qos != 0 && self.room.version == Version::V5 {
            let arrived = usize::from(publish.qos == 1);
            let held = self.inbound.unacknowledged() + self.session.unreleased() + arrived;
            if usize::from(self.shared.config.in_flight_max) < held {
                // It was not taken, so its id stands for nothing.
                self.session.unheard(publish.id);
                return Err(Bad::ReceiveMaximum.into());
            }
        }
        let mut heard = false;
        let verdict = match self.peer.destination(publish.topic) {
            Destination::Readings => self.take(publish),
            Destination::Told(format) => self.take_told(format, publish),
            Destination::Subscribers if !keeps_its_word(publish) => {
                let detail = "the payload is said to be UTF-8 and is not".to_owned();
                Verdict::Refused(Fate::Wholly, self.refuse(publish, Reason::Malformed, detail))
            }
            Destination::Subscribers => {
                let origin = Origin::Client(&self.session, id_of(publish));
                let position = self.shared.broker.publish(published(publish), origin);
                self.inbound.gathering.wait_for(position);
                heard = true;
                self.note(publish);
                Verdict::Good
            }
            Destination::Foreign => Verdict::Refused(Fate::Wholly, self.refuse_foreign(publish)),
        };
        match publish.qos {
            0 => (),
            1 => self.answer(Answering::Ack, publish.id, verdict),
            _ => {
                // Section 4.3.3: an error in the PUBREC is the end of it. 3.1.1 has no errors, so it goes on.
                let refused = matches!(verdict, Verdict::Refused(Fate::Wholly, _));
                if refused && self.room.version == Version::V5 {
                    self.session.unheard(publish.id);
                }
                let (kind, id) = (Answering::Rec, publish.id);
                self.inbound.answer(Ack { kind, id, verdict, heard });
            }
        }
        self.inbound.add(publish.payload.len());
        self.access.meter.spend(publish.payload.len());
        Ok(())
    }

    /// An answer that goes out when what was gathered with it is on disk.
    fn answer(&mut self, kind: Answering, id: u16, verdict: Verdict) {
        self.inbound.answer(Ack { kind, id, verdict, heard: true });
    }

    /// The same for a packet that is no publish of its own; it takes a place like one, so that they are bounded.
    fn say(&mut self, kind: Answering, id: u16, verdict: Verdict) {
        self.answer(kind, id, verdict);
        self.inbound.add(0);
    }

    fn acknowledged(&mut self, answer: wire::Answer) -> Result<(), End> {
        self.mail = true;
        match self.session.acknowledged(answer.id) {
            Said::Wrong => Err(Bad::Protocol("PUBACK for a message with QoS 2").into()),
            Said::Expected | Said::Unknown => Ok(()),
        }
    }

    fn received(&mut self, answer: wire::Answer) -> Result<(), End> {
        let refused = code::UNSPECIFIED <= answer.code;
        let (said, position) = self.session.received(answer.id, refused);
        self.inbound.gathering.wait_for(position);
        self.mail = true;
        match said {
            Said::Wrong => return Err(Bad::Protocol("PUBREC for a message with QoS 1").into()),
            _ if refused => (),
            Said::Expected => self.say(Answering::Rel, answer.id, Verdict::Good),
            Said::Unknown => self.say(Answering::Rel, answer.id, Verdict::UnknownId),
        }
        Ok(())
    }

    fn released(&mut self, answer: wire::Answer) {
        let (known, position) = self.session.released(answer.id);
        self.inbound.gathering.wait_for(position);
        let verdict = if known { Verdict::Good } else { Verdict::UnknownId };
        self.say(Answering::Comp, answer.id, verdict);
    }

    fn completed(&mut self, answer: wire::Answer) -> Result<(), End> {
        self.mail = true;
        match self.session.completed(answer.id) {
            Said::Wrong => Err(Bad::Protocol("PUBCOMP before PUBREC").into()),
            Said::Expected | Said::Unknown => Ok(()),
        }
    }

    /// A report: into the batch, and to subscribers once it is on disk.
    fn take(&mut self, publish: &Publish<'_>) -> Verdict {
        let Some(pass) = self.peer.pass() else {
            return Verdict::Refused(Fate::Wholly, self.refuse_foreign(publish));
        };
        let batch = &mut self.inbound.gathering.batch;
        let intake = &self.shared.intake;
        // A type that we do not know decides nothing.
        let said = publish.content_type.and_then(Shape::of_content_type);
        let answer = intake.hear(pass, publish.topic, said, &publish.payload, batch);
        let verdict = match answer {
            Answer::Refused(refusal) => return Verdict::Refused(Fate::Wholly, refusal),
            Answer::Stored { refused: None } => Verdict::Good,
            Answer::Stored { refused: Some(refusal) } => Verdict::Refused(Fate::Partly, refusal),
        };
        self.echo(publish);
        verdict
    }

    /// To subscribers, once what was gathered with it is on disk.
    pub(super) fn echo(&mut self, publish: &Publish<'_>) {
        let (retain, id) = (publish.retain, id_of(publish));
        let once = Origin::Client(&self.session, id).is_once();
        if once || self.shared.broker.concerns_anybody(retain) {
            let message = Arc::new(Message::new(published(publish)));
            self.inbound.gathering.echoes.push(Echo { message, retain, id });
        }
    }

    /// What a station says beside its readings and that we act upon is on disk before it is acknowledged.
    fn note(&mut self, publish: &Publish<'_>) {
        if let Some(pass) = self.peer.pass() {
            let batch = &mut self.inbound.gathering.batch;
            self.shared.intake.note(pass, publish.topic, &publish.payload, batch);
        }
    }

    fn refuse_foreign(&mut self, publish: &Publish<'_>) -> Refusal {
        let detail =
            format!("`{}` is not a topic that {} may publish on", publish.topic, self.peer.name());
        self.refuse(publish, Reason::ForeignTopic, detail)
    }

    /// Into the dead letters.
    fn refuse(&mut self, publish: &Publish<'_>, reason: Reason, detail: String) -> Refusal {
        counters::refused(reason.as_str());
        let refusal = Refusal { reason, detail };
        let batch = &mut self.inbound.gathering.batch;
        let pass = self.peer.pass();
        self.shared.intake.refuse(pass, publish.topic, &publish.payload, &refusal, batch);
        refusal
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Result<(), End> {
        let shared_without_own =
            |filter: &Filter| filter.options.no_local && parts(&filter.path).is_some();
        if subscribe.filters.iter().any(shared_without_own) {
            return Err(Bad::Protocol("no local on a shared subscription").into());
        }
        // The answers go before the retained messages: those wait in the session until the next fetch.
        let mut position = None;
        let codes: Vec<u8> = subscribe
            .filters
            .iter()
            .map(|filter| self.subscribe_one(filter, &mut position))
            .collect();
        let (version, id) = (self.room.version, subscribe.id);
        wire::suback(self.say_after(position), version, id, &codes);
        Ok(())
    }

    /// Where an answer is written that waits for a position of the session log, if it waits for one.
    fn say_after(&mut self, position: Option<Position>) -> &mut BytesMut {
        if position.is_none() {
            return &mut self.socket.write;
        }
        self.inbound.gathering.wait_for(position);
        self.inbound.add(0);
        &mut self.inbound.gathering.said
    }

    fn subscribe_one(&self, filter: &Filter, position: &mut Option<Position>) -> u8 {
        let path = match parts(&filter.path) {
            Some(Ok((_, inner))) => inner,
            Some(Err(_)) => return self.refuse_filter(filter, code::FILTER_INVALID),
            None => &filter.path,
        };
        if !topic::is_filter(path) {
            return self.refuse_filter(filter, code::FILTER_INVALID);
        }
        if !self.peer.may_read(path) {
            return self.refuse_filter(filter, code::NOT_AUTHORIZED);
        }
        let (subscribed, written) = self.shared.broker.subscribe(&self.session, filter);
        *position = written.max(*position);
        match subscribed {
            Subscribed::Granted(qos) => qos,
            Subscribed::TooMany => self.refuse_filter(filter, code::QUOTA_EXCEEDED),
        }
    }

    fn refuse_filter(&self, filter: &Filter, code: u8) -> u8 {
        let reason = match code {
            code::FILTER_INVALID => "filter_invalid",
            code::QUOTA_EXCEEDED => "too_many_filters",
            _ => "foreign_filter",
        };
        counters::refused(reason);
        tracing::warn!(
            name = self.peer.name(),
            filter = filter.path,
            reason,
            "subscription refused"
        );
        code
    }

    fn unsubscribe(&mut self, id: u16, filters: &[String]) {
        let mut position = None;
        let mut unsubscribe = |path: &String| {
            let shared_wrongly = matches!(parts(path), Some(Err(_)));
            if shared_wrongly || !topic::is_filter(path) {
                code::FILTER_INVALID
            } else {
                let (existed, written) = self.shared.broker.unsubscribe(&self.session, path);
                position = written.max(position);
                if existed { code::SUCCESS } else { code::NO_SUBSCRIPTION_EXISTED }
            }
        };
        let codes: Vec<u8> = filters.iter().map(&mut unsubscribe).collect();
        let version = self.room.version;
        wire::unsuback(self.say_after(position), version, id, &codes);
    }

    fn goodbye(&self, keep_will: bool, session_expiry_s: Option<u32>) -> End {
        if let Some(expiry_s) = session_expiry_s {
            let mut state = self.session.state();
            // Section 3.14.2.2.2: a session that was to end with its connection cannot be kept after all.
            if state.expiry_s == 0 && expiry_s != 0 {
                return Bad::Protocol("session expiry was 0 at CONNECT").into();
            }
            state.expiry_s = expiry_s;
        }
        if keep_will { End::GoodbyeWithWill } else { End::Goodbye }
    }
}

/// The packet id that must not bring its message twice.
const fn id_of(publish: &Publish<'_>) -> Option<u16> {
    if publish.qos == 2 { Some(publish.id) } else { None }
}

/// Section 3.3.2.3.2: a payload that is said to be text is looked at.
fn keeps_its_word(publish: &Publish<'_>) -> bool {
    !publish.is_text || std::str::from_utf8(&publish.payload).is_ok()
}

fn published<'a>(publish: &'a Publish<'_>) -> Published<'a> {
    Published {
        topic: publish.topic,
        payload: &publish.payload,
        properties: &publish.properties,
        expiry_s: publish.expiry_s,
        qos: publish.qos,
        retain: publish.retain,
    }
}
