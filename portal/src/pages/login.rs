//! `/login`, `/logout`: who are you. A wrong name and a wrong password get the same answer in the same time, and who
//! tries too often waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Request, State as Given};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, extract::FromRequest};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, answer, lang_of, private, see_other};
use crate::problem::Problem;
use crate::session::{Signed, own_site, peer, refuse};
use crate::site::Site;
use crate::words::Lang;

/// How long a password may wait for its turn to be checked.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Longer is no name and no password of ours; argon2 is not fed with it.
const FIELD_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    lang: String,
}

/// `GET /login`
pub(crate) async fn form(Given(site): Given<Arc<Site>>, uri: Uri) -> Response {
    let lang = lang_of(&uri);
    private(page(&site, lang, None).into_response())
}

/// `POST /login`
pub(crate) async fn sign_in(Given(site): Given<Arc<Site>>, request: Request) -> Response {
    let (address, headers) = (peer(&request), request.headers().clone());
    let (given, lang) = match read(request).await {
        Ok(given) => {
            let lang = Lang::parse(&given.lang);
            (given, lang)
        }
        Err(problem) => return super::error::page(&site, Lang::Vi, &problem),
    };
    match try_sign_in(&site, &headers, address, &given).await {
        Ok(Some(cookie)) => {
            let mut response = see_other(&lang.link("/desk"));
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            private(response)
        }
        Ok(None) => {
            let wrong = lang.say("Tên hoặc mật khẩu không đúng.", "Name or password is wrong.");
            private((StatusCode::UNAUTHORIZED, page(&site, lang, Some(wrong))).into_response())
        }
        Err(problem) => super::error::page(&site, lang, &problem),
    }
}

async fn read(request: Request) -> Result<Credentials, Problem> {
    let form: Result<Form<Credentials>, FormRejection> =
        Form::from_request(request.with_limited_body(), &()).await;
    form.map(|Form(given)| given).map_err(|bad| {
        Problem::new(bad.status(), "bad-body", "the form cannot be read", bad.to_string())
    })
}

/// The cookie of a new session; `None` where name and password do not belong together.
async fn try_sign_in(
    site: &Site,
    headers: &HeaderMap,
    address: std::net::IpAddr,
    given: &Credentials,
) -> Result<Option<axum::http::HeaderValue>, Problem> {
    own_site(headers)?;
    if let Some(wait) = site.limiter.wait(address, &given.name, Instant::now()) {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let problem = Problem::later(status, "too many failed tries", wait.as_secs() + 1);
        return Err(refuse("too_often", problem));
    }
    let short = given.name.len() <= FIELD_BYTES_MAX && given.password.len() <= FIELD_BYTES_MAX;
    let user = if short { check(site, given).await? } else { None };
    let Some(user) = user else {
        site.limiter.failed(address, &given.name, Instant::now());
        let problem = Problem::unauthorized();
        drop(refuse("wrong_password", problem));
        return Ok(None);
    };
    // Whoever was signed in with this browser before no longer is.
    if let Some(before) = Signed::from_headers(site, headers).await? {
        before.end(site).await?;
    }
    let cookie = Signed::begin(site, &user).await?;
    site.view.audit(site.now(), &user.name, "sign in", "", &address.to_string()).await?;
    tracing::info!(user = user.name, role = user.role.as_str(), "signed in");
    Ok(Some(cookie))
}

async fn check(site: &Site, given: &Credentials) -> Result<Option<crate::view::User>, Problem> {
    let turn = tokio::time::timeout(TURN_WITHIN, site.passwords.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let detail = "too many passwords are being checked";
        let problem = Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 5);
        return Err(refuse("busy", problem));
    };
    Ok(site.view.sign_in(&given.name, &given.password).await?)
}

#[derive(Deserialize)]
pub(crate) struct Out {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    lang: String,
}

/// `POST /logout`
pub(crate) async fn sign_out(
    Given(site): Given<Arc<Site>>,
    headers: HeaderMap,
    Form(out): Form<Out>,
) -> Response {
    let lang = Lang::parse(&out.lang);
    let done = async {
        own_site(&headers)?;
        let Some(signed) = Signed::from_headers(&site, &headers).await? else { return Ok(None) };
        signed.own_form(&out.csrf)?;
        Ok::<_, Problem>(Some(signed.end(&site).await?))
    };
    match done.await {
        Ok(cookie) => {
            let mut response = see_other(&lang.link("/"));
            if let Some(cookie) = cookie {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            private(response)
        }
        Err(problem) => answer(&site, lang, Err(problem)),
    }
}

fn page(site: &Site, lang: Lang, wrong: Option<&str>) -> Markup {
    let title = lang.say("Đăng nhập", "Sign in");
    let body = html! {
        h1 { (title) }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        form.login method="post" action="/login" {
            input type="hidden" name="lang" value=(lang.tag());
            label for="name" { (lang.say("Tên", "Name")) }
            input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required;
            label for="password" { (lang.say("Mật khẩu", "Password")) }
            input #password name="password" type="password" autocomplete="current-password" maxlength="200" required;
            button type="submit" { (title) }
        }
        p { (lang.say("Các trang công khai không cần đăng nhập.", "Public pages need no account.")) }
    };
    Page::new(site, lang, title, "/login").show(&body)
}
