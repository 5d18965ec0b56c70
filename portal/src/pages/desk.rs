//! `/desk`: for those on duty. Open alerts with everything that happened to them, who was told what and when, and an
//! answer. It works without script: the page asks again by itself.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, State as Given};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use domain::{Alert, AlertEvent, AlertId, AlertState, EventKind, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::glyph::badge;
use super::{Page, answer, lang_of, private, see_other};
use crate::api::Segment;
use crate::desk::{self, NOTE_CHARS_MAX};
use crate::problem::Problem;
use crate::session::{Signed, own_site};
use crate::site::Site;
use crate::state::State;
use crate::view::{Book, Delivery, Role, Told};
use crate::words::Lang;

/// Seconds after which the page asks again: long enough to write a note, which asking again throws away.
const DESK_REFRESH_S: u32 = 120;

/// Alerts that are not cleared, on one page.
const OPEN_MAX: usize = 50;

/// Cleared ones below them.
const CLEARED_MAX: usize = 20;

/// Notices looked through for the alerts on the page.
const NOTICES_MAX: usize = 1_000;

/// Notices told for one alert.
const NOTICES_EACH_MAX: usize = 30;

/// `GET /desk`
pub(crate) async fn desk(Given(site): Given<Arc<Site>>, headers: HeaderMap, uri: Uri) -> Response {
    let lang = lang_of(&uri);
    let page = match Signed::from_headers(&site, &headers).await {
        Ok(None) => return private(see_other(&lang.link("/login"))),
        Ok(Some(signed)) => page(&site, lang, &signed).await,
        Err(trouble) => Err(trouble.into()),
    };
    private(answer(&site, lang, page))
}

#[derive(Deserialize)]
pub(crate) struct Ack {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    lang: String,
}

/// `POST /desk/alerts/{id}/ack`
pub(crate) async fn acknowledge(
    Given(site): Given<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
    Form(ack): Form<Ack>,
) -> Response {
    let lang = Lang::parse(&ack.lang);
    let done = async {
        own_site(&headers)?;
        let Some(signed) = Signed::from_headers(&site, &headers).await? else { return Ok(None) };
        signed.own_form(&ack.csrf)?;
        signed.may(Role::Operator)?;
        let alert = desk::acknowledge(&site, &signed, &AlertId::from_text(&id), &ack.note).await?;
        alert.map(Some).ok_or_else(|| Problem::not_found("no alert has this id"))
    };
    private(match done.await {
        Ok(None) => see_other(&lang.link("/login")),
        Ok(Some(_)) => see_other(&lang.link("/desk")),
        Err(problem) => answer(&site, lang, Err(problem)),
    })
}

async fn page(site: &Site, lang: Lang, signed: &Signed) -> Result<Markup, Problem> {
    signed.may(Role::Operator)?;
    let book = site.view.book().await?;
    let alerts = site.view.alerts();
    let (cleared, open): (Vec<&Arc<Alert>>, Vec<&Arc<Alert>>) =
        alerts.iter().partition(|alert| alert.state == AlertState::Cleared);
    let notices = site.view.notices(NOTICES_MAX);
    let mut told: HashMap<&AlertId, Vec<&Told>> = HashMap::new();
    for one in &notices {
        told.entry(&one.notice.alert).or_default().push(one);
    }
    let told = |alert: &Alert| told.get(&alert.id).map_or(&[][..], Vec::as_slice);
    let desk = Desk { book: &book, lang, now: site.now(), signed };
    let title = lang.say("Bàn trực", "Desk");
    let body = html! {
        h1 { (title) }
        (desk.who())
        p { a href=(lang.link("/admin/series")) { (lang.say("Hiệu chỉnh số liệu", "Corrections")) } }
        h2 { (lang.say("Đang mở", "Open")) " (" (open.len()) ")" }
        @if open.is_empty() { p { (lang.say("Không có cảnh báo nào đang mở.", "No alert is open.")) } }
        @for alert in open.iter().take(OPEN_MAX) { (desk.alert(alert, told(alert))) }
        @if OPEN_MAX < open.len() { p { "… +" (open.len() - OPEN_MAX) } }
        @if !cleared.is_empty() {
            h2 { (lang.say("Đã hết", "Cleared")) }
            @for alert in cleared.iter().take(CLEARED_MAX) {
                details { summary { (desk.title(alert)) } (desk.life(alert, told(alert))) }
            }
        }
    };
    Ok(Page::new(site, lang, title, "/desk").refresh(DESK_REFRESH_S).show(&body))
}

