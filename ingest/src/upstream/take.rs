//! What becomes of one message: whose it is, what it says, what of it is believed.

use domain::{Reason, Refusal};

use crate::formats::sparkplug::Nodes;
use crate::intake::{Answer, Batch, Intake};
use crate::told::{self, Speaker, Told};
use domain::Format;

use super::config::Config;
use super::wire::Message;

/// Settles a message into the batch.
pub(super) fn take(
    config: &Config,
    intake: &Intake,
    nodes: &Nodes,
    message: &Message,
    batch: &mut Batch,
) -> Told {
    let Message { topic, payload, retained, .. } = message;
    if !config.topics.iter().any(|template| template.matches(topic)) {
        let detail = format!("`{topic}` is none of the topics of upstream `{}`", config.name);
        let refusal = Refusal { reason: Reason::ForeignTopic, detail };
        intake.refuse(None, topic, payload, &refusal, batch);
        return Told { answer: Some(Answer::Refused(refusal)), ask: None };
    }
    let named = config.topics.iter().find_map(|template| template.station(topic));
    let message = told::Message { topic, payload, retained: *retained };
    intake.tell(config.format, nodes, Speaker::Broker(named), message, batch)
}

/// Refuses a message of which only the beginning was read.
pub(super) fn take_oversized(
    config: &Config,
    intake: &Intake,
    message: &Message,
    bytes: usize,
    batch: &mut Batch,
) -> Told {
    let most = config.packet_bytes_max;
    let detail =
        format!("a packet of {bytes} bytes; {most} are possible; its first bytes are kept");
    let refusal = Refusal { reason: Reason::TooLarge, detail };
    intake.refuse(None, &message.topic, &message.payload, &refusal, batch);
    Told { answer: Some(Answer::Refused(refusal)), ask: None }
}

/// May this topic stand for this format?
pub(super) fn fits(format: Option<Format>, template: &super::Template) -> bool {
    match format {
        // The payload and the topic together say whose it is.
        Some(Format::Sparkplug) => {
            !template.names_station() && template.filter().starts_with("spBv1.0/")
        }
        Some(Format::ChirpStack) => {
            template.names_station() && template.filter().ends_with("/event/up")
        }
        _ => template.names_station(),
    }
}

/// What would fit.
pub(super) const fn wanted(format: Option<Format>) -> &'static str {
    match format {
        Some(Format::Sparkplug) => "write spBv1.0/# or, with the name of a group, spBv1.0/name/#",
        Some(Format::ChirpStack) => "write application/+/device/{station}/event/up",
        _ => "{station} says where the station stands",
    }
}
