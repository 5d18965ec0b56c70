//! The one act that the portal passes on: somebody answers an alert. From the page and from the API it is the same.

use std::sync::Arc;

use axum::http::StatusCode;
use domain::{Alert, AlertId};

use crate::problem::Problem;
use crate::session::Signed;
use crate::site::Site;

/// Letters of a note: what fits on the desk and into the ledger without a second thought.
pub const NOTE_CHARS_MAX: usize = 500;

/// Records that `signed` answers the alert; `None` when there is no such alert.
pub(crate) async fn acknowledge(
    site: &Site,
    signed: &Signed,
    id: &AlertId,
    note: &str,
) -> Result<Option<Arc<Alert>>, Problem> {
    let note = note.trim();
    if NOTE_CHARS_MAX < note.chars().count() {
        let detail = format!("the note is longer than {NOTE_CHARS_MAX} letters");
        let title = "the note is too long";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-body", title, detail));
    }
    let Some(before) = site.view.alert(id) else { return Ok(None) };
    let user = &signed.user.name;
    let alert = site.view.acknowledge(id, user, note).await?;
    if let Some(alert) = &alert {
        let act = format!("acknowledge alert {id}");
        let (before, after) = (before.state.as_str(), alert.state.as_str());
        site.view.audit(site.now(), user, &act, before, after).await?;
        tracing::info!(alert = %id, by = user, "an alert was acknowledged");
    }
    Ok(alert)
}
