//! Bytes to reports. One file a format; nothing is believed yet.

pub mod json; // the report of docs/wire.md
mod loose; // values as other people's programs write them
pub mod thingsboard; // telemetry of ThingsBoard devices
pub mod chirpstack; // uplinks of a LoRaWAN network
pub mod sparkplug; // edge nodes with births, aliases and deaths
pub(crate) mod part; // a packet of many lines, taken apart
pub mod senml; // measurements of RFC 8428, JSON and CBOR
pub mod circular10; // the text files of Circular 10/2021
pub mod table; // CSV and TOA5
pub mod line_protocol; // what Telegraf writes
pub(crate) mod shape; // which of them a body is, and how it is to be read

use domain::{Reason, Refusal};

pub(crate) use loose::{decimal, number};

/// Reports that one packet may hold: a day of a station that reports every 5 minutes, sent at once after an outage.
pub const REPORTS_MAX: usize = 288;

/// Values that one report may hold: the standard parameters are 26; a logger with several sondes has some of each.
pub const VALUES_MAX: usize = 128;

/// What a payload can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The report of `docs/wire.md`.
    Json,
    /// ThingsBoard's device telemetry.
    ThingsBoard,
    /// ChirpStack's uplink events.
    ChirpStack,
    /// Sparkplug B.
    Sparkplug,
    /// Our report, one or an array of them in each line.
    JsonLines,
    /// SenML in JSON.
    SenmlJson,
    /// SenML in CBOR.
    SenmlCbor,
    /// The text file of Circular 10/2021.
    Circular10,
    /// CSV with a header, or TOA5.
    Table,
    /// InfluxDB's line protocol.
    LineProtocol,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 10] = [
        Self::Json,
        Self::ThingsBoard,
        Self::ChirpStack,
        Self::Sparkplug,
        Self::JsonLines,
        Self::SenmlJson,
        Self::SenmlCbor,
        Self::Circular10,
        Self::Table,
        Self::LineProtocol,
    ];

    /// The format as a configuration and a counter write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::ThingsBoard => "thingsboard",
            Self::ChirpStack => "chirpstack",
            Self::Sparkplug => "sparkplug",
            Self::JsonLines => "json-lines",
            Self::SenmlJson => "senml-json",
            Self::SenmlCbor => "senml-cbor",
            Self::Circular10 => "circular-10",
            Self::Table => "table",
            Self::LineProtocol => "line-protocol",
        }
    }

    /// Does it consist of lines that stand for themselves, or behind a header?
    #[must_use]
    pub const fn has_lines(self) -> bool {
        matches!(self, Self::JsonLines | Self::Circular10 | Self::Table | Self::LineProtocol)
    }

    /// The format with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The format that a topic itself tells; any other topic carries our own report.
    #[must_use]
    pub fn of_topic(topic: &str) -> Self {
        match topic.split_once('/') {
            Some(("v1", _)) if topic == THINGSBOARD_TOPIC => Self::ThingsBoard,
            Some(("application", _)) if chirpstack_device(topic).is_some() => Self::ChirpStack,
            Some(("spBv1.0", _)) => Self::Sparkplug,
            _ => Self::Json,
        }
    }
}

/// Where a ThingsBoard device publishes its telemetry.
pub const THINGSBOARD_TOPIC: &str = "v1/devices/me/telemetry";

/// The device in `application/{id}/device/{devEui}/event/up`.
#[must_use]
pub fn chirpstack_device(topic: &str) -> Option<&str> {
    let mut levels = topic.split('/');
    let mut is = |word: &str| levels.next().is_some_and(|level| word.is_empty() || level == word);
    if !(is("application") && is("") && is("device")) {
        return None;
    }
    let device = levels.next()?;
    (levels.eq(["event", "up"])).then_some(device)
}

/// A refusal with a detail that fits into an answer and a line of a log.
pub(crate) fn refused(reason: Reason, detail: &str) -> Refusal {
    Refusal { reason, detail: json::shorten(detail).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_topics_tell_their_format() {
        for (topic, format) in [
            ("v1/devices/me/telemetry", Format::ThingsBoard),
            ("v1/devices/me/attributes", Format::Json),
            ("application/7/device/24e124136b502217/event/up", Format::ChirpStack),
            ("application/7/device/24e124136b502217/event/join", Format::Json),
            ("application/7/device/24e124136b502217/event/up/x", Format::Json),
            ("application/7/gateway/24e124136b502217/event/up", Format::Json),
            ("spBv1.0/tg/NDATA/edge", Format::Sparkplug),
            ("stations/xuan-hoa/readings", Format::Json),
            ("x", Format::Json),
        ] {
            assert_eq!(Format::of_topic(topic), format, "{topic}");
        }
        assert_eq!(chirpstack_device("application/7/device/24e1/event/up"), Some("24e1"));
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
    }
}
