//! What all channel URLs have in common: `scheme://user:password@host:port?option=…`. An error never repeats the
//! URL, because a password stands in it.

use percent_encoding::percent_decode_str;

use super::Secret;

/// The channel's URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a URL at all.
    #[error("not a URL ({0}); write {1}")]
    NotAUrl(url::ParseError, &'static str),
    /// Another scheme.
    #[error("`{found}://` is not a way to send this; write {wanted}")]
    Scheme {
        /// What was found.
        found: String,
        /// What would be accepted.
        wanted: &'static str,
    },
    /// No host.
    #[error("the URL names no host; write {0}")]
    NoHost(&'static str),
    /// A user without a password, or the other way round.
    #[error("the URL needs both user and password; write {0}")]
    HalfALogin(&'static str),
    /// An option that does not exist.
    #[error("`{found}` is not an option here; there are {known}")]
    UnknownOption {
        /// What was found.
        found: String,
        /// What would be accepted.
        known: &'static str,
    },
    /// An option with a value that cannot be.
    #[error("option `{option}` cannot be `{found}`; write {wanted}")]
    BadOption {
        /// Which.
        option: &'static str,
        /// What was found.
        found: String,
        /// What would be accepted.
        wanted: &'static str,
    },
    /// A value is longer than the protocol can carry.
    #[error("the {what} is longer than the {longest} characters that the protocol carries")]
    TooLong {
        /// Which value.
        what: &'static str,
        /// What would fit.
        longest: usize,
    },
    /// The sender's address is not one.
    #[error("`{0}` is not an e-mail address")]
    From(String),
    /// A certificate file cannot be used.
    #[error("cannot use the certificate file: {0}")]
    Certificate(String),
}

/// The parts of a channel's URL, decoded.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) login: Option<(String, Secret)>,
    pub(super) options: Vec<(String, String)>,
}

/// Takes a URL apart; `pattern` is what a right one looks like.
pub(super) fn parts(text: &str, pattern: &'static str) -> Result<Parts, BadUrl> {
    let url = url::Url::parse(text).map_err(|why| BadUrl::NotAUrl(why, pattern))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadUrl::NoHost(pattern))?;
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => {
            Some((decoded(user), Secret::new(decoded(password))))
        }
        _ => return Err(BadUrl::HalfALogin(pattern)),
    };
    Ok(Parts {
        scheme: url.scheme().to_owned(),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port(),
        login,
        options: url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Is the host this very machine?
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
