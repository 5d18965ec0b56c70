//! What the front door answers on the HTTP port: MQTT over WebSocket at `/mqtt`, and the exchange of a claim code for
//! a station's key. Here is only the HTTP of it; what happens then is the door's and the registry's.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::TokioIo;
use ingest::mqtt::{Attacher, websocket_accept};
use portal::{Beside, Peer, Problem};
use registry::{Claimed, Registry};
use serde::{Deserialize, Serialize};

/// The subprotocols we speak, as section 6 of MQTT 5 and the clients of MQTT 3.1 name them.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// A claim is one short field.
const CLAIM_BYTES_MAX: usize = 1_024;

/// How long a wrong claim waits for its answer, so that guessing is slow.
const WRONG_CLAIM_WAITS: Duration = Duration::from_millis(250);

/// The addresses of the front door.
pub fn addresses(door: Attacher, registry: Registry) -> Vec<Beside> {
    let registry = Arc::new(registry.by("claim"));
    vec![
        Beside {
            path: "/mqtt",
            methods: get(move |request: Request| {
                let door = door.clone();
                async move { websocket(&door, request) }
            }),
        },
        Beside {
            path: "/api/v1/claim",
            methods: post(move |request: Request| {
                let registry = Arc::clone(&registry);
                async move { claim(&registry, request).await }
            }),
        },
    ]
}

/// `GET /mqtt`: the handshake of RFC 6455, section 4.2, then the socket is the door's.
fn websocket(door: &Attacher, mut request: Request) -> Response {
    let (accept, subprotocol) = match agree(request.headers()) {
        Ok(agreed) => agreed,
        Err(refused) => return refused,
    };
    let Some(&Peer(address)) = request.extensions().get::<Peer>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let same_origin = is_same_origin(request.headers());
    let upgrade = hyper::upgrade::on(&mut request);
    let stream = async move { upgrade.await.ok().map(TokioIo::new) };
    if door.attach(stream, address, same_origin).is_err() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Problem::later(status, "the front door takes nobody in now", 5).into_response();
    }
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    response
}

/// What is agreed on: the proof that we read the key, and the subprotocol.
fn agree(headers: &HeaderMap) -> Result<(HeaderValue, &'static str), Response> {
    let says = |name, word: &str| words(headers, name).any(|it| it.eq_ignore_ascii_case(word));
    let refused = |why: &str| {
        let title = "this is not a WebSocket handshake for MQTT";
        Problem::new(StatusCode::BAD_REQUEST, "bad-upgrade", title, why).into_response()
    };
    if !says(header::CONNECTION, "upgrade") || !says(header::UPGRADE, "websocket") {
        return Err(refused("connect with a WebSocket client, subprotocol mqtt"));
    }
    if !says(header::SEC_WEBSOCKET_VERSION, "13") {
        let mut refused = refused("the version of WebSocket is 13");
        *refused.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let version = HeaderValue::from_static("13");
        refused.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
        return Err(refused);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let accept = key.map(websocket_accept).and_then(|accept| HeaderValue::from_str(&accept).ok());
    let accept = accept.ok_or_else(|| refused("there is no Sec-WebSocket-Key"))?;
    let ours = |asked: &str| SUBPROTOCOLS.into_iter().find(|ours| *ours == asked);
    let subprotocol = words(headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(ours);
    Ok((accept, subprotocol.ok_or_else(|| refused("the subprotocol is mqtt or mqttv3.1"))?))
}

/// The words of a header that is a list.
fn words(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// A page of somebody else's says so in `Origin`; a program says nothing.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((from, host), (Some((_, from)), Some(host)) if from == host)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    claim: String,
}

#[derive(Serialize)]
struct Key<'a> {
    code: &'a str,
    key: &'a str,
}

/// `POST /api/v1/claim` with `{"claim": "claim-…"}`.
async fn claim(registry: &Registry, request: Request) -> Response {
    let said = match read(request.into_body()).await {
        Ok(said) => said,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match registry.claim(&said.claim).await {
        Ok(Claimed::Key(station, key)) => {
            tracing::info!(%station, "claimed over HTTP");
            axum::Json(Key { code: station.as_str(), key: key.reveal() }).into_response()
        }
        Ok(Claimed::No) => {
            tokio::time::sleep(WRONG_CLAIM_WAITS).await;
            Problem::forbidden("there is no such claim code, it was used, or its time is over")
                .into_response()
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a claim failed");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::later(status, "the registry cannot be read now", 5).into_response()
        }
    };
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

async fn read(body: Body) -> Result<Claim, Problem> {
    let title = "the claim cannot be read";
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, "bad-body", title, why);
    let bytes = to_bytes(body, CLAIM_BYTES_MAX).await.map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("write {{\"claim\": \"claim-…\"}}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    const GOOD: [(&str, &str); 5] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        // RFC 6455, section 1.3.
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat, mqttv3.1, mqtt"),
    ];

    #[test]
    fn a_handshake_is_agreed_on_as_rfc_6455_shows_it() {
        let (accept, subprotocol) = agree(&headers(&GOOD)).ok().unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(subprotocol, "mqttv3.1");
    }

    #[test]
    fn a_handshake_with_a_part_missing_is_refused() {
        for missing in 0..GOOD.len() {
            let mut lines = GOOD.to_vec();
            let (name, _) = lines.remove(missing);
            let status = agree(&headers(&lines)).err().unwrap().status();
            let wanted = if name == "sec-websocket-version" { 426 } else { 400 };
            assert_eq!(status, wanted, "{name}");
        }
    }

    #[test]
    fn a_page_of_somebody_elses_is_not_of_our_origin() {
        let origin = |lines| is_same_origin(&headers(lines));
        assert!(origin(&[("host", "127.0.0.1:8080")]));
        assert!(origin(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")]));
        assert!(!origin(&[("host", "127.0.0.1:8080"), ("origin", "https://evil.example")]));
        assert!(!origin(&[("host", "127.0.0.1:8080"), ("origin", "null")]));
    }
}
