//! Stations that push over HTTP: `POST /api/v1/stations/{code}/readings` in every format that has a content type, and
//! line protocol at `/write` and `/api/v2/write`. 202 and 204 leave after fsync, as PUBACK does.

mod again; // a push that comes twice
mod body; // what of a request is a body
mod pace; // how much one station may push

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::{Refusal, Station};
use ingest::mqtt::{Denied, Entry, Gatekeeper};
use ingest::{Batch, Body, Came, Format, Intake, Pass, Precision, Proof, Shape, Way};
use portal::{Beside, Problem};
use registry::Registry;
use serde::Serialize;

use again::{Again, Remembered};
use pace::Pace;

/// How long a wrong key waits for its answer, so that guessing is slow.
const WRONG_KEY_WAITS: Duration = Duration::from_millis(250);

/// How long a push waits for the disk: shorter than the time within which every request is answered, so that the sender
/// hears why.
const DURABLE_WITHIN: Duration = Duration::from_secs(8);

/// Refused lines that an answer names; the others are counted in it, and all are with the dead letters.
const NAMED_MAX: usize = 100;

/// What the handlers share.
struct Push {
    intake: Intake,
    registry: Registry,
    pace: Pace,
    again: Again,
}

/// Who pushes: a station by its key.
struct Caller<'a> {
    code: &'a str,
    key: &'a str,
}

/// What a push brought, as its answer says it.
#[derive(Serialize, Clone)]
struct Said {
    /// Reports of which readings are on disk.
    stored: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedLine>,
    #[serde(skip_serializing_if = "is_zero")]
    more_refused: usize,
}

#[derive(Serialize, Clone)]
struct RefusedLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    reason: &'static str,
    detail: String,
}

/// [`Said`] as RFC 9457 wants it, and with the words that clients of InfluxDB look for.
#[derive(Serialize)]
struct Partly<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    message: &'a str,
    error: &'a str,
    #[serde(flatten)]
    said: &'a Said,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The addresses of pushes.
pub fn addresses(intake: &Intake, registry: &Registry) -> Vec<Beside> {
    let (intake, registry) = (intake.clone(), registry.clone());
    let push = Push { intake, registry, pace: Pace::default(), again: Again::default() };
    let push = Arc::new(push);
    let lines = |push: &Arc<Push>| {
        let push = Arc::clone(push);
        post(move |request: Request| async move {
            answer(push.write(request).await, StatusCode::NO_CONTENT)
        })
    };
    vec![
        Beside { path: "/write", methods: lines(&push) },
        Beside { path: "/api/v2/write", methods: lines(&push) },
        Beside {
            path: "/api/v1/stations/{code}/readings",
            methods: post(move |Path(code): Path<String>, request: Request| async move {
                answer(push.readings(&code, request).await, StatusCode::ACCEPTED)
            }),
        },
    ]
}