struct Desk<'a> {
    book: &'a Book,
    lang: Lang,
    now: Timestamp,
    signed: &'a Signed,
}

impl Desk<'_> {
    fn who(&self) -> Markup {
        let lang = self.lang;
        html! {
            form.who method="post" action="/logout" {
                input type="hidden" name="csrf" value=(self.signed.csrf());
                input type="hidden" name="lang" value=(lang.tag());
                span { (self.signed.user.name) " · " (role(self.signed.user.role, lang)) }
                button type="submit" { (lang.say("Đăng xuất", "Sign out")) }
            }
        }
    }

    fn alert(&self, alert: &Alert, told: &[&Told]) -> Markup {
        let lang = self.lang;
        html! {
            article.alert id=(alert.id) {
                h3 { (self.title(alert)) }
                (self.life(alert, told))
                form.ack method="post" action=(format!("/desk/alerts/{}/ack", alert.id)) {
                    input type="hidden" name="csrf" value=(self.signed.csrf());
                    input type="hidden" name="lang" value=(lang.tag());
                    label {
                        (lang.say("Ghi chú", "Note"))
                        input name="note" maxlength=(NOTE_CHARS_MAX) autocomplete="off" placeholder=(lang.say("Đã đóng cống", "Gate closed"));
                    }
                    button type="submit" {
                        @if alert.state == AlertState::Open { (lang.say("Tôi đã biết, tôi xử lý", "I know, I act")) }
                        @else { (lang.say("Ghi thêm", "Add a note")) }
                    }
                }
            }
        }
    }

    fn title(&self, alert: &Alert) -> Markup {
        let lang = self.lang;
        let station = self.book.station(alert.station.as_str());
        let name = station.map_or(alert.station.as_str(), |station| &station.name);
        let unit = self.unit(alert);
        let rule = self.book.rule(&alert.rule);
        let state = State::Exceed {
            level: alert.level,
            of: rule.map_or(1, |rule| u8::try_from(rule.levels.len()).unwrap_or(u8::MAX)),
            limit: rule.and_then(|rule| Some(rule.levels.get(usize::from(alert.level))?.limit)),
        };
        html! {
            (badge(state, lang, unit)) " "
            a href=(lang.link(&format!("/s/{}", alert.station))) { (name) }
            " · " (rule.map_or(alert.rule.as_str(), |rule| &rule.name))
            " · " span.phase { (phase(alert, lang)) }
            " · " (lang.clock(alert.raised_at, self.now)) " (" (lang.age(alert.raised_at, self.now)) ")"
        }
    }

    fn unit(&self, alert: &Alert) -> &str {
        self.book.parameter(alert.parameter.as_str()).map_or("", |parameter| &parameter.unit)
    }

    fn life(&self, alert: &Alert, told: &[&Told]) -> Markup {
        let lang = self.lang;
        html! {
            ol.events { @for event in &alert.events { li { (self.event(alert, event)) } } }
            @if told.is_empty() {
                p.none { (lang.say("Chưa báo cho ai.", "Nobody has been told.")) }
            } @else {
                table.told {
                    caption { (lang.say("Đã báo cho", "Told")) }
                    tbody { @for one in told.iter().take(NOTICES_EACH_MAX) { (self.told(one)) } }
                }
            }
        }
    }

    fn event(&self, alert: &Alert, event: &AlertEvent) -> Markup {
        let lang = self.lang;
        html! {
            time datetime=(event.at) { (lang.clock(event.at, self.now)) } " "
            b { (happened(event.kind, lang)) }
            @if let Some(value) = event.value { " " (lang.number(value, 2)) " " (self.unit(alert)) }
            @if let Some(by) = &event.by { " · " (by) }
            @if !event.why.is_empty() { " · " q { (event.why) } }
        }
    }

    fn told(&self, told: &Told) -> Markup {
        let lang = self.lang;
        let notice = &told.notice;
        html! {
            tr {
                th scope="row" { (notice.person) small { " " (notice.channel) " " (notice.address) } }
                td { (lang.clock(notice.made_at, self.now)) }
                td { (delivery(&told.delivery, lang, self.now)) }
                td.words { (notice.body) }
            }
        }
    }
}

