//! Pages for people: drawn on the server, Vietnamese first, whole without script, legible on an old phone and on
//! paper.

pub(crate) mod home; // the province now
pub(crate) mod map; // rivers and stations as a drawing
pub(crate) mod glyph; // a shape for each state
pub(crate) mod station; // one station now and before
pub(crate) mod water; // and how clean its water is
pub(crate) mod chart; // a series as a drawing
pub(crate) mod scale; // where the ticks of an axis stand
pub(crate) mod login; // who are you
pub(crate) mod series; // what people correct of what was measured
pub(crate) mod desk; // open alerts, who was told, an answer
pub(crate) mod outbox; // what the demo would have sent
pub(crate) mod error; // what went wrong, in words

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::words::Lang;

/// What a page is besides its content.
pub(crate) struct Page<'a> {
    pub(crate) site: &'a Site,
    pub(crate) lang: Lang,
    /// Without the product's name.
    pub(crate) title: String,
    /// The address that shows this page, for the link to the other language.
    pub(crate) here: String,
    /// Seconds after which the browser asks again by itself.
    pub(crate) refresh_s: Option<u32>,
    /// The script that enhances what the page holds.
    pub(crate) script: Option<&'static str>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(site: &'a Site, lang: Lang, title: impl Into<String>, here: &str) -> Self {
        let (title, here) = (title.into(), here.to_owned());
        Self { site, lang, title, here, refresh_s: None, script: None }
    }

    pub(crate) fn refresh(self, seconds: u32) -> Self {
        Self { refresh_s: Some(seconds), ..self }
    }

    pub(crate) fn script(self, stem: &'static str) -> Self {
        Self { script: Some(stem), ..self }
    }

    pub(crate) fn show(&self, body: &Markup) -> Markup {
        let lang = self.lang;
        let script = self.script.and_then(|stem| self.site.assets.script(stem));
        html! {
            (DOCTYPE)
            html lang=(lang.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Some(seconds) = self.refresh_s {
                        meta http-equiv="refresh" content=(seconds);
                    }
                    title { (self.title) " · Saltline" }
                    link rel="stylesheet" href=(self.site.assets.style());
                    link rel="icon" href=(ICON);
                    @if let Some(script) = script {
                        script type="module" src=(script) {}
                    }
                }
                body {
                    a.skip href="#main" { (lang.say("Đến nội dung", "Skip to content")) }
                    header.top { (self.bar()) }
                    main #main { (body) }
                    footer { (self.foot()) }
                }
            }
        }
    }

    fn bar(&self) -> Markup {
        let lang = self.lang;
        html! {
            a.brand href=(lang.link("/")) { "Saltline" }
            @if self.site.settings.demo {
                span.demo { (lang.say("bản thử", "demo")) }
            }
            nav aria-label=(lang.say("Chính", "Main")) {
                @if self.site.settings.demo {
                    a href=(lang.link("/outbox")) { (lang.say("Hộp thư đi", "Outbox")) }
                }
                a href=(lang.link("/desk")) { (lang.say("Bàn trực", "Desk")) }
                (self.other_language())
            }
        }
    }

    fn other_language(&self) -> Markup {
        match self.lang {
            Lang::Vi => {
                html! { a href=(Lang::En.link(&self.here)) lang="en" hreflang="en" { "English" } }
            }
            Lang::En => html! { a href=(self.here) lang="vi" hreflang="vi" { "Tiếng Việt" } },
        }
    }

    fn foot(&self) -> Markup {
        let lang = self.lang;
        let now = self.site.now();
        html! {
            p {
                (lang.say("Trang này lúc ", "This page at "))
                time datetime=(now) { (lang.clock(now, now)) ", " (lang.date(now, now)) }
                (lang.say(" giờ Việt Nam. Số đo tự động, chưa kiểm định; ", " Vietnam time. Automatic readings, not validated; "))
                (lang.say("hãy đo lại trước khi lấy nước.", "measure again before you take water."))
                " " a href="/api/v1/latest" { "API" }
            }
        }
    }
}

/// A drop, without a file of its own.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
                    fill='%230b6e7f' d='M8 1c3 4 5 6 5 9a5 5 0 0 1-10 0c0-3 2-5 5-9z'/%3E%3C/svg%3E";

/// The language that the address asks for.
pub(crate) fn lang_of(uri: &Uri) -> Lang {
    Pairs::lenient(uri)
        .ok()
        .and_then(|pairs| pairs.get("lang").map(Lang::parse))
        .unwrap_or_default()
}

/// The page, or the page that says what went wrong.
pub(crate) fn answer(site: &Site, lang: Lang, page: Result<Markup, Problem>) -> Response {
    match page {
        Ok(page) => page.into_response(),
        Err(problem) => error::page(site, lang, &problem),
    }
}

/// A page that no cache keeps: it is somebody's.
pub(crate) fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Go there, with GET.
pub(crate) fn see_other(to: &str) -> Response {
    let place = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}
