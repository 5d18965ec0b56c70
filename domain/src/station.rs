//! Where it is measured: a place with a name, a rhythm, and a profile that maps what its logger says to our words.

use std::time::Duration;

use crate::derived::Derived;
use crate::{EcReference, Format, LayoutField, ParameterCode, StationCode};

/// A point on the earth, WGS 84 degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

/// One field of a station's reports and the parameter it means: `value = scale · said + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The name that the station uses.
    pub name: String,
    /// Our parameter.
    pub parameter: ParameterCode,
    /// Factor from the station's unit to ours (and its calibration).
    pub scale: f64,
    /// Added after scaling, in our unit.
    pub offset: f64,
    /// What the station's conductivity is referred to; where it is not said, what the parameter itself is.
    pub ec: Option<EcReference>,
}

/// How a station's own names and units become ours. A field that is not listed is taken by its standard code.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Fields whose name or unit is the station's own.
    pub fields: Vec<Mapping>,
    /// Seconds that the station's clock is ahead of UTC, where it writes times without an offset; `None` where nobody
    /// said so, and such times are refused.
    pub utc_offset_s: Option<i32>,
    /// What its payloads are, where neither a content type nor a topic nor an upstream says it; our own report where
    /// this does not say it either.
    pub format: Option<Format>,
    /// How its bytes lie, where it sends bare bytes.
    pub layout: Vec<LayoutField>,
    /// What nobody measures there, made of what is, in this order.
    pub derived: Vec<Derived>,
}

/// A measuring station.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Its key, and its user name and client id on MQTT.
    pub code: StationCode,
    /// Its name as people say it, as `Xuân Hòa`.
    pub name: String,
    /// Where it stands, if known.
    pub place: Option<Place>,
    /// The river or branch it stands on.
    pub river: Option<String>,
    /// Kilometres up that river from the mouth.
    pub km_from_mouth: Option<f64>,
    /// Time between two reports when all is well. Two intervals without a good reading are *unknown*.
    pub interval: Duration,
    /// How its fields become ours.
    pub profile: Profile,
    /// What gateways and other people's brokers call it, as a LoRaWAN DevEUI. A name means one station, whatever its
    /// capitals.
    pub known_as: Vec<String>,
}

impl Station {
    /// A station of which only the code is known: reports every 15 minutes in our own words.
    #[must_use]
    pub fn new(code: StationCode) -> Self {
        Self {
            name: code.to_string(),
            code,
            place: None,
            river: None,
            km_from_mouth: None,
            interval: Duration::from_mins(15),
            profile: Profile::default(),
            known_as: Vec::new(),
        }
    }
}
