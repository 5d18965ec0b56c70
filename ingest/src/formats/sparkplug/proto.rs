//! `sparkplug_b.proto` of the specification, the part that a reader of values needs, declared by hand so that no protoc
//! is needed. Fields that are not here (metadata, data sets, templates, bodies) are skipped by the decoder.

use prost::Message;

/// Metrics of one message. A node with more than a thousand is a factory, not a station.
const METRICS_MAX: usize = 2_048;

/// One message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    /// When it was sent, Unix milliseconds.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    /// 0 to 255 and round again.
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// One metric.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    /// When it was measured, Unix milliseconds.
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15")]
    pub(super) value: Option<Value>,
}

/// The value of a metric; of other types nothing is left.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    String(String),
}

/// What a metric has beside its value, by name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<PropertyValue>,
}

/// A property; only texts are read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertyValue {
    #[prost(string, optional, tag = "8")]
    pub(super) text: Option<String>,
}

/// Why the bytes are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    Malformed(String),
    TooMany(usize),
}

/// Reads a message. How many metrics it has is counted before any is made: two bytes on the wire are 200 in memory.
pub(super) fn decode(bytes: &[u8]) -> Result<Payload, Unread> {
    let count = metrics(bytes).ok_or_else(|| Unread::Malformed("not a message".to_owned()))?;
    if METRICS_MAX < count {
        return Err(Unread::TooMany(count));
    }
    Payload::decode(bytes).map_err(|error| Unread::Malformed(error.to_string()))
}

/// The command that asks a node to be born again.
pub(super) fn rebirth(at_ms: u64) -> Vec<u8> {
    let metric = Metric {
        name: Some("Node Control/Rebirth".to_owned()),
        timestamp: Some(at_ms),
        datatype: Some(11),
        value: Some(Value::Boolean(true)),
        ..Metric::default()
    };
    Payload { timestamp: Some(at_ms), metrics: vec![metric], seq: None }.encode_to_vec()
}

/// Walks over the fields of the message and counts its metrics.
fn metrics(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        bytes = bytes.get(length..)?;
        count += usize::from(key >> 3 == 2);
    }
    Some(count)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for at in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
