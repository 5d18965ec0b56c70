//! Why there is no answer, or no measurement.

use std::io;

use domain::{Reason, Refusal};

use super::answer::Misread;
use crate::formats::refused;
use crate::line::Broken;

/// See the module. The list is closed; each is a label of `saltline_sdi12_polls_total`.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// A part of an answer came, or bytes that are none.
    #[error("half an answer")]
    Half(Vec<u8>),
    /// More came behind the answer: one of the two may be to another command.
    #[error("more than one answer")]
    Extra(Vec<u8>),
    /// An answer that is not the one that was asked for; what, and why.
    #[error("{1}")]
    Misread(Vec<u8>, Wrong),
    /// A measurement would take too long.
    #[error("the measurement would take {0} s")]
    Slow(u64),
    /// Somebody talks without a pause.
    #[error("the line is never silent")]
    Busy,
    /// The line was closed while an answer was waited for.
    #[error("the line was closed")]
    Closed(#[source] io::Error),
    /// The line cannot be opened.
    #[error("the line cannot be opened")]
    NoLine(#[source] io::Error),
}

/// Why an answer is another than the one that was asked for.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Wrong(#[from] pub(super) Misread);

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
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Half(_) => "half",
            Self::Extra(_) => "extra",
            Self::Misread(_, why) => why.0.label(),
            Self::Slow(_) => "slow",
            Self::Busy => "busy",
            Self::Closed(_) => "closed",
            Self::NoLine(_) => "no_line",
        }
    }

    pub(super) fn misread(bytes: &[u8], why: Misread) -> Self {
        Self::Misread(bytes.to_vec(), Wrong(why))
    }

    /// Is it the line's and not the sensor's? The line has a wait of its own.
    pub(super) const fn is_of_the_line(&self) -> bool {
        matches!(self, Self::Busy | Self::Closed(_) | Self::NoLine(_))
    }

    /// May the same command, said again, have another answer?
    pub(super) const fn passes(&self) -> bool {
        match self {
            Self::Timeout | Self::Half(_) | Self::Extra(_) => true,
            Self::Misread(_, why) => !matches!(why.0, Misread::Sensor(_) | Misread::Empty),
            Self::Slow(_) | Self::Busy | Self::Closed(_) | Self::NoLine(_) => false,
        }
    }

    /// What is kept of it with the dead letters: bytes that came, and why they are not believed.
    pub(super) fn refusal(&self) -> Option<(&[u8], Refusal)> {
        let (bytes, reason) = match self {
            Self::Half(bytes) | Self::Extra(bytes) => (bytes, Reason::Malformed),
            Self::Misread(bytes, why) => match why.0 {
                Misread::Crc { .. } => (bytes, Reason::BadChecksum),
                Misread::Count { .. } | Misread::Empty => (bytes, Reason::BadCount),
                Misread::Address | Misread::Form(_) | Misread::Sensor(_) => {
                    (bytes, Reason::Malformed)
                }
            },
            _ => return None,
        };
        Some((bytes, refused(reason, &format!("{self}: {}", bytes.escape_ascii()))))
    }
}
