//! What went wrong, in words: as a page for people, as problem JSON below `/api/`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maud::html;

use super::{Page, lang_of};
use crate::problem::Problem;
use crate::site::Site;
use crate::words::Lang;

/// Nothing stands at this address.
pub(crate) async fn nothing_here(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    say(&site, &uri, Problem::not_found("nothing stands at this address"))
}

/// Something stands here, but not for this method.
pub(crate) async fn not_this_way(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let title = "this address does not take this method";
    say(
        &site,
        &uri,
        Problem::new(status, "method", title, "the header `allow` lists what it takes"),
    )
}

fn say(site: &Site, uri: &Uri, problem: Problem) -> Response {
    if uri.path().starts_with("/api/") {
        return problem.into_response();
    }
    page(site, lang_of(uri), &problem)
}

/// A problem as a page.
pub(crate) fn page(site: &Site, lang: Lang, problem: &Problem) -> Response {
    let status = problem.status();
    let title = title(status, lang);
    let body = html! {
        h1 { (title) }
        p { (advice(status, lang)) }
        p.detail { (problem.detail()) }
        p { a href=(lang.link("/")) { (lang.say("Về trang đầu", "Back to the first page")) } }
    };
    let shown = Page::new(site, lang, title, "/").show(&body);
    let mut response = (status, shown).into_response();
    if let Some(wait) = problem.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    super::private(response)
}

fn title(status: StatusCode, lang: Lang) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => lang.say("Không tìm thấy", "Not found"),
        StatusCode::FORBIDDEN => lang.say("Không được phép", "Not allowed"),
        StatusCode::BAD_REQUEST => lang.say("Yêu cầu không hiểu được", "The request is unclear"),
        StatusCode::TOO_MANY_REQUESTS => lang.say("Thử quá nhiều lần", "Too many tries"),
        _ => lang.say("Chưa trả lời được", "No answer right now"),
    }
}

fn advice(status: StatusCode, lang: Lang) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            lang.say("Địa chỉ này không có trang nào.", "There is no page here.")
        }
        StatusCode::FORBIDDEN => lang.say(
            "Mở lại trang rồi thử lần nữa, hoặc đăng nhập bằng tài khoản có quyền.",
            "Open the page again and retry, or sign in with an account that may do this.",
        ),
        StatusCode::BAD_REQUEST => lang.say("Hãy xem lại địa chỉ.", "Please check the address."),
        _ => lang.say("Xin chờ một lát rồi thử lại.", "Please wait a moment and try again."),
    }
}
