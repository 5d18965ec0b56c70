//! What a payload can be: the closed list of formats, by the names that settings, profiles and counters write. How they
//! are read is not said here.

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own report, in JSON.
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
    /// Bytes that lie as the station's layout says.
    Bytes,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 11] = [
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
        Self::Bytes,
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
            Self::Bytes => "bytes",
        }
    }

    /// Does it consist of lines that stand for themselves, or behind a header?
    #[must_use]
    pub const fn has_lines(self) -> bool {
        matches!(self, Self::JsonLines | Self::Circular10 | Self::Table | Self::LineProtocol)
    }

    /// Can a station speak it wherever it speaks? The others say in their topic who speaks, and are read there only.
    #[must_use]
    pub const fn needs_no_topic(self) -> bool {
        !matches!(self, Self::ChirpStack | Self::Sparkplug)
    }

    /// The format with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_name() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(Format::parse("JSON"), None);
    }
}
