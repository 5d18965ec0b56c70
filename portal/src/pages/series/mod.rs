//! `/admin/series`: the corrections desk. What came, what is shown, and what people changed, drawn over each other; a range
//! is chosen, a change is tried before it is made, and each can be taken back. It works without script; with it, by finger
//! and by keys.

mod drawing; // raw, shown and tried, over each other
mod wish; // what the form asks for

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form, Path, State as Given};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use domain::{Act, Edit, Layer, Parameter, Shown, Station, Timestamp};
use maud::{Markup, html};

use self::drawing::{Drawing, drawing};
use self::wish::{Wish, local, moment};
use super::{Page, answer, lang_of, private, see_other};
use crate::api;
use crate::assets::SERIES;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::session::{Signed, own_site};
use crate::site::Site;
use crate::view::{Book, Point, Role, Wanted};
use crate::words::Lang;

/// Readings of one page: three weeks of one every minute. A longer range says so.
const POINTS_MAX: usize = 30_000;

/// Rows of the table below.
const ROWS_MAX: usize = 120;

/// Without `from`: a week holds a spring tide or a neap tide.
const RANGE_DEFAULT: Duration = Duration::from_hours(7 * 24);

/// `GET /admin/series`: which there are.
pub(crate) async fn index(Given(site): Given<Arc<Site>>, headers: HeaderMap, uri: Uri) -> Response {
    let lang = lang_of(&uri);
    let page = match Signed::from_headers(&site, &headers).await {
        Ok(None) => return private(see_other(&lang.link("/login"))),
        Ok(Some(signed)) => list(&site, lang, &signed).await,
        Err(trouble) => Err(trouble.into()),
    };
    private(answer(&site, lang, page))
}

