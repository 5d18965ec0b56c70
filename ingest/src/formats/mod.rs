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
pub mod bytes; // numbers at fixed places, as the profile lays them out
pub(crate) mod shape; // which of them a body is, and how it is to be read

use domain::{Format, Reason, Refusal};

pub(crate) use loose::{decimal, number};

/// Reports that one packet may hold: a day of a station that reports every 5 minutes, sent at once after an outage.
pub const REPORTS_MAX: usize = 288;

/// Values that one report may hold: the standard parameters are 26; a logger with several sondes has some of each.
pub const VALUES_MAX: usize = 128;

/// The format that a topic itself tells; any other topic carries what the station's profile says, or our own report.
#[must_use]
pub fn of_topic(topic: &str) -> Option<Format> {
    match topic.split_once('/')? {
        ("v1", _) if topic == THINGSBOARD_TOPIC => Some(Format::ThingsBoard),
        ("application", _) if chirpstack_device(topic).is_some() => Some(Format::ChirpStack),
        ("spBv1.0", _) => Some(Format::Sparkplug),
        _ => None,
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
            ("v1/devices/me/telemetry", Some(Format::ThingsBoard)),
            ("v1/devices/me/attributes", None),
            ("application/7/device/24e124136b502217/event/up", Some(Format::ChirpStack)),
            ("application/7/device/24e124136b502217/event/join", None),
            ("application/7/device/24e124136b502217/event/up/x", None),
            ("application/7/gateway/24e124136b502217/event/up", None),
            ("spBv1.0/tg/NDATA/edge", Some(Format::Sparkplug)),
            ("stations/xuan-hoa/readings", None),
            ("x", None),
        ] {
            assert_eq!(of_topic(topic), format, "{topic}");
        }
        assert_eq!(chirpstack_device("application/7/device/24e1/event/up"), Some("24e1"));
    }
}
