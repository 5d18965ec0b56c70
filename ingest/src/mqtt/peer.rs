//! What the one at the other end may touch. Denied unless it stands here.

use domain::Format;

use crate::formats::{THINGSBOARD_TOPIC, of_topic};
use crate::intake::Pass;

use super::gatekeeper::{Entry, Grant, Verb, may};

/// Someone who is logged in, with their rights.
#[derive(Debug)]
pub(super) enum Peer {
    /// A station, with its own topics spelled out once.
    Station { pass: Pass, prefix: String, readings: String },
    /// A person or a service.
    Guest { name: String, grants: Vec<Grant> },
}

/// Where a publish goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// Into the journal, then to subscribers.
    Readings,
    /// The same, in somebody else's words.
    Told(Format),
    /// To subscribers.
    Subscribers,
    /// Nowhere: the topic is not theirs.
    Foreign,
}

/// What a station may say beside its readings. A closed list, so that `stations/x/reading` is answered and not lost.
const STATION_SAYS: [&str; 6] =
    ["state", "log", "receipt", "config/reported", "firmware/ask", "firmware/report"];

impl Peer {
    /// The rights of one who was let in.
    pub(super) fn new(entry: Entry) -> Self {
        match entry {
            Entry::Station(station) => {
                let prefix = format!("stations/{}/", station.code);
                let readings = format!("{prefix}readings");
                Self::Station { pass: Pass { station }, prefix, readings }
            }
            Entry::Guest { name, grants } => Self::Guest { name, grants },
        }
    }

    /// Its name in logs.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Station { pass, .. } => pass.station.code.as_str(),
            Self::Guest { name, .. } => name,
        }
    }

    /// The station's pass, where it is one.
    pub(super) fn pass(&self) -> Option<&Pass> {
        match self {
            Self::Station { pass, .. } => Some(pass),
            Self::Guest { .. } => None,
        }
    }

    /// Where a publish on this topic goes.
    pub(super) fn destination(&self, topic: &str) -> Destination {
        match self {
            Self::Station { readings, .. } if topic == readings => Destination::Readings,
            Self::Station { .. } if topic == THINGSBOARD_TOPIC => {
                Destination::Told(Format::ThingsBoard)
            }
            Self::Station { prefix, .. } => match topic.strip_prefix(prefix.as_str()) {
                Some(rest) if STATION_SAYS.contains(&rest) => Destination::Subscribers,
                _ => Destination::Foreign,
            },
            // Readings come from stations only: nobody may speak in a station's name.
            Self::Guest { .. } if super::topic::covers("stations/+/readings", topic) => {
                Destination::Foreign
            }
            Self::Guest { grants, .. } if may(grants, Verb::Write, topic) => {
                told_by_gateway(grants, topic).map_or(Destination::Subscribers, Destination::Told)
            }
            Self::Guest { .. } => Destination::Foreign,
        }
    }

    /// May everything that this filter matches be read?
    pub(super) fn may_read(&self, filter: &str) -> bool {
        match self {
            Self::Station { prefix, .. } => {
                // `stations/x/#` also matches `stations/x` itself, on which nobody may publish.
                filter.starts_with(prefix.as_str())
            }
            Self::Guest { grants, .. } => may(grants, Verb::Read, filter),
        }
    }

    /// May a message on this topic be read? Asked when it is delivered: what waited in a queue or was retained may be
    /// none of its business any more.
    pub(super) fn may_hear(&self, topic: &str) -> bool {
        self.may_read(topic)
    }

    /// Below which topic answers to its requests may be sent: for a station its own; a guest's grants say it.
    pub(super) fn response_topic(&self) -> Option<String> {
        match self {
            Self::Station { prefix, .. } => Some(prefix.clone()),
            Self::Guest { .. } => None,
        }
    }

    /// The key of its session, so that a guest cannot take over a station's by its client id. No part of it holds a NUL.
    pub(super) fn session_key(&self, client_id: &str) -> String {
        match self {
            Self::Station { pass, .. } => format!("station\0{}", pass.station.code),
            Self::Guest { name, .. } => format!("guest\0{name}\0{client_id}"),
        }
    }
}

