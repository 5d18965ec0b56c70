//! Does the SMSC let us in? Connects, binds, asks whether the link lives, unbinds; sends nothing.

use super::SmsConfig;
use super::link::{LinkError, connect};

/// Tries the SMSC out without sending anything.
///
/// # Errors
/// [`LinkError`] says how far it came.
pub async fn probe(config: &SmsConfig) -> Result<(), LinkError> {
    let session = connect(config).await?;
    session.client.enquire_link().await.map_err(LinkError::Protocol)?;
    session.client.unbind().await.map_err(LinkError::Protocol)
}
