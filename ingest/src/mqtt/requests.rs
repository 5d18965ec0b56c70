//! What each packet of a client does.

use std::sync::Arc;

use domain::{Reason, Refusal};
use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::intake::Answer;

use super::broker::{Published, Subscribed};
use super::connection::Connection;
use super::counters;
use super::end::End;
use super::inbound::{Ack, Fate};
use super::message::Message;
use super::peer::Destination;
use super::topic;
use super::wire::{self, Bad, Filter, Packet, Publish, Version};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Does what the packet asks.
    pub(super) fn handle(&mut self, packet: Packet<'_>) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish)?,
            Packet::PubAck { id } => {
                self.session.acknowledged(id);
                self.mail = true;
            }
            Packet::Subscribe { id, filters, with_id } => self.subscribe(id, &filters, with_id),
            Packet::Unsubscribe { id, filters } => self.unsubscribe(id, &filters),
            Packet::Ping => wire::pingresp(&mut self.socket.write),
            Packet::Disconnect { keep_will, session_expiry_s } => {
                return Err(self.goodbye(keep_will, session_expiry_s));
            }
        }
        Ok(())
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<(), End> {
        // Only MQTT 5 knows a receive maximum; a 3.1.1 client is slowed down instead.
        let unacknowledged_max = usize::from(self.shared.config.in_flight_max);
        if publish.qos == 1
            && self.room.version == Version::V5
            && unacknowledged_max <= self.inbound.unacknowledged()
        {
            return Err(Bad::ReceiveMaximum.into());
        }
        self.shared.broker.counters.publishes[usize::from(publish.qos)].increment(1);
        let refused = match self.peer.destination(publish.topic) {
            Destination::Readings => self.take(publish),
            Destination::Told(format) => self.take_told(format, publish),
            Destination::Subscribers => {
                self.shared.broker.publish(published(publish), Some(&self.session));
                None
            }
            Destination::Foreign => Some((Fate::Wholly, self.refuse_foreign(publish))),
        };
        if publish.qos == 1 {
            self.inbound.gathering.acks.push(Ack { id: publish.id, refused });
        }
        self.inbound.add(publish.payload.len());
        Ok(())
    }

    /// A report: into the batch, and to subscribers once it is on disk.
    fn take(&mut self, publish: &Publish<'_>) -> Option<(Fate, Refusal)> {
        let pass = self.peer.pass()?;
        let batch = &mut self.inbound.gathering.batch;
        let refused = match self.shared.intake.take(pass, publish.topic, &publish.payload, batch) {
            Answer::Refused(refusal) => return Some((Fate::Wholly, refusal)),
            Answer::Stored { refused } => refused.map(|refusal| (Fate::Partly, refusal)),
        };
        if self.shared.broker.concerns_anybody(publish.retain) {
            let Publish { topic, payload, properties, qos, retain, .. } = publish;
            let message = Message::new(topic, payload, properties, *qos);
            self.inbound.gathering.echoes.push((Arc::new(message), *retain));
        }
        refused
    }

    fn refuse_foreign(&mut self, publish: &Publish<'_>) -> Refusal {
        counters::refused(Reason::ForeignTopic.as_str());
        let detail =
            format!("`{}` is not a topic that {} may publish on", publish.topic, self.peer.name());
        let refusal = Refusal { reason: Reason::ForeignTopic, detail };
        let batch = &mut self.inbound.gathering.batch;
        let pass = self.peer.pass();
        self.shared.intake.refuse(pass, publish.topic, &publish.payload, &refusal, batch);
        refusal
    }

    fn subscribe(&mut self, id: u16, filters: &[Filter], with_id: bool) {
        // The answers go before the retained messages: those wait in the session until the next fetch.
        let answers: Vec<_> = filters
            .iter()
            .map(|filter| {
                let answer = if with_id {
                    Err(SubscribeReasonCode::SubscriptionIdNotSupported)
                } else {
                    self.subscribe_one(filter)
                };
                if let Err(code) = answer {
                    self.log_refused_filter(&filter.path, code);
                }
                answer
            })
            .collect();
        wire::suback(&mut self.socket.write, self.room.version, id, &answers);
    }

    fn subscribe_one(&self, filter: &Filter) -> Result<u8, SubscribeReasonCode> {
        if filter.path.starts_with("$share/") {
            return Err(SubscribeReasonCode::SharedSubscriptionsNotSupported);
        }
        if !topic::is_filter(&filter.path) {
            return Err(SubscribeReasonCode::TopicFilterInvalid);
        }
        if !self.peer.may_read(&filter.path) {
            return Err(SubscribeReasonCode::NotAuthorized);
        }
        match self.shared.broker.subscribe(&self.session, filter) {
            Subscribed::Granted(qos) => Ok(qos),
            Subscribed::TooMany => Err(SubscribeReasonCode::QuotaExceeded),
        }
    }

    fn log_refused_filter(&self, filter: &str, code: SubscribeReasonCode) {
        let reason = match code {
            SubscribeReasonCode::SharedSubscriptionsNotSupported => "shared_subscription",
            SubscribeReasonCode::SubscriptionIdNotSupported => "subscription_id",
            SubscribeReasonCode::TopicFilterInvalid => "filter_invalid",
            SubscribeReasonCode::QuotaExceeded => "too_many_filters",
            _ => "foreign_filter",
        };
        counters::refused(reason);
        tracing::warn!(name = self.peer.name(), filter, reason, "subscription refused");
    }

    fn unsubscribe(&mut self, id: u16, filters: &[String]) {
        let unsubscribe = |path: &String| self.shared.broker.unsubscribe(&self.session, path);
        let existed: Vec<bool> = filters.iter().map(unsubscribe).collect();
        wire::unsuback(&mut self.socket.write, self.room.version, id, &existed);
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

fn published<'a>(publish: &'a Publish<'_>) -> Published<'a> {
    Published {
        topic: publish.topic,
        payload: &publish.payload,
        properties: publish.properties,
        qos: publish.qos,
        retain: publish.retain,
    }
}