/// The format of a gateway's topic. A gateway is who has a grant that names the topic's first level itself: `#` gives
/// nobody the voice of a station.
fn told_by_gateway(grants: &[Grant], topic: &str) -> Option<Format> {
    let format = of_topic(topic).filter(|format| !format.needs_no_topic());
    format.filter(|_| grants.iter().any(|grant| grant.names(topic)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Format, Station, StationCode};

    use super::super::Verb;
    use super::*;

    #[test]
    fn a_station_touches_only_its_own() {
        let station = Station::new(StationCode::new("vam-kenh").unwrap());
        let peer = Peer::new(Entry::Station(Arc::new(station)));
        assert_eq!(peer.destination("stations/vam-kenh/readings"), Destination::Readings);
        assert_eq!(peer.destination("stations/vam-kenh/state"), Destination::Subscribers);
        for foreign in [
            "stations/xuan-hoa/readings",
            "stations/vam-kenh-2/readings",
            "stations/vam-kenh/reading",
            "stations/vam-kenh/command",
            "stations/vam-kenh",
            "latest/vam-kenh/salinity",
            "$SYS/x",
        ] {
            assert_eq!(peer.destination(foreign), Destination::Foreign, "{foreign}");
        }
        assert!(peer.may_read("stations/vam-kenh/#"));
        assert!(peer.may_read("stations/vam-kenh/command"));
        for foreign in ["#", "stations/#", "stations/+/command", "stations/vam-kenh", "latest/#"] {
            assert!(!peer.may_read(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_guest_has_what_is_granted_and_no_stations_voice() {
        let grants = vec![
            Grant::new("latest/#", Verb::Read).unwrap(),
            Grant::new("#", Verb::Write).unwrap(),
        ];
        let peer = Peer::new(Entry::Guest { name: "board".into(), grants });
        assert!(peer.may_read("latest/+/salinity"));
        assert!(!peer.may_read("warnings/#"));
        assert_eq!(peer.destination("x"), Destination::Subscribers);
        assert_eq!(peer.destination("stations/vam-kenh/readings"), Destination::Foreign);
    }

    #[test]
    fn a_gateway_is_who_is_granted_its_topics_by_name() {
        let grants = |filter| vec![Grant::new(filter, Verb::Write).unwrap()];
        let uplink = "application/7/device/24e124136b502217/event/up";
        let data = "spBv1.0/tg/DDATA/edge/xuan-hoa";
        let told = |filter, topic| {
            Peer::new(Entry::Guest { name: "gateway".into(), grants: grants(filter) })
                .destination(topic)
        };
        assert_eq!(told("application/7/#", uplink), Destination::Told(Format::ChirpStack));
        assert_eq!(told("spBv1.0/tg/+/edge/#", data), Destination::Told(Format::Sparkplug));
        assert_eq!(told("application/8/#", uplink), Destination::Foreign);
        assert_eq!(told("spBv1.0/tg/+/other/#", data), Destination::Foreign);
        assert_eq!(told("#", uplink), Destination::Subscribers);
        assert_eq!(told("+/tg/#", data), Destination::Subscribers);
        assert_eq!(told("application/#", "application/7/x"), Destination::Subscribers);
        let station = Station::new(StationCode::new("vam-kenh").unwrap());
        let peer = Peer::new(Entry::Station(Arc::new(station)));
        assert_eq!(peer.destination(THINGSBOARD_TOPIC), Destination::Told(Format::ThingsBoard));
        assert_eq!(peer.destination(uplink), Destination::Foreign);
        assert_eq!(peer.destination(data), Destination::Foreign);
        assert_eq!(peer.destination("v1/devices/me/attributes"), Destination::Foreign);
    }
}
