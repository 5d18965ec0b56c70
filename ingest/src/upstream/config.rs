//! Which broker, who we are there, which topics, and where each limit lies.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use domain::Format;

use super::Template;

/// One broker that we take from.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in logs and metrics.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// How it is trusted, where it speaks TLS.
    pub tls: Option<Tls>,
    /// Who we are there.
    pub login: Option<Login>,
    /// Which MQTT is spoken.
    pub version: Version,
    /// The client id of the first worker; the others have `-2`, `-3` and so on after it. The broker keeps what it has
    /// for us under these ids while we are away.
    pub client_id: String,
    /// The group of a shared subscription.
    pub share: Option<String>,
    /// Connections at once. More than one needs a shared subscription, or each would get everything.
    pub workers: usize,
    /// The topics, and where in them the station stands.
    pub topics: Vec<Template>,
    /// What the payloads are; what the station's profile says, or our own report, where nobody said it.
    pub format: Option<Format>,
    /// The largest packet that is read whole; a larger message becomes a dead letter and is acknowledged.
    pub packet_bytes_max: usize,
    /// A message that we did not acknowledge, and all that came while we were away, is kept for so long by a broker
    /// that speaks MQTT 5. A broker that speaks 3.1.1 decides by itself.
    pub session_expiry: Duration,
    /// The longest wait between two tries to connect.
    pub retry_max: Duration,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, or an address.
    pub host: String,
    /// The port: 1883 or 8883 unless it is said.
    pub port: u16,
    /// Is it TLS?
    pub encrypted: bool,
}

/// The text is not a broker's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write mqtt://host:1883 or mqtts://host:8883, without user and path")]
pub struct BadAddress;

impl Address {
    /// Reads `mqtt://host[:port]` or `mqtts://host[:port]`.
    ///
    /// # Errors
    /// [`BadAddress`] where it is anything else: a user name belongs into its own key, a password into a file.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let url = url::Url::parse(text).map_err(|_| BadAddress)?;
        let (encrypted, usual) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(BadAddress),
        };
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        match url.host_str().filter(|host| bare && !host.is_empty()) {
            // The brackets of an IPv6 address belong to the URL.
            Some(host) => Ok(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(usual),
                encrypted,
            }),
            None => Err(BadAddress),
        }
    }
}

/// Whom we trust, and how we show who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the authorities that may have signed the broker's certificate; the system's where none is named.
    pub authorities: Option<PathBuf>,
    /// PEM files with our own certificate chain and its key, where the broker asks for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// A user name and its password, which `Debug` does not show.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password; empty where there is none.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V311,
    /// 5.0.
    V5,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_secret() {
        let at = |host: &str, port, encrypted| Address { host: host.into(), port, encrypted };
        assert_eq!(Address::parse("mqtt://broker.local"), Ok(at("broker.local", 1883, false)));
        assert_eq!(Address::parse("mqtts://10.0.0.7:8884/"), Ok(at("10.0.0.7", 8884, true)));
        assert_eq!(Address::parse("mqtt://[::1]:1"), Ok(at("::1", 1, false)));
        for bad in
            ["", "broker:1883", "http://x", "mqtt://", "mqtt://u:p@x", "mqtt://x/y", "mqtt://x:0x"]
        {
            assert_eq!(Address::parse(bad), Err(BadAddress), "{bad}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let login = Login { user: "u".into(), password: "hunter2".into() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
