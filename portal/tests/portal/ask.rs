//! One question to the router, and what came back.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use portal::view::View;
use portal::{Settings, Transport};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::fixture::{PASSWORD, province, settings};

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer is problem JSON with this status, and its detail holds `words`.
    pub fn problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].is_string() && problem["title"].is_string());
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
}

#[derive(Clone)]
pub struct Asked {
    router: Router,
}

impl Asked {
    pub fn of(view: Arc<dyn View>, settings: Settings) -> Self {
        let stop = CancellationToken::new();
        Self { router: portal::app(view, settings, Transport::PlainLoopback, stop) }
    }

    /// The province of the fixture.
    pub fn province() -> Self {
        Self::of(Arc::new(province()), settings(false))
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 8 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn get_as(&self, cookie: &str, path: &str) -> Answer {
        let request = Request::get(path).header(header::COOKIE, cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Posts a form as `cookie`.
    pub async fn post(&self, cookie: &str, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Signs in and returns the cookie.
    pub async fn sign_in(&self, name: &str) -> String {
        let password = PASSWORD.replace(' ', "+");
        let answer = self.post("", "/login", &format!("name={name}&password={password}")).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// The form token of a session.
    pub async fn token(&self, cookie: &str) -> String {
        let session = self.get_as(cookie, "/api/v1/session").await.json();
        session["csrf"].as_str().unwrap().to_owned()
    }
}
