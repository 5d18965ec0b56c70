//! What can be wrong with a packet. Each kind is a counter's label and, on MQTT 5, a reason code; on MQTT 3.1.1 the
//! connection just closes, for that version has no other answer.

use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Code;

/// Why a packet ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::mqtt) enum Bad {
    /// It is not MQTT.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// It is MQTT, at the wrong moment or with values the specification forbids.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// More bytes than we said we take.
    #[error("packet of {0} bytes is too large")]
    TooLarge(usize),
    /// A topic alias of 0, or above what we offered.
    #[error("topic alias is 0 or above the maximum")]
    TopicAlias,
    /// A topic with a wildcard, a NUL, nothing in it, or too many levels.
    #[error("topic name is not valid")]
    TopicInvalid,
    /// More unacknowledged publishes than we said we take.
    #[error("receive maximum exceeded")]
    ReceiveMaximum,
}

impl Bad {
    /// The kind as counters and logs write it.
    pub(in crate::mqtt) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_packet",
            Self::Protocol(_) => "protocol_error",
            Self::TooLarge(_) => "packet_too_large",
            Self::TopicAlias => "topic_alias",
            Self::TopicInvalid => "topic_invalid",
            Self::ReceiveMaximum => "receive_maximum",
        }
    }

    /// The reason code of MQTT 5.
    pub(in crate::mqtt) const fn code(self) -> Code {
        match self {
            Self::Malformed(_) => Code::MalformedPacket,
            Self::Protocol(_) => Code::ProtocolError,
            Self::TooLarge(_) => Code::PacketTooLarge,
            Self::TopicAlias => Code::TopicAliasInvalid,
            Self::TopicInvalid => Code::TopicNameInvalid,
            Self::ReceiveMaximum => Code::ReceiveMaximumExceeded,
        }
    }
}
