//! An error as the API says it: RFC 9457 problem JSON, with words that tell the reader what would have been right.

use std::error::Error;
use std::fmt::Write as _;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::view::Trouble;

/// What went wrong with a request. Becomes `application/problem+json`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, kind, title, detail: detail.into(), retry_after_s: None }
    }

    /// A query that cannot be understood.
    #[must_use]
    pub fn bad_query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-query", "the query cannot be understood", detail)
    }

    /// Nothing stands at this address.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no such thing", detail)
    }

    /// Who are you?
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "sign in at /login; the session cookie is what is asked for here";
        Self::new(StatusCode::UNAUTHORIZED, "sign-in", "sign in first", detail)
    }

    /// You may not.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not allowed", detail)
    }

    /// Too often, or too many at once.
    #[must_use]
    pub fn later(status: StatusCode, detail: impl Into<String>, retry_after_s: u64) -> Self {
        let problem = Self::new(status, "later", "try again later", detail);
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// How long to wait, where waiting helps.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }
}

/// The cause goes to the log, with its whole chain, once; the reader is told which room is away.
impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let mut chain = trouble.to_string();
        let mut next = trouble.source();
        while let Some(source) = next {
            write!(chain, ": {source}").expect("writing to a string does not fail");
            next = source.source();
        }
        tracing::error!(error = %chain, "a request could not be answered");
        metrics::counter!("saltline_http_trouble_total").increment(1);
        Self::later(StatusCode::SERVICE_UNAVAILABLE, trouble.to_string(), 5)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:saltline:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}
