//! SQL over HTTP: QuestDB's `/exec`. A question and its rows, or the words of the refusal.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};

use super::config::{Config, Login, Tls};
use super::trouble::Trouble;

/// An answer is at most so long: 20,000 rows of a series are 1.5 MB.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// Letters of a refusal that are told on.
const WORDS_MAX: usize = 300;

/// Asks QuestDB.
#[derive(Debug)]
pub(super) struct Sql {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// What `/exec` says; of it, what is needed.
#[derive(Deserialize)]
struct Said<R> {
    #[serde(default = "Vec::new")]
    dataset: Vec<R>,
}

/// What it says instead.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Sql {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`Trouble::Away`] where the file of authorities cannot be read.
    pub(super) fn new(config: &Config, timeout: Duration) -> Result<Self, Trouble> {
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(timeout));
        if let Some(tls) = &config.tls {
            agent = agent.tls_config(trusting(tls)?);
        }
        let url = format!("{}/exec", config.origin());
        Ok(Self { agent: agent.build().into(), url, authorization: authorization(&config.login) })
    }

    /// The rows of an answer.
    ///
    /// # Errors
    /// [`Trouble::Away`], [`Trouble::Timeout`], [`Trouble::Login`], [`Trouble::Refused`], [`Trouble::Answer`].
    pub(super) fn rows<R: DeserializeOwned>(&self, sql: &str) -> Result<Vec<R>, Trouble> {
        let mut request = self.agent.get(&self.url).query("query", sql).query("nm", "true");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = request.call().map_err(away)?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(away)?;
        match status {
            200 => serde_json::from_slice::<Said<R>>(&body)
                .map(|said| said.dataset)
                .map_err(|error| Trouble::Answer(error.to_string())),
            401 | 403 => Err(Trouble::Login),
            status => match serde_json::from_slice::<Refusal>(&body) {
                Ok(Refusal { error }) => {
                    Err(Trouble::Refused(format!("{status}: {}", shortened(&error))))
                }
                Err(_) if 500 <= status => Err(Trouble::Refused(format!("status {status}"))),
                Err(_) => Err(Trouble::Answer(format!("status {status}"))),
            },
        }
    }

    /// A statement without rows.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub(super) fn done(&self, sql: &str) -> Result<(), Trouble> {
        self.rows::<serde::de::IgnoredAny>(sql).map(drop)
    }
}

/// A text as SQL writes it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn shortened(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}

fn authorization(login: &Login) -> Option<String> {
    match login {
        Login::Open => None,
        Login::Password { user, password } => {
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        }
        Login::Token(token) => Some(format!("Bearer {token}")),
    }
}

/// TLS that trusts whom the system trusts.
#[must_use]
pub fn system_trust() -> TlsConfig {
    trusting_these(
        rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect(),
    )
}

fn trusting(tls: &Tls) -> Result<TlsConfig, Trouble> {
    let unread = |what: &dyn std::fmt::Display| Trouble::Away(format!("authorities: {what}"));
    let Some(path) = &tls.authorities else { return Ok(system_trust()) };
    let pem = std::fs::read(path).map_err(|error| unread(&error))?;
    let roots = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(unread(&error))),
    });
    Ok(trusting_these(roots.collect::<Result<_, _>>()?))
}

fn trusting_these(roots: Vec<Certificate<'static>>) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build()
}

fn away(error: ureq::Error) -> Trouble {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Trouble::Away("no connection in time".to_owned())
        }
        ureq::Error::Timeout(_) => Trouble::Timeout,
        ureq::Error::Protocol(error) => Trouble::Answer(error.to_string()),
        error => Trouble::Away(shortened(&error.to_string())),
    }
}
