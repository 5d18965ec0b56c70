//! Publishes in somebody else's words: a station that speaks ThingsBoard, a gateway that speaks of the devices behind it.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::formats::sparkplug::Ask;
use crate::intake::Answer;
use crate::told::{self, Speaker, Told};
use domain::Format;

use super::connection::Connection;
use super::inbound::{Fate, Verdict};
use super::message::Published;
use super::posting::Origin;
use super::wire::Publish;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Into the batch, and to subscribers once it is on disk; what holds nothing to store goes with the same.
    pub(super) fn take_told(&mut self, format: Format, publish: &Publish<'_>) -> Verdict {
        let speaker = self.peer.pass().map_or(Speaker::Gateway, Speaker::Itself);
        let intake = &self.shared.intake;
        let Publish { topic, payload, .. } = publish;
        let message = told::Message { topic, payload, retained: false };
        let batch = &mut self.inbound.gathering.batch;
        let Told { answer, ask } =
            intake.tell(Some(format), intake.nodes(), speaker, message, batch);
        if let Some(ask) = ask {
            self.ask(&ask);
        }
        let verdict = match answer {
            Some(Answer::Refused(refusal)) => return Verdict::Refused(Fate::Wholly, refusal),
            Some(Answer::Stored { refused: Some(it) }) => Verdict::Refused(Fate::Partly, it),
            Some(Answer::Stored { refused: None }) | None => Verdict::Good,
        };
        self.echo(publish);
        verdict
    }

    /// To the node that is to be born again, wherever it is subscribed.
    fn ask(&self, ask: &Ask) {
        let Ask { topic, payload } = ask;
        let (properties, expiry_s, qos) = (&[][..], None, 0);
        let command = Published { topic, payload, properties, expiry_s, qos, retain: false };
        // The engine's own word, which nobody acknowledges: there is no position to wait for.
        let _nowhere = self.shared.broker.publish(command, Origin::Engine);
    }
}
