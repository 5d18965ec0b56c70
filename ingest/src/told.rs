//! Messages in somebody else's words: whose they are, and the way into the batch.
//!
//! A station that logged in at our door speaks for itself, whatever format it speaks. A gateway, or somebody else's
//! broker, speaks of others by names of its own; the book says which station a name means ([`Stations`]).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Reason, Refusal, Report, Stated, Station};

use crate::formats::shape::{Shape, Way};
use crate::formats::sparkplug::{Ask, Heard, Nodes};
use crate::formats::{Format, chirpstack, chirpstack_device, json, thingsboard};
use crate::intake::{Answer, Batch, Came, Intake, Pass, of_unknown_age};

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speaker<'a> {
    /// A station for itself.
    Itself(&'a Pass),
    /// A gateway at our door: for those that the book says are known by its names.
    Gateway,
    /// Somebody else's broker, for whoever stands in the topic here, by its own code too: it is trusted for all.
    Broker(Option<&'a str>),
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a Bytes,
    /// Did a broker keep it from before?
    pub(crate) retained: bool,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Told {
    /// `None` where there was nothing to store.
    pub(crate) answer: Option<Answer>,
    /// Something to publish where it came from.
    pub(crate) ask: Option<Ask>,
}

impl Intake {
    /// Reads and settles a message into the batch.
    pub(crate) fn tell(
        &self,
        format: Format,
        nodes: &Nodes,
        speaker: Speaker<'_>,
        message: Message<'_>,
        batch: &mut Batch,
    ) -> Told {
        let Message { topic, payload, .. } = message;
        if format == Format::Sparkplug {
            let (heard, ask) = nodes.hear(topic, payload, self.now());
            let answer = match heard {
                Heard::Nothing => None,
                Heard::Refused(refusal) => Some(self.turn_away(None, message, refusal, batch)),
                Heard::Reports { name, reports } => {
                    Some(self.take_of(self.whose(speaker, &name), message, Ok(reports), batch))
                }
            };
            return Told { answer, ask };
        }
        let station = match speaker {
            Speaker::Itself(pass) => Ok(pass.clone()),
            Speaker::Gateway => self.whose(speaker, chirpstack_device(topic).unwrap_or_default()),
            Speaker::Broker(name) => self.whose(speaker, name.unwrap_or_default()),
        };
        let reports = match format {
            Format::ThingsBoard => thingsboard::decode(payload),
            Format::ChirpStack => {
                chirpstack::decode(payload, chirpstack_device(topic).unwrap_or_default())
            }
            Format::Json | Format::Sparkplug => json::decode(payload),
            other => match &station {
                Ok(pass) => {
                    let whose = |name: Option<&str>| pass.speaks_of(name);
                    let (shape, retained) = (Shape::from(other), message.retained);
                    let came = Came { shape, way: Way::Mqtt, retained };
                    let taken = self.take_body(Some(pass), whose, came, payload, batch);
                    return Told { answer: Some(taken.answer()), ask: None };
                }
                Err(refusal) => Err(refusal.clone()),
            },
        };
        Told { answer: Some(self.take_of(station, message, reports, batch)), ask: None }
    }

    fn take_of(
        &self,
        station: Result<Pass, Refusal>,
        message: Message<'_>,
        reports: Result<Vec<Report<'_>>, Refusal>,
        batch: &mut Batch,
    ) -> Answer {
        let pass = match station {
            Ok(pass) => pass,
            Err(refusal) => return self.turn_away(None, message, refusal, batch),
        };
        match reports.and_then(|reports| known_age(reports, message.retained)) {
            Ok(reports) => {
                self.take_reports(&pass, message.topic, message.payload, &reports, batch)
            }
            Err(refusal) => self.turn_away(Some(&pass), message, refusal, batch),
        }
    }

    fn turn_away(
        &self,
        pass: Option<&Pass>,
        message: Message<'_>,
        refusal: Refusal,
        batch: &mut Batch,
    ) -> Answer {
        self.refuse(pass, message.topic, message.payload, &refusal, batch);
        Answer::Refused(refusal)
    }

    /// The station that this name means.
    fn whose(&self, speaker: Speaker<'_>, name: &str) -> Result<Pass, Refusal> {
        let known = self.stations().known_as(name);
        let found: Option<Arc<Station>> = match speaker {
            Speaker::Broker(_) => known.or_else(|| {
                // A Sparkplug device stands below its group and node; its own name may be the code.
                self.stations().get(name.rsplit('/').next().unwrap_or_default())
            }),
            Speaker::Itself(_) | Speaker::Gateway => known,
        };
        let station = found.ok_or_else(|| {
            let name: Cow<'_, str> = json::shorten(name);
            let detail = format!("no station is known as `{name}`; say it in its `known_as`");
            Refusal { reason: Reason::UnknownStation, detail }
        })?;
        Ok(Pass { station })
    }
}

fn known_age(reports: Vec<Report<'_>>, retained: bool) -> Result<Vec<Report<'_>>, Refusal> {
    match retained && reports.iter().any(|report| report.taken == Stated::OnArrival) {
        true => Err(of_unknown_age()),
        false => Ok(reports),
    }
}
