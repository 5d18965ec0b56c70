//! `smpp://system_id:password@host:port?source=SALTLINE`.
//!
//! Options: `source` (a brand name of up to 11 letters and digits, or a number), `concat=udh|sar` (how the parts of
//! a long text are marked), `window` (messages that may stand unanswered), `system_type`.

use std::time::Duration;

use crate::channels::Secret;
use crate::channels::url::{self, BadUrl};

const PATTERN: &str = "smpp://system_id:password@host:port";

/// Messages that may stand unanswered at once. An SMSC across the country answers in 20 to 50 ms, so ten in flight
/// are 200 to 500 a second, above what a contract allows; carriers are known to set 10.
pub const WINDOW: usize = 10;

/// The SMSC's side of a window is rarely above 100.
const WINDOW_MAX: usize = 100;

/// Who an SMS is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The SMSC puts its own.
    Unset,
    /// A registered brand name (type of number 5).
    Name(String),
    /// A number in E.164 without its plus (type of number 1).
    International(String),
    /// A short code or a national number (type of number 0).
    Short(String),
}

/// How the parts of a long text are marked as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concatenation {
    /// A user data header in the text's own octets (3GPP TS 23.040 §9.2.3.24.1): understood everywhere.
    Udh,
    /// The `sar_*` parameters of SMPP: the SMSC writes the header.
    Sar,
}

/// An SMSC that takes our SMS. Its `Debug` shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsConfig {
    /// The SMSC.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our name there.
    pub system_id: String,
    /// And our password.
    pub password: Secret,
    /// What kind of client we are, where the SMSC asks.
    pub system_type: String,
    /// Who the SMS are from.
    pub source: Source,
    /// How long texts are put together.
    pub concatenation: Concatenation,
    /// Messages that may stand unanswered.
    pub window: usize,
    /// A line that is quiet for so long is asked whether it lives (`enquire_link`).
    pub enquire_every: Duration,
    /// The answer to one request, bind and submit alike; without it the connection counts as dead.
    pub answer_within: Duration,
    /// The longest pause between two attempts to connect.
    pub reconnect_longest: Duration,
}

impl SmsConfig {
    /// Reads the URL.
    ///
    /// # Errors
    /// [`BadUrl`], which says what would be accepted.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let parts = url::parts(url, PATTERN)?;
        if parts.scheme != "smpp" {
            return Err(BadUrl::Scheme { found: parts.scheme, wanted: PATTERN });
        }
        let (system_id, password) = parts.login.ok_or(BadUrl::HalfALogin(PATTERN))?;
        // SMPP 3.4 §4.1.1 in octets, each with its closing zero.
        fits("system_id", &system_id, 15)?;
        fits("password", password.reveal(), 8)?;
        let mut config = Self {
            host: parts.host,
            port: parts.port.unwrap_or(2775),
            system_id,
            password,
            system_type: String::new(),
            source: Source::Unset,
            concatenation: Concatenation::Udh,
            window: WINDOW,
            enquire_every: Duration::from_secs(30),
            answer_within: Duration::from_secs(10),
            reconnect_longest: Duration::from_secs(30),
        };
        for (option, value) in parts.options {
            config.set(&option, value)?;
        }
        Ok(config)
    }

    fn set(&mut self, option: &str, value: String) -> Result<(), BadUrl> {
        match option {
            "source" => self.source = source(value)?,
            "system_type" => {
                fits("system_type", &value, 12)?;
                self.system_type = value;
            }
            "window" => {
                let found = value.parse().ok().filter(|n| (1..=WINDOW_MAX).contains(n));
                let wanted = "1 to 100";
                self.window =
                    found.ok_or(BadUrl::BadOption { option: "window", found: value, wanted })?;
            }
            "concat" => {
                self.concatenation = match value.as_str() {
                    "udh" => Concatenation::Udh,
                    "sar" => Concatenation::Sar,
                    _ => {
                        let wanted = "udh or sar";
                        return Err(BadUrl::BadOption { option: "concat", found: value, wanted });
                    }
                }
            }
            _ => {
                let known = "source, system_type, window, concat";
                return Err(BadUrl::UnknownOption { found: option.to_owned(), known });
            }
        }
        Ok(())
    }
}

fn source(value: String) -> Result<Source, BadUrl> {
    // A plus in a query is a space unless it was written as %2B; both are meant as a plus.
    let digits = value.trim_start_matches([' ', '+']);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_name = value.len() <= 11
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    match (is_number, is_name) {
        (true, _) if digits.len() < value.len() && digits.len() <= 15 => {
            Ok(Source::International(digits.to_owned()))
        }
        (true, _) if digits.len() <= 15 => Ok(Source::Short(digits.to_owned())),
        (false, true) if !value.is_empty() => Ok(Source::Name(value)),
        _ => Err(BadUrl::BadOption {
            option: "source",
            found: value,
            wanted: "a brand name of up to 11 letters and digits, +84901234567 or a short code",
        }),
    }
}

fn fits(what: &'static str, value: &str, longest: usize) -> Result<(), BadUrl> {
    if longest < value.len() { Err(BadUrl::TooLong { what, longest }) } else { Ok(()) }
}
