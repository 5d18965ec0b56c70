//! Which format a body has, and what its reader has to be told: for packets that come with a content type, as files, or
//! again from the dead letters, where the topic says it: `http/circular-10`, `file/table+25200`.

use ::bytes::Bytes;
use domain::{LayoutField, Reason, Refusal, Report, Stated, Timestamp};

use super::line_protocol::{self, Precision};
use super::part::{Part, lines};
use super::table::{self, Clock};
use super::{Format, bytes, chirpstack, circular10, json, refused, senml, thingsboard};

/// A format and how it is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The format.
    pub format: Format,
    /// Seconds that naive times are ahead of UTC, where somebody said so.
    pub offset_s: Option<i32>,
    /// What timestamps of the line protocol count.
    pub precision: Precision,
}

/// The way by which a body came that has no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Pushed over HTTP.
    Http,
    /// Left in a folder.
    File,
    /// Published with a content type.
    Mqtt,
}

impl Way {
    const ALL: [Self; 3] = [Self::Http, Self::File, Self::Mqtt];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::File => "file",
            Self::Mqtt => "mqtt",
        }
    }
}

impl From<Format> for Shape {
    fn from(format: Format) -> Self {
        Self { format, offset_s: None, precision: Precision::default() }
    }
}

impl Shape {
    /// The shape that a content type tells, where it is one of ours.
    #[must_use]
    pub fn of_content_type(text: &str) -> Option<Self> {
        let (essence, _parameters) = text.split_once(';').unwrap_or((text, ""));
        let format = match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => Format::Json,
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Format::JsonLines
            }
            "application/senml+json" => Format::SenmlJson,
            "application/senml+cbor" => Format::SenmlCbor,
            "text/csv" => Format::Table,
            "text/tab-separated-values" => Format::Circular10,
            "application/vnd.influx.line-protocol" => Format::LineProtocol,
            _ => return None,
        };
        Some(format.into())
    }

    /// Is it a content type that programs send when nobody told them what the body is?
    #[must_use]
    pub fn is_untold(content_type: &str) -> bool {
        let (essence, _parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let essence = essence.trim().to_ascii_lowercase();
        const UNTOLD: [&str; 4] =
            ["", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"];
        UNTOLD.contains(&essence.as_str())
    }

    /// What stands in place of a topic with its dead letters.
    #[must_use]
    pub fn topic(&self, way: Way) -> String {
        let (way, format) = (way.as_str(), self.format.as_str());
        let precision = match self.precision {
            Precision::Nanoseconds => "",
            Precision::Microseconds => "@us",
            Precision::Milliseconds => "@ms",
            Precision::Seconds => "@s",
        };
        match self.offset_s {
            Some(offset_s) => format!("{way}/{format}{offset_s:+}{precision}"),
            None => format!("{way}/{format}{precision}"),
        }
    }

    /// The shape in such a topic.
    #[must_use]
    pub fn of_topic(topic: &str) -> Option<Self> {
        let (way, rest) = topic.split_once('/')?;
        Way::ALL.into_iter().find(|it| it.as_str() == way)?;
        let (rest, precision) = match rest.split_once('@') {
            Some((rest, precision)) => (rest, Precision::parse(precision)?),
            None => (rest, Precision::default()),
        };
        // A format's name may have a dash in it, and none has a sign before a digit but that of the offset.
        let sign = rest.rfind(['+', '-']).filter(|&at| {
            rest[at + 1..].bytes().all(|byte| byte.is_ascii_digit())
                && Format::parse(rest).is_none()
        });
        let (name, offset_s) = match sign {
            Some(at) => (&rest[..at], Some(rest[at..].parse().ok()?)),
            None => (rest, None),
        };
        Some(Self { format: Format::parse(name)?, offset_s, precision })
    }

    /// Takes a body apart that came at `now`, of a station whose profile has no layout.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole body.
    pub fn read<'a>(&self, payload: &'a Bytes, now: Timestamp) -> Result<Vec<Part<'a>>, Refusal> {
        self.read_laid_out(payload, now, &[])
    }

    /// The same of a station whose bytes lie so.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole body.
    pub fn read_laid_out<'a>(
        &self,
        payload: &'a Bytes,
        now: Timestamp,
        layout: &[LayoutField],
    ) -> Result<Vec<Part<'a>>, Refusal> {
        let parts = match self.format {
            Format::Json => whole(payload, json::decode(payload)?),
            Format::ThingsBoard => whole(payload, thingsboard::decode(payload)?),
            Format::ChirpStack => whole(payload, chirpstack::decode(payload, "", layout)?),
            Format::Sparkplug => {
                let detail = "a Sparkplug message cannot be read without its birth";
                return Err(refused(Reason::NoBirth, detail));
            }
            Format::JsonLines => json_lines(payload),
            Format::SenmlJson => senml::decode_json(payload, now)?,
            Format::SenmlCbor => senml::decode_cbor(payload, now)?,
            Format::Circular10 => circular10::decode(payload),
            Format::Table => table::decode(payload, Clock { offset_s: self.offset_s })?,
            Format::LineProtocol => line_protocol::decode(payload, self.precision),
            Format::Bytes => {
                let values = bytes::decode(payload, None, layout)?;
                let taken = Stated::OnArrival;
                whole(payload, vec![Report { taken, seq: None, replay: false, values }])
            }
        };
        match parts.is_empty() {
            true => Err(refused(Reason::BadCount, "there is no report in it")),
            false => Ok(parts),
        }
    }
}

