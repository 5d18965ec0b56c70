//! `/outbox`: every SMS and e-mail of the demo, as it would look to who gets it, newest first. Only the demo has it: in
//! real life these are people's numbers and letters.

use std::sync::Arc;

use axum::extract::State as Given;
use axum::http::Uri;
use axum::response::Response;
use domain::ChannelKind;
use maud::{Markup, html};

use super::desk::delivery;
use super::{Page, answer, lang_of};
use crate::problem::Problem;
use crate::site::Site;
use crate::view::Told;
use crate::words::Lang;

/// Messages on the page.
const MESSAGES_MAX: usize = 60;

/// `GET /outbox`
pub(crate) async fn outbox(Given(site): Given<Arc<Site>>, uri: Uri) -> Response {
    let lang = lang_of(&uri);
    answer(&site, lang, page(&site, lang).await)
}

async fn page(site: &Site, lang: Lang) -> Result<Markup, Problem> {
    // Nothing here waits; the page is built like its siblings, so that a slow room would be told the same way.
    let told = site.view.notices(MESSAGES_MAX);
    let title = lang.say("Hộp thư đi của bản thử", "The demo's outbox");
    let body = html! {
        h1 { (title) }
        p { (lang.say("Tin nhắn và thư mà hệ thống gửi cho người trực và nông dân. Trang tự mở lại sau 5 giây.", "What the system sends to keepers and farmers. The page asks again every 5 seconds.")) }
        @if told.is_empty() { p.none { (lang.say("Chưa có tin nào. Khi mặn vượt ngưỡng, tin sẽ hiện ở đây.", "No message yet. When salt passes a limit, it shows here.")) } }
        div.outbox { @for one in &told { (message(site, one, lang)) } }
    };
    Ok(Page::new(site, lang, title, "/outbox").refresh(5).show(&body))
}

fn message(site: &Site, told: &Told, lang: Lang) -> Markup {
    let notice = &told.notice;
    let now = site.now();
    let (class, kind) = match notice.channel {
        ChannelKind::Sms => ("sms", "SMS"),
        ChannelKind::Email => ("email", "E-mail"),
    };
    html! {
        article class=(class) {
            header { b { (kind) } " → " (notice.person) " " small { (notice.address) } }
            @if notice.channel == ChannelKind::Email { p.subject { (notice.subject) } }
            p.text { (notice.body) }
            footer {
                time datetime=(notice.made_at) { (lang.clock(notice.made_at, now)) } " · "
                (delivery(&told.delivery, lang, now))
            }
        }
    }
}
