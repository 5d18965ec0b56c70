//! Where a line is: a serial port, or a gateway that only passes bytes on.

use std::fmt;
use std::path::PathBuf;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A TCP port behind which a serial line is.
    Socket {
        /// A name, or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A serial port.
    Serial(PathBuf),
}

/// The text is not a line's place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write serial:///dev/serial/by-id/… or tcp://host:port")]
pub struct BadPlace;

impl Place {
    /// Reads `serial:///path` or `tcp://host:port`.
    ///
    /// # Errors
    /// [`BadPlace`] where it is anything else.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        if let Some(path) = text.strip_prefix("serial://") {
            return if path.starts_with('/') {
                Ok(Self::Serial(path.into()))
            } else {
                Err(BadPlace)
            };
        }
        let url = url::Url::parse(text).map_err(|_| BadPlace)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty()).ok_or(BadPlace)?;
        match (url.scheme(), url.port()) {
            // The brackets of an IPv6 address belong to the URL.
            ("tcp", Some(port)) => {
                Ok(Self::Socket { host: host.trim_matches(['[', ']']).to_owned(), port })
            }
            _ => Err(BadPlace),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Serial(path) => write!(f, "serial://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_port_or_a_gateway() {
        for good in ["tcp://gateway:4001", "serial:///dev/serial/by-id/x"] {
            assert_eq!(Place::parse(good).unwrap().to_string(), good);
        }
        for bad in
            ["", "gateway:4001", "tcp://gateway", "serial://ttyUSB0", "tcp://u@h:1", "http://h:1"]
        {
            assert_eq!(Place::parse(bad), Err(BadPlace), "{bad}");
        }
    }
}
