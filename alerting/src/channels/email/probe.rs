//! Does the mail server let us in? Connects, secures, logs in, says NOOP, sends nothing.

use super::EmailConfig;
use crate::channels::BadUrl;

/// The mail server does not let us in.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The configuration cannot be used.
    #[error("the mail server's configuration cannot be used")]
    Config(#[source] BadUrl),
    /// The server or the way to it said no.
    #[error("the mail server does not let us in")]
    Refused(#[source] lettre::transport::smtp::Error),
    /// It hung up in answer to NOOP.
    #[error("the mail server hung up")]
    HungUp,
}

/// Tries the server out without sending anything.
///
/// # Errors
/// [`ProbeError`] says how far it came.
pub async fn probe(config: &EmailConfig) -> Result<(), ProbeError> {
    let transport = config.transport().map_err(ProbeError::Config)?;
    match transport.test_connection().await.map_err(ProbeError::Refused)? {
        true => Ok(()),
        false => Err(ProbeError::HungUp),
    }
}
