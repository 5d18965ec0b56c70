//! What every answer carries: what a browser may do with it, a tag to ask again by, and a count of it.

use std::time::Instant;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// No script and no style but ours, from files; no frame around us; forms go home only.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The route by which an answer came.
#[derive(Clone, Copy)]
pub(crate) struct Route(pub(crate) &'static str);

/// Tells the browser what it may do with the answer.
pub(crate) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let always = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Ask again each time; where nothing changed the answer is 304 and a few bytes.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

/// Counts and times the answer by its route.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>().map_or("none", |route| route.0);
    let status = response.status().as_str().to_owned();
    metrics::counter!("saltline_http_requests_total", "route" => route, "status" => status)
        .increment(1);
    metrics::histogram!("saltline_http_request_seconds", "route" => route)
        .record(begun.elapsed().as_secs_f64());
    response
}

/// Tags an answer with the hash of its content and leaves the content away where the reader has it. Weak, because
/// gzip changes the bytes and not the meaning. A tag that the answer brought itself stays.
pub(crate) async fn etag(request: Request, next: Next) -> Response {
    let asked = (request.method() == Method::GET)
        .then(|| request.headers().get(header::IF_NONE_MATCH).cloned());
    let response = next.run(request).await;
    let Some(known) = asked else { return response };
    let whole = response.body().size_hint().exact();
    let (Some(bytes), StatusCode::OK) = (whole, response.status()) else { return response };
    if response.headers().get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(content) = to_bytes(body, usize::try_from(bytes).unwrap_or(usize::MAX)).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = parts.headers.get(header::ETAG).cloned().unwrap_or_else(|| tag_of(&content));
    parts.headers.insert(header::ETAG, tag.clone());
    if known.is_some_and(|known| names(&known, &tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        leave_content(&mut parts.headers);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(content))
}

/// A weak tag for this content.
pub(crate) fn tag_of(content: &[u8]) -> HeaderValue {
    let hash = blake3::hash(content).to_hex();
    HeaderValue::from_str(&format!("W/\"{}\"", &hash[..24])).expect("hex and quotes")
}

fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    let bare = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    known.split(',').any(|one| one.trim() == "*" || bare(one) == bare(tag))
}

fn leave_content(headers: &mut HeaderMap) {
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
}