/// `GET /admin/series/{station}/{parameter}?from=&to=`
pub(crate) async fn series(
    Given(site): Given<Arc<Site>>,
    Path((code, parameter)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let lang = lang_of(&uri);
    let asked = Pairs::lenient(&uri).map(|pairs| {
        let get = |key: &str| pairs.get(key).unwrap_or_default().to_owned();
        Wish { from: get("from"), to: get("to"), ..Wish::default() }
    });
    let page = match (Signed::from_headers(&site, &headers).await, asked) {
        (Ok(None), _) => return private(see_other(&lang.link("/login"))),
        (Ok(Some(signed)), Ok(wish)) => page(&site, lang, &signed, (&code, &parameter), wish).await,
        (Err(trouble), _) => Err(trouble.into()),
        (_, Err(problem)) => Err(problem),
    };
    private(answer(&site, lang, page))
}

/// `POST /admin/series/{station}/{parameter}`: what the form would make. Not asked for by GET, because the form's token
/// does not belong into an address.
pub(crate) async fn attempt(
    Given(site): Given<Arc<Site>>,
    Path((code, parameter)): Path<(String, String)>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let lang = Lang::parse(&wish.lang);
    let page = match acting(&site, &headers, &wish.csrf).await {
        Ok(None) => return private(see_other(&lang.link("/login"))),
        Ok(Some(signed)) => page(&site, lang, &signed, (&code, &parameter), wish).await,
        Err(problem) => Err(problem),
    };
    private(answer(&site, lang, page))
}

/// `POST /admin/series/{station}/{parameter}/edits`
pub(crate) async fn make(
    Given(site): Given<Arc<Site>>,
    Path((code, parameter)): Path<(String, String)>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let lang = Lang::parse(&wish.lang);
    let done = async {
        let Some(signed) = acting(&site, &headers, &wish.csrf).await? else { return Ok(None) };
        api::edits::make_edit(&site, &signed, &code, wish.wanted(&parameter)?).await.map(Some)
    };
    private(went(&site, lang, done.await, &wish, (&code, &parameter)))
}

/// `POST /admin/series/{station}/{parameter}/edits/{id}/withdraw`
pub(crate) async fn withdraw(
    Given(site): Given<Arc<Site>>,
    Path((code, parameter, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let lang = Lang::parse(&wish.lang);
    let done = async {
        let Some(signed) = acting(&site, &headers, &wish.csrf).await? else { return Ok(None) };
        api::edits::withdraw_edit(&site, &signed, &id, &wish.reason).await.map(Some)
    };
    private(went(&site, lang, done.await, &wish, (&code, &parameter)))
}

async fn acting(
    site: &Arc<Site>,
    headers: &HeaderMap,
    csrf: &str,
) -> Result<Option<Signed>, Problem> {
    own_site(headers)?;
    let Some(signed) = Signed::from_headers(site, headers).await? else { return Ok(None) };
    signed.own_form(csrf)?;
    signed.may(Role::Operator)?;
    Ok(Some(signed))
}

fn went(
    site: &Site,
    lang: Lang,
    done: Result<Option<Edit>, Problem>,
    wish: &Wish,
    (code, parameter): (&str, &str),
) -> Response {
    match done {
        Ok(None) => see_other(&lang.link("/login")),
        Ok(Some(_)) => {
            // The range is written anew: what came in the form is not believed to be an address.
            let range = moment(&wish.from).zip(moment(&wish.to));
            let range = range.map(|(from, to)| format!("?from={from}&to={to}")).unwrap_or_default();
            see_other(&lang.link(&format!("/admin/series/{code}/{parameter}{range}")))
        }
        Err(problem) => answer(site, lang, Err(problem)),
    }
}

async fn list(site: &Site, lang: Lang, signed: &Signed) -> Result<Markup, Problem> {
    signed.may(Role::Operator)?;
    let book = site.view.book().await?;
    let mut rows = Vec::new();
    for station in &book.stations {
        let known = site.view.parameters(&station.code).await?;
        let known: Vec<&Parameter> =
            known.iter().filter_map(|code| book.parameter(code.as_str())).collect();
        let open = book.edits.get(&station.code).into_iter().flatten();
        rows.push((station, known, open.filter(|edit| edit.withdrawn.is_none()).count()));
    }
    let title = lang.say("Hiệu chỉnh số liệu", "Corrections");
    let body = html! {
        h1 { (title) }
        p { (lang.say("Chọn một chuỗi số liệu. Số đo gốc luôn được giữ nguyên.", "Choose a series. What was measured always stays.")) }
        table {
            thead { tr {
                th scope="col" { (lang.say("Trạm", "Station")) }
                th scope="col" { (lang.say("Chuỗi số liệu", "Series")) }
                th.n scope="col" { (lang.say("Hiệu chỉnh", "Edits")) }
            } }
            tbody {
                @for (station, known, edits) in &rows {
                    tr {
                        th scope="row" { (station.name) }
                        td {
                            @for (n, parameter) in known.iter().enumerate() {
                                @if 0 < n { " · " }
                                a href=(lang.link(&format!("/admin/series/{}/{}", station.code, parameter.code))) { (lang.say(&parameter.name_vi, &parameter.name_en)) }
                            }
                        }
                        td.n { (edits) }
                    }
                }
            }
        }
    };
    Ok(Page::new(site, lang, title, "/admin/series").show(&body))
}

/// Everything that the page is about.
struct Desk<'a> {
    site: &'a Site,
    book: &'a Book,
    station: &'a Station,
    parameter: &'a Parameter,
    lang: Lang,
    signed: &'a Signed,
    from: Timestamp,
    to: Timestamp,
    wish: Wish,
}

async fn page(
    site: &Site,
    lang: Lang,
    signed: &Signed,
    (code, parameter): (&str, &str),
    wish: Wish,
) -> Result<Markup, Problem> {
    signed.may(Role::Operator)?;
    let book = site.view.book().await?;
    let station = api::station(&book, code)?;
    let parameter = api::readings::parameter(&book, parameter)?;
    let time = |key: &str, text: &str| match text {
        "" => Ok(None),
        text => moment(text).map(Some).ok_or_else(|| wish::unreadable(key)),
    };
    let to = time("to", &wish.to)?.unwrap_or(site.now() + Duration::from_millis(1));
    let from = time("from", &wish.from)?.unwrap_or(to - RANGE_DEFAULT);
    if to <= from {
        return Err(Problem::bad_query("`from` is not before `to`"));
    }
    let desk = Desk { site, book: &book, station, parameter, lang, signed, from, to, wish };
    desk.page().await
}

impl Desk<'_> {
    async fn page(&self) -> Result<Markup, Problem> {
        let raw = self.points(self.book, Shown::Raw).await?;
        let best = self.points(self.book, Shown::Best).await?;
        let tried = match self.wish.is_tried() {
            true => Some(self.tried().await),
            false => None,
        };
        let (tried, refused) = match tried {
            Some(Ok(points)) => (Some(points), None),
            Some(Err(problem)) => (None, Some(problem)),
            None => (None, None),
        };
        let lang = self.lang;
        let drawn = Drawing {
            parameter: self.parameter,
            lang,
            span: (self.from, self.to),
            chosen: self.wish.range(),
            edits: &self.edits(),
            gap: self.station.interval.saturating_mul(5) / 2,
        };
        let name = lang.say(&self.parameter.name_vi, &self.parameter.name_en);
        let title = format!("{}: {name}", self.station.name);
        let body = html! {
            p.crumbs { a href=(lang.link("/admin/series")) { (lang.say("Hiệu chỉnh số liệu", "Corrections")) } }
            h1 { (title) }
            (self.ranges())
            salt-series station=(self.station.code) parameter=(self.parameter.code) decimals=(self.parameter.decimals) {
                (drawing(&drawn, &raw, &best, tried.as_deref()))
                @if raw.len() == POINTS_MAX { p.doubt { (lang.say("Chỉ hiện phần đầu của khoảng này.", "Only the beginning of this range is shown.")) } }
                @if let Some(problem) = &refused { p.refused role="alert" { (problem.detail()) } }
                @if let Some(tried) = &tried { p role="status" { (self.tells(&best, tried)) } }
                (self.form())
            }
            (self.made())
            (self.table(&raw, &best))
        };
        let here = format!("{}?from={}&to={}", self.path(), self.from, self.to);
        Ok(Page::new(self.site, lang, &title, &here).script(SERIES).show(&body))
    }

    fn path(&self) -> String {
        format!("/admin/series/{}/{}", self.station.code, self.parameter.code)
    }

    async fn points(&self, book: &Book, shown: Shown) -> Result<Vec<Point>, Problem> {
        let wanted = Wanted {
            station: self.station.code.clone(),
            parameter: self.parameter.code.clone(),
            from: self.from,
            to: self.to,
            as_of: None,
            edits: book.edits_of(&self.station.code, &self.parameter.code, shown),
        };
        Ok(self.site.view.points(wanted, POINTS_MAX).await?)
    }

    /// What the series would show with the wish, which nobody has made yet.
    async fn tried(&self) -> Result<Vec<Point>, Problem> {
        let wanted = self.wish.wanted(self.parameter.code.as_str())?;
        let series = (self.book, self.station, self.parameter);
        let (from, to, act) = api::edits::wished(self.site, series, &wanted).await?;
        let edit = Edit {
            id: u64::MAX,
            station: self.station.code.clone(),
            parameter: self.parameter.code.clone(),
            from,
            to,
            act,
            at: self.site.now(),
            by: self.signed.user.name.clone(),
            // It is tried before anybody has to say why.
            reason: "tried, not made".to_owned(),
            withdrawn: None,
        };
        edit.check().map_err(|bad| Problem::bad_query(bad.to_string()))?;
        let mut with = self.book.clone();
        with.edits.entry(self.station.code.clone()).or_default().push(edit);
        self.points(&with, Shown::Best).await
    }

    /// How much a wish would change.
    fn tells(&self, best: &[Point], tried: &[Point]) -> String {
        let lang = self.lang;
        let before = |at: Timestamp| best.iter().find(|point| point.taken_at == at);
        let same = |point: &&Point| {
            before(point.taken_at)
                .is_some_and(|old| old.value == point.value && old.flag == point.flag)
        };
        let changed = tried.iter().filter(|point| !same(point)).count();
        let gone = best.iter().filter(|old| !tried.iter().any(|new| new.taken_at == old.taken_at));
        let changed = changed + gone.count();
        match lang {
            Lang::Vi => format!("Thử: {changed} số đo sẽ thay đổi (đường đứt nét). Chưa ghi gì."),
            Lang::En => format!(
                "Tried: {changed} readings would change (dashed line). Nothing is made yet."
            ),
        }
    }

    fn edits(&self) -> Vec<&Edit> {
        let all = self.book.edits.get(&self.station.code).into_iter().flatten();
        let own = all.filter(|edit| edit.parameter == self.parameter.code);
        own.filter(|edit| self.from < edit.to && edit.from < self.to).collect()
    }

    fn ranges(&self) -> Markup {
        let lang = self.lang;
        let half = self.to.since(self.from) / 2;
        let days = |days: u64| Duration::from_hours(24 * days);
        let link = |from: Timestamp, to: Timestamp| {
            lang.link(&format!("{}?from={from}&to={to}", self.path()))
        };
        let middle = self.from + half;
        html! {
            nav.ranges aria-label=(lang.say("Khoảng thời gian", "Range")) {
                a href=(link(self.from - half, self.to - half)) rel="prev" { "◀ " (lang.say("trước", "earlier")) }
                @for (count, word) in [(1, lang.say("1 ngày", "1 day")), (7, lang.say("7 ngày", "7 days")), (30, lang.say("30 ngày", "30 days")), (90, lang.say("90 ngày", "90 days"))] {
                    a href=(link(middle - days(count) / 2, middle + days(count) / 2)) aria-current=[(days(count) == half * 2).then_some("true")] { (word) }
                }
                a href=(link(self.from + half, self.to + half)) rel="next" { (lang.say("sau", "later")) " ▶" }
            }
        }
    }

    fn form(&self) -> Markup {
        let (lang, wish) = (self.lang, &self.wish);
        let acts = [
            ("offset", lang.say("Cộng thêm", "Offset"), "O"),
            ("drift", lang.say("Bù trôi", "Drift"), "D"),
            ("remove", lang.say("Loại bỏ", "Remove"), "R"),
            ("interpolate", lang.say("Nội suy", "Interpolate"), "I"),
            ("approve", lang.say("Phê duyệt", "Approve"), "A"),
        ];
        let (from, to) = (self.from.to_string(), self.to.to_string());
        html! {
            form.edit method="post" action=(format!("{}/edits", self.path())) {
                input type="hidden" name="csrf" value=(self.signed.csrf());
                input type="hidden" name="lang" value=(lang.tag());
                input type="hidden" name="from" value=(from);
                input type="hidden" name="to" value=(to);
                div.row {
                    label { (lang.say("Từ", "From")) input type="datetime-local" step="1" name="edit_from" required value=(wish.edit_from); }
                    label { (lang.say("Đến hết", "Up to and with")) input type="datetime-local" step="1" name="edit_to" required value=(wish.edit_to); }
                }
                fieldset {
                    legend { (lang.say("Việc cần làm", "What to do")) }
                    @for (act, word, key) in acts {
                        label { input type="radio" name="act" value=(act) required checked[wish.act == act] aria-keyshortcuts=(key); " " (word) " " kbd { (key) } }
                    }
                }
                div.row {
                    label.by { (lang.say("Cộng thêm", "By")) " " small { (self.parameter.unit) } input name="by" inputmode="decimal" size="8" autocomplete="off" value=(wish.by); }
                    label.line { (lang.say("Ở đầu", "At the start")) " " small { (self.parameter.unit) } input name="start" inputmode="decimal" size="8" autocomplete="off" value=(wish.start); }
                    label.line { (lang.say("Ở cuối", "At the end")) " " small { (self.parameter.unit) } input name="end" inputmode="decimal" size="8" autocomplete="off" value=(wish.end); }
                }
                label { (lang.say("Lý do", "Reason")) input name="reason" maxlength="500" autocomplete="off" value=(wish.reason); }
                div.row {
                    // The first of both is what Enter does: nothing is made by a slip.
                    button.try type="submit" formaction=(self.path()) { (lang.say("Thử", "Try")) " " kbd { "T" } }
                    button.make type="submit" { (lang.say("Ghi hiệu chỉnh", "Make the edit")) " " kbd { "G" } }
                }
                details.keys {
                    summary { (lang.say("Phím tắt", "Keys")) " " kbd { "?" } }
                    p { (lang.say(
                        "Trên biểu đồ: ← → từng số đo, Ctrl mười số, Shift để chọn, Home End hai đầu, Esc bỏ chọn; hoặc kéo bằng ngón tay. O D R I A chọn việc, T (hoặc Enter) thử, G ghi, U hoàn tác hiệu chỉnh cuối.",
                        "On the chart: ← → reading by reading, Ctrl by ten, Shift to choose, Home End to the ends, Esc to choose nothing; or drag. O D R I A say what to do, T (or Enter) tries it, G makes it, U takes the last edit back.",
                    )) }
                }
            }
        }
    }

    /// What people made of it in this range, the newest first, each with its way back.
    fn made(&self) -> Markup {
        let lang = self.lang;
        let mut edits = self.edits();
        edits.reverse();
        let now = self.site.now();
        html! {
            h2 { (lang.say("Hiệu chỉnh trong khoảng này", "Edits in this range")) " (" (edits.len()) ")" }
            @for edit in edits {
                article.edit id=(format!("edit-{}", edit.id)) {
                    p {
                        b { "#" (edit.id) " " (act_said(&edit.act, self.parameter, lang)) } " · "
                        (lang.clock(edit.from, now)) " – " (lang.clock(edit.to, now)) " · " (edit.by) ", " (lang.clock(edit.at, now)) " · " q { (edit.reason) }
                    }
                    @if let Some(end) = &edit.withdrawn {
                        p.none { (lang.say("Đã rút lại", "Withdrawn")) " · " (end.by) ", " (lang.clock(end.at, now)) " · " q { (end.reason) } }
                    } @else {
                        form.withdraw method="post" action=(format!("{}/edits/{}/withdraw", self.path(), edit.id)) {
                            input type="hidden" name="csrf" value=(self.signed.csrf());
                            input type="hidden" name="lang" value=(lang.tag());
                            input type="hidden" name="from" value=(self.from);
                            input type="hidden" name="to" value=(self.to);
                            label { (lang.say("Rút lại vì", "Take back because")) input name="reason" required minlength="3" maxlength="500" autocomplete="off"; }
                            button type="submit" { (lang.say("Hoàn tác", "Undo")) }
                        }
                    }
                }
            }
        }
    }

    /// The chosen readings, or the first of the range: as they came, and as they are shown.
    fn table(&self, raw: &[Point], best: &[Point]) -> Markup {
        let lang = self.lang;
        let (from, to) = self.wish.range().unwrap_or((self.from, self.to));
        let inside = |point: &&Point| from <= point.taken_at && point.taken_at < to;
        let came = |at: Timestamp| raw.iter().find(|point| point.taken_at == at);
        let rows: Vec<&Point> = best.iter().filter(inside).take(ROWS_MAX).collect();
        let number = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |it| lang.number(it, self.parameter.decimals))
        };
        html! {
            details open[self.wish.range().is_some()] {
            summary { (lang.say("Số đo", "Readings")) " (" (rows.len()) @if rows.len() == ROWS_MAX { "+" } ")" }
            table.readings {
                thead { tr {
                    th scope="col" { (lang.say("Lúc", "At")) }
                    th.n scope="col" { (lang.say("Gốc", "As it came")) }
                    th scope="col" { (lang.say("Cờ", "Flag")) }
                    th.n scope="col" { (lang.say("Hiện", "Shown")) }
                    th scope="col" { (lang.say("Lớp", "Layer")) }
                } }
                tbody {
                    @for point in rows {
                        @let own = came(point.taken_at);
                        tr {
                            th scope="row" { (local(point.taken_at).replace('T', " ")) }
                            td.n { (number(own.and_then(|it| it.value))) }
                            td { @if let Some(own) = own { (own.flag.number()) " " (lang.flag(own.flag)) } }
                            td.n { (number(point.value)) }
                            td { (layer_said(point.layer, lang)) }
                        }
                    }
                }
            }
            }
        }
    }
}

fn layer_said(layer: Layer, lang: Lang) -> &'static str {
    match layer {
        Layer::Raw => "",
        Layer::Corrected => lang.say("đã hiệu chỉnh", "corrected"),
        Layer::Approved => lang.say("đã phê duyệt", "approved"),
    }
}

fn act_said(act: &Act, parameter: &Parameter, lang: Lang) -> String {
    let signed = |value: f64| {
        let plus = if value < 0.0 { "" } else { "+" };
        format!("{plus}{}", lang.number(value, parameter.decimals.saturating_add(1)))
    };
    match *act {
        Act::Offset { by } => format!("{} {}", lang.say("cộng thêm", "offset"), signed(by)),
        Act::Drift { start, end } => {
            format!("{} {} → {}", lang.say("bù trôi", "drift"), signed(start), signed(end))
        }
        Act::Remove => lang.say("loại bỏ", "removed").to_owned(),
        Act::Interpolate { start, end, .. } => {
            format!("{} {} → {}", lang.say("nội suy", "interpolated"), signed(start), signed(end))
        }
        Act::Approve => lang.say("phê duyệt", "approved").to_owned(),
    }
}