fn answer(outcome: Result<Remembered, Problem>, good: StatusCode) -> Response {
    match outcome {
        Ok(Remembered { said, again }) => {
            let mut response = match (said.refused.is_empty(), good) {
                (false, _) => partly(&said),
                (true, StatusCode::NO_CONTENT) => good.into_response(),
                (true, _) => (good, axum::Json(&said)).into_response(),
            };
            if again {
                let yes = header::HeaderValue::from_static("true");
                response.headers_mut().insert("idempotency-replayed", yes);
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

fn partly(said: &Said) -> Response {
    let first = said.refused.first();
    let detail = match first {
        Some(RefusedLine { line: Some(line), detail, .. }) => format!("line {line}: {detail}"),
        Some(RefusedLine { detail, .. }) => detail.clone(),
        None => String::new(),
    };
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let body = Partly {
        r#type: "urn:saltline:problem:refused",
        title: "not everything is believed; what is refused is kept with the dead letters",
        status: status.as_u16(),
        detail: &detail,
        code: "invalid",
        message: &detail,
        error: &detail,
        said,
    };
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    match serde_json::to_vec(&body) {
        Ok(body) => (status, kind, body).into_response(),
        Err(_) => status.into_response(),
    }
}

impl Push {
    /// `POST /api/v1/stations/{code}/readings`
    async fn readings(&self, code: &str, request: Request) -> Result<Remembered, Problem> {
        let (head, body) = request.into_parts();
        let (given, key) = credentials(&head.headers)?;
        if given.as_deref().is_some_and(|given| given != code) {
            return Err(Problem::forbidden("the key is another station's"));
        }
        let station = self.let_in(&Caller { code, key: &key }).await?;
        let said = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let told = said.and_then(Shape::of_content_type);
        let shape = told.or_else(|| untold(said, &station)).ok_or_else(|| {
            let title = "this content type is not read here";
            let detail = "write application/json, application/x-ndjson, application/senml+json, \
                application/senml+cbor, text/csv, text/tab-separated-values (Circular 10/2021), or \
                application/vnd.influx.line-protocol";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", title, detail)
        })?;
        let topic = told.is_none().then(|| format!("stations/{code}/readings"));
        self.take(station, (shape, topic.as_deref()), &head.headers, body).await
    }

    /// `POST /write` and `POST /api/v2/write`
    async fn write(&self, request: Request) -> Result<Remembered, Problem> {
        let (head, body) = request.into_parts();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes())
                .into_owned()
                .collect();
        let asked =
            |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let precision = match asked("precision") {
            None => Precision::default(),
            Some(text) => Precision::parse(text)
                .ok_or_else(|| Problem::bad_query("precision is one of ns, us, ms, s"))?,
        };
        let (given, key) = match credentials(&head.headers) {
            Ok(credentials) => credentials,
            Err(problem) => match (asked("u"), asked("p")) {
                (Some(user), Some(password)) => (Some(user.to_owned()), password.to_owned()),
                _ => return Err(problem),
            },
        };
        let code = given.as_deref().or_else(|| asked("bucket")).or_else(|| asked("db"));
        let code = code.ok_or_else(|| {
            Problem::bad_query("name the station as the bucket, as the db, or before the key")
        })?;
        let station = self.let_in(&Caller { code, key: &key }).await?;
        let shape = Shape { precision, ..Format::LineProtocol.into() };
        self.take(station, (shape, None), &head.headers, body).await
    }

    /// The station, if the key is its own.
    async fn let_in(&self, caller: &Caller<'_>) -> Result<Arc<Station>, Problem> {
        let wrong = || {
            let title = "who is this?";
            let detail = "send the station's key: Authorization: Bearer KEY";
            Problem::new(StatusCode::UNAUTHORIZED, "wrong-key", title, detail)
        };
        match Gatekeeper::login(&self.registry, caller.code, caller.key.as_bytes()).await {
            Ok(admission) => match admission.entry {
                Entry::Station(station) => Ok(station),
                Entry::Guest { .. } => {
                    Err(Problem::forbidden("a token does not speak in a station's name"))
                }
            },
            Err(Denied::Disabled) => Err(Problem::forbidden("this station is disabled")),
            Err(Denied::Unavailable) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Err(Problem::later(status, "the registry cannot be read now", 5))
            }
            Err(Denied::WrongKey) => {
                metrics::counter!("saltline_push_refused_total", "reason" => "wrong_key")
                    .increment(1);
                tokio::time::sleep(WRONG_KEY_WAITS).await;
                Err(wrong())
            }
        }
    }

    async fn take(
        &self,
        station: Arc<Station>,
        (shape, topic): (Shape, Option<&str>),
        headers: &HeaderMap,
        body: axum::body::Body,
    ) -> Result<Remembered, Problem> {
        let payload = body::read(headers, body).await?;
        if let Err(wait) = self.pace.spend(&station.code, payload.len(), Instant::now()) {
            metrics::counter!("saltline_push_refused_total", "reason" => "too_fast").increment(1);
            let detail = "this station pushes more than it may";
            let seconds = wait.as_secs() + 1;
            return Err(Problem::later(StatusCode::TOO_MANY_REQUESTS, detail, seconds));
        }
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        let place = match key {
            Some(key) => match self.again.begin(&station.code, key, &payload, Instant::now())? {
                again::Found::Before(remembered) => return Ok(remembered),
                again::Found::First(place) => Some(place),
            },
            None => None,
        };
        let pass = Pass { station };
        let mut batch = Batch::default();
        let whose = |name: Option<&str>| pass.speaks_of(name);
        let came = Came { shape, way: Way::Http, topic, retained: false };
        let taken = self.intake.take_body(Some(&pass), whose, came, &payload, &mut batch);
        match tokio::time::timeout(DURABLE_WITHIN, self.intake.commit(batch)).await {
            Ok(Ok(proof)) => {
                let said = said(&taken, &proof);
                metrics::counter!("saltline_push_total", "format" => shape.format.as_str())
                    .increment(1);
                if let Some(place) = place {
                    place.remember(said.clone());
                }
                Ok(Remembered { said, again: false })
            }
            Ok(Err(error)) => {
                tracing::error!(%error, station = %pass.station.code, "a push cannot be kept");
                Err(unkept("the disk failed; nothing of this was acknowledged"))
            }
            Err(_) => Err(unkept("the disk takes nothing now; push again later")),
        }
    }
}

fn unkept(detail: &'static str) -> Problem {
    metrics::counter!("saltline_push_refused_total", "reason" => "not_durable").increment(1);
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 10)
}

/// What a body is whose content type does not tell it: what the station's profile says, or a report of ours where there
/// is no content type at all.
fn untold(said: Option<&str>, station: &Station) -> Option<Shape> {
    let format = match (said, station.profile.format) {
        (Some(said), _) if !Shape::is_untold(said) => None,
        (None, None) => Some(Format::Json),
        (_, format) => format,
    };
    format.map(Shape::from)
}

/// What may be told. The proof is what makes it true.
fn said(body: &Body, _: &Proof) -> Said {
    let line = |(line, refusal): &(Option<u64>, Refusal)| RefusedLine {
        line: *line,
        reason: refusal.reason.as_str(),
        detail: refusal.detail.clone(),
    };
    Said {
        stored: body.stored,
        refused: body.refused.iter().take(NAMED_MAX).map(line).collect(),
        more_refused: body.refused.len().saturating_sub(NAMED_MAX),
    }
}

/// The key in `Authorization`, and the station's code where it stands there too: `Bearer KEY`, `Token KEY`,
/// `Token CODE:KEY` as InfluxDB 1.8 has it, or Basic.
fn credentials(headers: &HeaderMap) -> Result<(Option<String>, String), Problem> {
    let missing = || {
        let title = "who is this?";
        let detail = "send the station's key: Authorization: Bearer KEY";
        Problem::new(StatusCode::UNAUTHORIZED, "no-key", title, detail)
    };
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, rest) = text.and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let pair = |text: &str| match text.split_once(':') {
        Some((code, key)) => (Some(code.to_owned()), key.to_owned()),
        None => (None, text.to_owned()),
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Ok(pair(rest.trim())),
        "basic" => {
            let decoded = BASE64.decode(rest.trim()).ok().and_then(|it| String::from_utf8(it).ok());
            Ok(pair(&decoded.ok_or_else(missing)?))
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_form_that_clients_send() {
        for (text, code, key) in [
            ("Bearer k-1", None, "k-1"),
            ("token k-1", None, "k-1"),
            ("Token xuan-hoa:k-1", Some("xuan-hoa"), "k-1"),
            ("Basic eHVhbi1ob2E6ay0x", Some("xuan-hoa"), "k-1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            let found = credentials(&headers).unwrap();
            assert_eq!((found.0.as_deref(), found.1.as_str()), (code, key), "{text}");
        }
        for text in ["k-1", "Digest x", "Basic !", "Basic /w=="] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            assert_eq!(credentials(&headers).unwrap_err().status(), StatusCode::UNAUTHORIZED);
        }
        assert!(credentials(&HeaderMap::new()).is_err());
    }
}
