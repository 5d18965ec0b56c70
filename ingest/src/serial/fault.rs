//! Why there is no line.

use std::io;

use domain::{Reason, Refusal};

use super::ear::Heard;
use crate::formats::refused;
use crate::line::Broken;

/// Bytes that are no line that counts, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// A label of `saltline_serial_lines_total`.
    pub(super) label: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) refusal: Refusal,
}

impl Unread {
    pub(super) fn new(label: &'static str, bytes: &[u8], refusal: Refusal) -> Self {
        Self { label, bytes: bytes.to_vec(), refusal }
    }

    /// More than one answer: one of them may be somebody else's.
    pub(super) fn extra(bytes: &[u8]) -> Self {
        let detail = "more than one answer: one of them may be to an earlier question";
        Self::new("extra", bytes, refused(Reason::Malformed, detail))
    }

    /// Did bytes get lost or added on the way, so that asking again may help?
    pub(super) fn is_noise(&self) -> bool {
        matches!(self.label, "checksum" | "half" | "noise" | "overlong" | "extra")
    }

    /// Is it nothing that a logger wrote as it is?
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.label, "half" | "noise" | "overlong")
    }
}

/// The line, or why it is none.
pub(super) fn whole(heard: Heard) -> Result<Vec<u8>, Unread> {
    let (label, bytes, reason, detail) = match heard {
        Heard::Line(line) => return Ok(line),
        Heard::Half(bytes) => ("half", bytes, Reason::Malformed, "half a line"),
        Heard::Overlong(bytes) => ("overlong", bytes, Reason::TooLarge, "a line without an end"),
        Heard::Noise(bytes) => ("noise", bytes, Reason::Malformed, "bytes that are no text"),
    };
    Err(Unread::new(label, &bytes, refused(reason, detail)))
}

/// Why there is no answer. The list is closed; each is a label of `saltline_serial_polls_total`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no answer in time")]
    Timeout,
    #[error("{refusal}", refusal = .0.refusal)]
    Unread(Unread),
    #[error("the line is never silent")]
    Busy,
    #[error("the line was closed")]
    Closed(#[source] io::Error),
    #[error("the line cannot be opened")]
    NoLine(#[source] io::Error),
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed(error) => Self::Closed(error),
            Broken::NoLine(error) => Self::NoLine(error),
            Broken::Busy => Self::Busy,
            Broken::Stuck => Self::Timeout,
        }
    }
}

impl Fault {
    /// The fault as a label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unread(unread) => unread.label,
            Self::Busy => "busy",
            Self::Closed(_) => "closed",
            Self::NoLine(_) => "no_line",
        }
    }

    /// Is it the line's and not the logger's? The line has a wait of its own.
    pub(super) const fn is_of_the_line(&self) -> bool {
        matches!(self, Self::Busy | Self::Closed(_) | Self::NoLine(_))
    }
}