/// How far a notice has come, in words.
pub(crate) fn delivery(delivery: &Delivery, lang: Lang, now: Timestamp) -> Markup {
    match delivery {
        Delivery::Waiting { attempts, next_at, last_error } => html! {
            span.way.waiting {
                "… " (lang.say("đang chờ gửi", "waiting"))
                @if 0 < *attempts { " (" (attempts) " " (lang.say("lần thử", "tries")) ")" }
            }
            @if let Some(next) = next_at { @if 0 < *attempts { small { " " (lang.say("thử lại lúc ", "next at ")) (lang.clock(*next, now)) } } }
            @if let Some(error) = last_error { small { " " (error) } }
        },
        Delivery::HandedOver { at } => html! {
            span.way.handed { "✓ " (lang.say("đã chuyển đi", "handed over")) } " " small { (lang.clock(*at, now)) }
        },
        Delivery::Delivered { at } => html! {
            span.way.delivered { "✓✓ " (lang.say("đã tới máy", "delivered")) } " " small { (lang.clock(*at, now)) }
        },
        Delivery::GivenUp { at, why } => html! {
            span.way.lost { "✗ " (lang.say("không gửi được", "given up")) } " " small { (lang.clock(*at, now)) " " (why) }
        },
    }
}

fn role(role: Role, lang: Lang) -> &'static str {
    match role {
        Role::Viewer => lang.say("người xem", "viewer"),
        Role::Operator => lang.say("trực ban", "operator"),
        Role::Admin => lang.say("quản trị", "admin"),
    }
}

fn phase(alert: &Alert, lang: Lang) -> &'static str {
    match alert.state {
        AlertState::Cleared if alert.events.iter().any(|e| e.kind == EventKind::Withdrawn) => {
            lang.say("đã rút, chưa chắc an toàn", "withdrawn, not an all-clear")
        }
        AlertState::Open => lang.say("chưa ai nhận", "not answered"),
        AlertState::Acknowledged => lang.say("đã có người nhận", "answered"),
        AlertState::Cleared => lang.say("đã hết", "cleared"),
    }
}

fn happened(kind: EventKind, lang: Lang) -> &'static str {
    match kind {
        EventKind::Raised => lang.say("bắt đầu", "raised"),
        EventKind::Worsened => lang.say("tăng mức", "worsened"),
        EventKind::Eased => lang.say("giảm mức", "eased"),
        EventKind::Lost => lang.say("mất tín hiệu", "signal lost"),
        EventKind::Found => lang.say("có tín hiệu lại, chưa hết", "signal back, not over yet"),
        EventKind::Acknowledged => lang.say("đã nhận", "acknowledged"),
        EventKind::Cleared => lang.say("hết vượt ngưỡng", "cleared"),
        EventKind::Withdrawn => lang.say("rút, không còn theo dõi", "withdrawn, nobody watches"),
        EventKind::Backlog => lang.say("thấy trong số liệu gửi bù", "found in a backlog"),
    }
}
