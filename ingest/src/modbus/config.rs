//! Which line, which slaves on it, and where each limit lies.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::StationCode;

use super::profile::Profile;
use crate::line::{Place, Serial};

/// One line.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in logs and metrics.
    pub name: String,
    /// Where it is.
    pub at: At,
    /// How the line is set: the serial port's, or behind the gateway. Plain TCP does not look at it.
    pub serial: Serial,
    /// From the question's last byte to the answer's last, beside the time that the bytes take on a serial line.
    pub answer_within: Duration,
    /// Silence on an RTU line before a question, beside the 3.5 characters: for slaves that turn around slowly, and for
    /// another master on the same line.
    pub pause: Duration,
    /// Silence that says a disturbed RTU line has nothing more to say.
    pub quiet: Duration,
    /// How late an answer can be. A slave that left a question unanswered is not asked before.
    pub late_max: Duration,
    /// What one poll of one slave may take.
    pub budget: Duration,
    /// The longest that a silent slave is left alone.
    pub back_off_max: Duration,
    /// The longest wait between two tries to open the line.
    pub retry_max: Duration,
    /// Who is asked.
    pub slaves: Vec<SlaveConfig>,
}

/// One slave.
#[derive(Debug, Clone)]
pub struct SlaveConfig {
    /// Whose readings these are.
    pub station: StationCode,
    /// Its address (RTU), or unit (TCP).
    pub unit: u8,
    /// What its registers mean.
    pub profile: Arc<Profile>,
    /// How often it is asked.
    pub every: Duration,
    /// May it be written to?
    pub writes: bool,
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Modbus TCP.
    Tcp {
        /// A name, or an address.
        host: String,
        /// 502 unless it is said.
        port: u16,
    },
    /// RTU frames through a TCP gateway that only passes bytes on.
    RtuOverTcp {
        /// A name, or an address.
        host: String,
        /// The gateway's port.
        port: u16,
    },
    /// RTU on a serial port.
    Serial(PathBuf),
}

/// The text is not a line's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write tcp://host:502, rtu+tcp://host:port or serial:///dev/serial/by-id/…")]
pub struct BadAt;

impl At {
    /// Reads `tcp://host[:port]`, `rtu+tcp://host:port` or `serial:///path`.
    ///
    /// # Errors
    /// [`BadAt`] where it is anything else.
    pub fn parse(text: &str) -> Result<Self, BadAt> {
        if let Some(path) = text.strip_prefix("serial://") {
            return if path.starts_with('/') { Ok(Self::Serial(path.into())) } else { Err(BadAt) };
        }
        let url = url::Url::parse(text).map_err(|_| BadAt)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty()).ok_or(BadAt)?;
        // The brackets of an IPv6 address belong to the URL.
        let host = host.trim_matches(['[', ']']).to_owned();
        match (url.scheme(), url.port()) {
            ("tcp", port) => Ok(Self::Tcp { host, port: port.unwrap_or(502) }),
            ("rtu+tcp", Some(port)) => Ok(Self::RtuOverTcp { host, port }),
            _ => Err(BadAt),
        }
    }

    /// Where that is, whatever the frames are.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Tcp { host, port } | Self::RtuOverTcp { host, port } => {
                Place::Socket { host: host.clone(), port: *port }
            }
            Self::Serial(path) => Place::Serial(path.clone()),
        }
    }

    /// Are the frames RTU?
    #[must_use]
    pub const fn is_rtu(&self) -> bool {
        !matches!(self, Self::Tcp { .. })
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::RtuOverTcp { host, port } => write!(f, "rtu+tcp://{host}:{port}"),
            Self::Serial(path) => write!(f, "serial://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_frames_go() {
        for good in
            ["tcp://10.0.0.7:1502", "rtu+tcp://gateway:4001", "serial:///dev/serial/by-id/x"]
        {
            assert_eq!(At::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(At::parse("tcp://plc").unwrap().to_string(), "tcp://plc:502");
        for bad in
            ["", "plc:502", "rtu+tcp://gateway", "serial://ttyUSB0", "tcp://u@h", "http://h:1"]
        {
            assert_eq!(At::parse(bad), Err(BadAt), "{bad}");
        }
    }
}