fn whole<'a>(payload: &'a [u8], reports: Vec<Report<'a>>) -> Vec<Part<'a>> {
    reports.into_iter().map(|report| Part::whole(payload, report)).collect()
}

fn json_lines(payload: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (number, line) in lines(payload) {
        match json::decode(line) {
            Ok(reports) => {
                parts.extend(reports.into_iter().map(|report| Part::at(number, line, Ok(report))));
            }
            Err(refusal) => parts.push(Part::at(number, line, Err(refusal))),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_reads_back_from_the_topic_of_its_dead_letters() {
        for format in Format::ALL {
            for offset_s in [None, Some(25_200), Some(-3_600), Some(0)] {
                for precision in ["ns", "us", "ms", "s"] {
                    let precision = Precision::parse(precision).unwrap();
                    let shape = Shape { format, offset_s, precision };
                    for way in Way::ALL {
                        assert_eq!(Shape::of_topic(&shape.topic(way)), Some(shape));
                    }
                }
            }
        }
        for topic in ["stations/a/readings", "http/x", "file/table+x", "http/table@h", "table"] {
            assert_eq!(Shape::of_topic(topic), None, "{topic}");
        }
    }

    #[test]
    fn a_content_type_tells_its_format() {
        for (text, format) in [
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("Application/SenML+CBOR", Some(Format::SenmlCbor)),
            ("text/csv", Some(Format::Table)),
            ("text/html", None),
            ("application/octet-stream", None),
            ("", None),
        ] {
            assert_eq!(Shape::of_content_type(text).map(|shape| shape.format), format, "{text}");
        }
    }

    #[test]
    fn lines_of_json_are_told_by_their_number() {
        let text = Bytes::from(
            "{\"values\":{\"ph\":7}}\n\n[{\"values\":{\"ph\":7}},{\"values\":{\"ph\":8}}]\n{\n",
        );
        let parts = Shape::from(Format::JsonLines).read(&text, Timestamp::default()).unwrap();
        let told: Vec<_> = parts.iter().map(|p| (p.line, p.report.is_ok())).collect();
        assert_eq!(told, [(Some(1), true), (Some(3), true), (Some(3), true), (Some(4), false)]);
        let nothing = Bytes::new();
        let empty = Shape::from(Format::JsonLines).read(&nothing, Timestamp::default());
        assert_eq!(empty.unwrap_err().reason, Reason::BadCount);
    }
}
