//! `smtp://user:password@host:port` or `smtps://…`, and who the e-mail is from.
//!
//! `smtp://` to another machine needs STARTTLS; to this machine it is plain. `?tls=required|none` says otherwise,
//! `?ca=FILE` trusts one more authority (PEM), for a server of one's own.

use std::fs;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as Lettre, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, PoolConfig};
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use crate::channels::Secret;
use crate::channels::url::{self, BadUrl};

const PATTERN: &str = "smtp://user:password@host:port or smtps://user:password@host:port";

/// Connections to the mail server at once. One carries about ten e-mails a second to a relay nearby; four empty an
/// outbox of 500 in a quarter of a minute, and stay below the limits per client that relays are known to set (10).
pub const CONNECTIONS_MAX: u32 = 4;

/// An answer to any one SMTP command. RFC 5321 §4.5.3.2 would allow minutes, which a warning does not have; a relay
/// that greylists or scans answers within a quarter of a minute.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// How the connection is kept from eavesdroppers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: only to this machine, or where it is asked for by name.
    None,
    /// STARTTLS, or no e-mail leaves.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

/// A mail server that takes our e-mails. Its `Debug` shows no password.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailConfig {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: Tls,
    /// User and password, if the server wants them.
    pub login: Option<(String, Secret)>,
    /// Who the e-mails are from.
    pub from: Mailbox,
    /// One more authority to trust, in PEM.
    pub authority: Option<Vec<u8>>,
}

impl EmailConfig {
    /// Reads the URL and the sender, as `Saltline <saltline@example.vn>`.
    ///
    /// # Errors
    /// [`BadUrl`], which says what would be accepted.
    pub fn parse(url: &str, from: &str) -> Result<Self, BadUrl> {
        let parts = url::parts(url, PATTERN)?;
        let mut config = Self {
            tls: match parts.scheme.as_str() {
                "smtps" => Tls::Implicit,
                "smtp" if url::is_loopback(&parts.host) => Tls::None,
                "smtp" => Tls::StartTls,
                _ => return Err(BadUrl::Scheme { found: parts.scheme, wanted: PATTERN }),
            },
            port: parts.port.unwrap_or(if parts.scheme == "smtps" { 465 } else { 587 }),
            host: parts.host,
            login: parts.login,
            from: from.parse().map_err(|_| BadUrl::From(from.to_owned()))?,
            authority: None,
        };
        for (option, value) in parts.options {
            config.set(&option, value)?;
        }
        config.lettre_tls()?;
        Ok(config)
    }

    fn set(&mut self, option: &str, value: String) -> Result<(), BadUrl> {
        match (option, value.as_str()) {
            ("tls", "required") if self.tls != Tls::Implicit => self.tls = Tls::StartTls,
            ("tls", "none") if self.tls != Tls::Implicit => self.tls = Tls::None,
            ("tls", "required") => {}
            ("tls", _) => {
                let wanted = "required or none (and smtps:// for TLS from the first byte)";
                return Err(BadUrl::BadOption { option: "tls", found: value, wanted });
            }
            ("ca", path) => {
                let pem = fs::read(path).map_err(|why| BadUrl::Certificate(why.to_string()))?;
                self.authority = Some(pem);
            }
            _ => return Err(BadUrl::UnknownOption { found: option.to_owned(), known: "tls, ca" }),
        }
        Ok(())
    }

    /// The client that keeps its connections.
    pub(super) fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, BadUrl> {
        let builder: AsyncSmtpTransportBuilder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
                .port(self.port)
                .timeout(Some(COMMAND_TIMEOUT))
                .pool_config(PoolConfig::new().max_size(CONNECTIONS_MAX))
                .tls(self.lettre_tls()?);
        Ok(match &self.login {
            Some((user, password)) => builder
                .credentials(Credentials::new(user.clone(), password.reveal().to_owned()))
                .build(),
            None => builder.build(),
        })
    }

    fn lettre_tls(&self) -> Result<Lettre, BadUrl> {
        let certificate =
            |why: lettre::transport::smtp::Error| BadUrl::Certificate(why.to_string());
        let parameters = || {
            let mut builder = TlsParameters::builder(self.host.clone());
            if let Some(pem) = &self.authority {
                let authority = Certificate::from_pem(pem).map_err(certificate)?;
                builder = builder.add_root_certificate(authority);
            }
            builder.build_rustls().map_err(certificate)
        };
        Ok(match self.tls {
            Tls::None => Lettre::None,
            Tls::StartTls => Lettre::Required(parameters()?),
            Tls::Implicit => Lettre::Wrapper(parameters()?),
        })
    }
}
