//! Publishes in somebody else's words: a station that speaks ThingsBoard, a gateway that speaks of the devices behind it.

use std::sync::Arc;

use domain::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::formats::Format;
use crate::formats::sparkplug::Ask;
use crate::intake::Answer;
use crate::told::{self, Speaker, Told};

use super::broker::Published;
use super::connection::Connection;
use super::inbound::Fate;
use super::message::Message;
use super::wire::Publish;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Into the batch, and to subscribers once it is on disk; what holds nothing to store goes to them at once.
    pub(super) fn take_told(
        &mut self,
        format: Format,
        publish: &Publish<'_>,
    ) -> Option<(Fate, Refusal)> {
        let Publish { topic, payload, properties, qos, retain, .. } = publish;
        let speaker = self.peer.pass().map_or(Speaker::Gateway, Speaker::Itself);
        let intake = &self.shared.intake;
        let message = told::Message { topic, payload, retained: false };
        let batch = &mut self.inbound.gathering.batch;
        let Told { answer, ask } = intake.tell(format, intake.nodes(), speaker, message, batch);
        if let Some(ask) = ask {
            self.ask(&ask);
        }
        let refused = match answer {
            Some(Answer::Refused(refusal)) => return Some((Fate::Wholly, refusal)),
            Some(Answer::Stored { refused }) => refused.map(|refusal| (Fate::Partly, refusal)),
            None => None,
        };
        if self.shared.broker.concerns_anybody(*retain) {
            let message = Message::new(topic, payload, properties, *qos);
            self.inbound.gathering.echoes.push((Arc::new(message), *retain));
        }
        refused
    }

    /// To the node that is to be born again, wherever it is subscribed.
    fn ask(&self, ask: &Ask) {
        let Ask { topic, payload } = ask;
        let published = Published { topic, payload, properties: &[], qos: 0, retain: false };
        self.shared.broker.publish(published, None);
    }
}
