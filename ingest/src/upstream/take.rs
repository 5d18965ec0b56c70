//! What becomes of one message: whose it is, what it says, what of it is believed.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Reason, Refusal, Report, Stated, Station};

use crate::intake::{Answer, Batch, Intake, Pass};
use crate::stations::Stations;

use super::config::Config;
use super::wire::Message;

/// Settles a message into the batch.
pub(super) fn take(
    config: &Config,
    stations: &Stations,
    intake: &Intake,
    message: &Message,
    batch: &mut Batch,
) -> Answer {
    let Message { topic, payload, retained, .. } = message;
    let station = match station(config, stations, topic) {
        Ok(station) => station,
        Err(refusal) => return refuse(intake, None, topic, payload, refusal, batch),
    };
    let pass = Pass { station };
    match config.format.decode(payload).and_then(|reports| known_age(reports, *retained)) {
        Ok(reports) => intake.take_reports(&pass, topic, payload, &reports, batch),
        Err(refusal) => refuse(intake, Some(&pass), topic, payload, refusal, batch),
    }
}

/// Refuses a message of which only the beginning was read.
pub(super) fn take_oversized(
    config: &Config,
    intake: &Intake,
    message: &Message,
    bytes: usize,
    batch: &mut Batch,
) -> Answer {
    let most = config.packet_bytes_max;
    let detail =
        format!("a packet of {bytes} bytes; {most} are possible; its first bytes are kept");
    let refusal = Refusal { reason: Reason::TooLarge, detail };
    refuse(intake, None, &message.topic, &message.payload, refusal, batch)
}

fn refuse(
    intake: &Intake,
    pass: Option<&Pass>,
    topic: &str,
    payload: &Bytes,
    refusal: Refusal,
    batch: &mut Batch,
) -> Answer {
    intake.refuse(pass, topic, payload, &refusal, batch);
    Answer::Refused(refusal)
}

/// Whose it is, as the topic says.
fn station(config: &Config, stations: &Stations, topic: &str) -> Result<Arc<Station>, Refusal> {
    let Some(name) = config.topics.iter().find_map(|template| template.station(topic)) else {
        let detail = format!("`{topic}` is none of the topics of upstream `{}`", config.name);
        return Err(Refusal { reason: Reason::ForeignTopic, detail });
    };
    stations.get(name).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        let detail = format!("`{name}` is not a station here; add it with `saltline station add`");
        Refusal { reason: Reason::UnknownStation, detail }
    })
}

/// A message that the broker kept from before says nothing about now: where the report does not say when it was
/// measured, nobody knows.
fn known_age(reports: Vec<Report<'_>>, retained: bool) -> Result<Vec<Report<'_>>, Refusal> {
    if retained && reports.iter().any(|report| report.taken == Stated::OnArrival) {
        let detail = "time: a retained message without a time could be of any age".to_owned();
        return Err(Refusal { reason: Reason::BadTime, detail });
    }
    Ok(reports)
}
