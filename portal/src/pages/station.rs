//! `/s/{station}`: one station now, and how it came to that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Given;
use axum::http::Uri;
use axum::response::Response;
use domain::{Act, Edit, Every, Flag, Parameter, ParameterCode, Shown, Station, Timestamp};
use maud::{Markup, html};

use super::chart::{Frame, Series, chart};
use super::glyph::badge;
use super::home::{SALINITY, WATER_LEVEL, is_trusted};
use super::{Page, answer, lang_of, water};
use crate::api::readings::TABLE_ROWS_MAX;
use crate::api::{self, Segment};
use crate::assets::CHART;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::shown;
use crate::site::Site;
use crate::state::{State, is_old, newest};
use crate::view::{Book, Latest, Wanted};
use crate::words::Lang;

/// Dots of a chart: above it they are gathered, because a phone has no more columns and a page no more bytes.
const DOTS_MAX: usize = 700;

/// Rows of the table of last readings.
const ROWS_MAX: usize = 24;

/// Columns of that table.
const COLUMNS_MAX: usize = 4;

/// Edits told one by one; the rest are counted.
const EDITS_MAX: usize = 8;

/// The longest range, in hours: a year.
const HOURS_MAX: u32 = 8_784;

/// Without `hours`: two days hold four tides.
const HOURS_DEFAULT: u32 = 48;

/// A clock that is ahead by more than this is wrong; nothing that comes late looks so.
const AHEAD_MAX_MS: i64 = 60_000;

/// Reports that are later than this, and than two intervals, are not only on their way.
const LATE_MAX: Duration = Duration::from_mins(10);

/// `GET /s/{station}?hours=&parameter=`
pub(crate) async fn station(
    Given(site): Given<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Response {
    let lang = lang_of(&uri);
    answer(&site, lang, page(&site, lang, &code, &uri).await)
}

/// A value of the table and how far it can be trusted.
type Cell = (Option<f64>, Flag);

/// Everything that the page is about.
struct Here<'a> {
    site: &'a Site,
    book: &'a Book,
    station: &'a Station,
    lang: Lang,
    now: Timestamp,
    hours: u32,
}

async fn page(site: &Site, lang: Lang, code: &str, uri: &Uri) -> Result<Markup, Problem> {
    let pairs = Pairs::lenient(uri)?;
    let hours = pairs.count("hours", 1, HOURS_MAX)?.unwrap_or(HOURS_DEFAULT);
    let book = site.view.book().await?;
    let station = api::station(&book, code)?;
    let now = site.now();
    let here = Here { site, book: &book, station, lang, now, hours };
    let latest = shown::latest(site, &book, Shown::Best, None).await?;
    let latest: Vec<&Latest> = latest.iter().filter(|l| l.station == station.code).collect();
    let standing = site.view.standing();
    let standing = standing.iter().filter(|one| one.station == station.code);
    let state = State::of(station, newest(latest.iter().copied()), standing, &book, now);
    let known = here.parameters().await?;
    let drawn = chosen(&known, pairs.get("parameter"));
    let mut charts = Vec::new();
    for (n, parameter) in drawn.iter().enumerate() {
        charts.push(here.chart(parameter, if n == 0 { 230.0 } else { 130.0 }).await?);
    }
    let table = here.table(&known).await?;
    let water = water::section(site, &book, station, lang).await?;
    let body = html! {
        p.crumbs { a href=(lang.link("/")) { (lang.say("Các trạm", "All stations")) } }
        h1 { (station.name) }
        p.lead { (here.whereabouts()) " " (badge(state, lang, "g/L")) }
        (here.newest(&known, &latest, state))
        (here.ranges(pairs.get("parameter")))
        @for chart in &charts { (chart) }
        @if charts.is_empty() { p.none { (lang.say("Trạm này chưa gửi số đo nào.", "This station has not sent any reading yet.")) } }
        (water)
        (here.edits(&drawn))
        (table)
        (here.gaps())
        (here.clock_off())
        p {
            a href=(here.download(known.len())) download { (lang.say("Tải bảng số liệu (CSV, mở bằng Excel)", "Download as a table (CSV, opens in Excel)")) }
            " · "
            a href=(format!("/api/v1/stations/{}/readings", station.code)) { (lang.say("Số liệu 24 giờ (JSON)", "Readings of 24 h (JSON)")) }
        }
    };
    let path = format!("/s/{}?hours={hours}", station.code);
    Ok(Page::new(site, lang, &station.name, &path).script(CHART).show(&body))
}

/// The parameter that was asked for; otherwise salinity and water level; otherwise whatever there is.
fn chosen<'a>(known: &[&'a Parameter], asked: Option<&str>) -> Vec<&'a Parameter> {
    let of = |code: &str| known.iter().copied().find(|p| p.code.as_str() == code);
    if let Some(parameter) = asked.and_then(of) {
        return vec![parameter];
    }
    let usual: Vec<&Parameter> = [SALINITY, WATER_LEVEL].into_iter().filter_map(of).collect();
    if usual.is_empty() { known.iter().copied().take(1).collect() } else { usual }
}

/// What the water is, before what the machine is.
fn rank(code: &str) -> u8 {
    match code {
        SALINITY => 0,
        WATER_LEVEL => 1,
        "battery" | "signal" => 3,
        _ => 2,
    }
}

impl<'a> Here<'a> {
    async fn parameters(&self) -> Result<Vec<&'a Parameter>, Problem> {
        let known = self.site.view.parameters(&self.station.code).await?;
        let mut known: Vec<&Parameter> =
            known.iter().filter_map(|code| self.book.parameter(code.as_str())).collect();
        known.sort_by_key(|parameter| (rank(parameter.code.as_str()), parameter.code.clone()));
        Ok(known)
    }

    fn whereabouts(&self) -> String {
        let lang = self.lang;
        let river = self.station.river.as_deref().map(|code| self.book.river_name(code, lang));
        let km = self.station.km_from_mouth.map(|km| lang.number(km, 0));
        match (river, km) {
            (Some(river), Some(km)) => match lang {
                Lang::Vi => format!("{river}, cách cửa sông {km} km."),
                Lang::En => format!("{river}, {km} km from the mouth."),
            },
            (Some(river), None) => format!("{river}."),
            (None, _) => String::new(),
        }
    }

    fn newest(&self, known: &[&Parameter], latest: &[&Latest], state: State) -> Markup {
        let lang = self.lang;
        let of = |code: &ParameterCode| latest.iter().find(|value| &value.parameter == code);
        html! {
            dl.now {
                @for parameter in known {
                    @if let Some(value) = of(&parameter.code) {
                        @let old = is_old(value.taken_at, self.station.interval, self.now);
                        @let class = if parameter.code.as_str() == SALINITY && !old { state.class() } else { "plain" };
                        div class=[old.then_some("old")] data-now=(parameter.code) {
                            dt { a href=(self.link(self.hours, Some(parameter.code.as_str()))) { (lang.say(&parameter.name_vi, &parameter.name_en)) } }
                            dd {
                                b class=(class) { (lang.number(value.value, parameter.decimals)) } " " (parameter.unit)
                                @if let Some(how) = self.made(parameter) { " " small.made { (how) } }
                                @if !is_trusted(value) { " " span.doubt { (lang.flag(value.flag)) } }
                                small.age {
                                    @if old { (lang.say("mất tín hiệu, ", "signal lost, ")) }
                                    time datetime=(value.taken_at) { (lang.age(value.taken_at, self.now)) }
                                    " (" (lang.clock(value.taken_at, self.now)) ")"
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// By which formula it is made, where nobody measures it.
    fn made(&self, parameter: &Parameter) -> Option<String> {
        let derived = self.station.profile.derived.iter();
        let derived = derived.into_iter().find(|it| *it.parameter() == parameter.code)?;
        let method = derived.method();
        let name = self.lang.say(&method.name_vi(), &method.name_en()).to_owned();
        Some(format!("{}: {name}", self.lang.say("cách tính", "method")))
    }

    fn ranges(&self, parameter: Option<&str>) -> Markup {
        let lang = self.lang;
        let ranges = [
            (12, lang.say("12 giờ", "12 h")),
            (24, lang.say("24 giờ", "24 h")),
            (48, lang.say("2 ngày", "2 days")),
            (168, lang.say("7 ngày", "7 days")),
            (720, lang.say("30 ngày", "30 days")),
        ];
        html! {
            nav.ranges aria-label=(lang.say("Khoảng thời gian", "Range")) {
                @for (hours, word) in ranges {
                    a href=(self.link(hours, parameter)) aria-current=[(hours == self.hours).then_some("true")] { (word) }
                }
            }
        }
    }

    /// The range that is shown, as a table; by the hour where it has more readings than a table holds.
    fn download(&self, parameters: usize) -> String {
        let from = self.now - Duration::from_secs(u64::from(self.hours) * 3_600);
        let reports = self.now.since(from).as_secs() / self.station.interval.as_secs().max(1);
        let fits = reports.saturating_mul(parameters as u64) <= TABLE_ROWS_MAX as u64;
        let every = if fits { "" } else { "&every=1h" };
        let (code, lang) = (&self.station.code, self.lang.tag());
        format!("/api/v1/stations/{code}/readings?from={from}{every}&format=csv&lang={lang}")
    }

    fn link(&self, hours: u32, parameter: Option<&str>) -> String {
        let known = parameter.and_then(|code| self.book.parameter(code));
        let parameter = known.map(|p| format!("&parameter={}", p.code)).unwrap_or_default();
        self.lang.link(&format!("/s/{}?hours={hours}{parameter}", self.station.code))
    }

    async fn chart(&self, parameter: &Parameter, height: f64) -> Result<Markup, Problem> {
        let from = self.now - Duration::from_secs(u64::from(self.hours) * 3_600);
        let series = self.series(parameter, from).await?;
        let limits = self.book.limits(&self.station.code, &parameter.code);
        let (to, lang) = (self.now, self.lang);
        let frame = Frame { parameter, limits: &limits, from, to, height, lang };
        Ok(html! {
            salt-chart station=(self.station.code) parameter=(parameter.code) unit=(parameter.unit)
                decimals=(parameter.decimals) every=[series.gathered.map(|every| every.as_secs())]
                gap=(series.gap.as_millis()) { (chart(&frame, &series)) }
        })
    }

    async fn series(&self, parameter: &Parameter, from: Timestamp) -> Result<Series, Problem> {
        let interval = self.station.interval;
        let wanted = self.wanted(parameter, from);
        let many = self.now.since(from).as_secs() / interval.as_secs().max(1);
        if many <= DOTS_MAX as u64 {
            let points = self.site.view.points(wanted.clone(), DOTS_MAX + 1).await?;
            if points.len() <= DOTS_MAX {
                return Ok(Series::of_points(&points, interval));
            }
        }
        let every = gathered(self.now.since(from));
        let buckets =
            self.site.view.buckets(wanted, Every::Span(every), parameter.aggregation).await?;
        Ok(Series::of_buckets(&buckets, every, interval))
    }

    fn wanted(&self, parameter: &Parameter, from: Timestamp) -> Wanted {
        Wanted {
            station: self.station.code.clone(),
            parameter: parameter.code.clone(),
            from,
            to: self.now + Duration::from_millis(1),
            as_of: None,
            edits: self.book.edits_of(&self.station.code, &parameter.code, Shown::Best),
        }
    }

    /// What people changed of what is drawn, as far as it reaches into the range.
    fn edits(&self, drawn: &[&Parameter]) -> Markup {
        let lang = self.lang;
        let from = self.now - Duration::from_secs(u64::from(self.hours) * 3_600);
        let all = self.book.edits.get(&self.station.code).into_iter().flatten();
        let own =
            all.filter(|edit| edit.withdrawn.is_none() && from < edit.to && edit.from <= self.now);
        let of = |edit: &Edit| drawn.iter().copied().find(|one| one.code == edit.parameter);
        let mut edits: Vec<(&Edit, &Parameter)> =
            own.filter_map(|edit| Some((edit, of(edit)?))).collect();
        if edits.is_empty() {
            return html! {};
        }
        edits.reverse();
        let more = edits.len().saturating_sub(EDITS_MAX);
        html! {
            h2 { (lang.say("Số liệu đã hiệu chỉnh", "Corrected and approved")) }
            ul.edits {
                @for (edit, parameter) in edits.iter().take(EDITS_MAX) {
                    li {
                        b { (lang.say(&parameter.name_vi, &parameter.name_en)) } ", "
                        (lang.clock(edit.from, self.now)) " – " (lang.clock(edit.to, self.now)) ": "
                        (self.act(edit, parameter)) ". " (edit.reason)
                    }
                }
                @if 0 < more { li { (lang.say("Còn nữa: ", "More: ")) (more) } }
            }
        }
    }

    fn act(&self, edit: &Edit, parameter: &Parameter) -> String {
        let (lang, unit) = (self.lang, parameter.unit.as_str());
        let number = |value: f64| lang.number(value, parameter.decimals);
        let signed =
            |value: f64| format!("{}{}", if value < 0.0 { "" } else { "+" }, number(value));
        match edit.act {
            Act::Offset { by } => {
                format!("{} {} {unit}", lang.say("cộng thêm", "shifted by"), signed(by))
            }
            Act::Drift { start, end } => {
                let word = lang.say("bù trôi từ", "drift corrected from");
                format!("{word} {} {} {} {unit}", signed(start), lang.say("đến", "to"), signed(end))
            }
            Act::Remove => lang.say("đã loại bỏ", "removed").to_owned(),
            Act::Interpolate { start, end, .. } => {
                let word = lang.say("nội suy từ", "interpolated from");
                format!("{word} {} {} {} {unit}", number(start), lang.say("đến", "to"), number(end))
            }
            Act::Approve => lang.say("đã phê duyệt", "approved").to_owned(),
        }
    }

    /// One line on reports that are missing, where any are.
    fn gaps(&self) -> Markup {
        let lang = self.lang;
        let field = self.site.settings.field.as_ref();
        let gaps = field.and_then(|field| field.gaps_of(&self.station.code));
        let Some(gaps) = gaps.filter(|gaps| 0 < gaps.missing) else { return html! {} };
        html! {
            p.gaps {
                (lang.say("Còn thiếu ", "Missing: ")) (gaps.missing) (lang.say(" bản tin", " reports"))
                @if let Some((_, _, since)) = gaps.ranges.first() {
                    (lang.say(" từ ", " since ")) (lang.clock(*since, self.now))
                }
                @if let Some(asked) = gaps.asked_at {
                    (lang.say("; đã yêu cầu trạm gửi lại lúc ", "; the station was asked at "))
                    (lang.clock(asked, self.now))
                }
                "."
            }
        }
    }

    /// One line on the station's clock, where it is off by more than people would not mind.
    fn clock_off(&self) -> Markup {
        let (lang, field) = (self.lang, self.site.settings.field.as_ref());
        let clock = field.and_then(|field| field.clock.as_ref()(&self.station.code));
        let late = LATE_MAX.max(self.station.interval * 2).as_millis();
        let late = i64::try_from(late).unwrap_or(i64::MAX);
        let off = |ahead_ms: i64| AHEAD_MAX_MS < ahead_ms || ahead_ms < -late;
        let Some(clock) = clock.filter(|it| off(it.ahead_ms)) else { return html! {} };
        let minutes = clock.ahead_ms.unsigned_abs() / 60_000;
        let (count, unit) = match minutes {
            0..=120 => (minutes, lang.say("phút", "min")),
            121..=2_880 => (minutes / 60, lang.say("giờ", "h")),
            _ => (minutes / 1_440, lang.say("ngày", "d")),
        };
        html! {
            p.gaps {
                @if 0 < clock.ahead_ms {
                    (lang.say("Đồng hồ của trạm nhanh ", "The station's clock is ahead by "))
                } @else {
                    (lang.say(
                        "Đồng hồ của trạm chậm, hoặc bản tin đến trễ, ",
                        "The station's clock is behind, or its reports are late, by ",
                    ))
                }
                (count) " " (unit) "."
            }
        }
    }

    /// The last readings, a row for each time.
    async fn table(&self, known: &[&Parameter]) -> Result<Markup, Problem> {
        let columns: Vec<&Parameter> = known.iter().copied().take(COLUMNS_MAX).collect();
        let span = self.station.interval.saturating_mul(2 * u32::try_from(ROWS_MAX).unwrap_or(1));
        let from = self.now - span.max(Duration::from_secs(6 * 3_600));
        let mut rows: BTreeMap<Timestamp, Vec<Option<Cell>>> = BTreeMap::new();
        for (n, parameter) in columns.iter().enumerate() {
            for point in self.site.view.points(self.wanted(parameter, from), DOTS_MAX).await? {
                let row = rows.entry(point.taken_at).or_insert_with(|| vec![None; columns.len()]);
                row[n] = Some((point.value, point.flag));
            }
        }
        Ok(self.rows(&columns, &rows))
    }

    fn rows(
        &self,
        columns: &[&Parameter],
        rows: &BTreeMap<Timestamp, Vec<Option<Cell>>>,
    ) -> Markup {
        let lang = self.lang;
        html! {
            @if !rows.is_empty() {
                h2 { (lang.say("Số đo gần nhất", "Last readings")) }
                table.readings {
                    thead { tr {
                        th scope="col" { (lang.say("Lúc", "At")) }
                        @for parameter in columns {
                            th.n scope="col" {
                                (lang.say(&parameter.name_vi, &parameter.name_en))
                                @if !parameter.unit.is_empty() { small { " " (parameter.unit) } }
                            }
                        }
                    } }
                    tbody {
                        @for (at, row) in rows.iter().rev().take(ROWS_MAX) {
                            tr {
                                th scope="row" { (lang.clock(*at, self.now)) }
                                @for (cell, parameter) in row.iter().zip(columns) { td.n { (cell_of(*cell, parameter, lang)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell_of(cell: Option<Cell>, parameter: &Parameter, lang: Lang) -> Markup {
    match cell {
        None => html! {},
        Some((None, flag)) => html! { small.doubt { (lang.flag(flag)) } },
        Some((Some(value), flag)) => html! {
            (lang.number(value, parameter.decimals))
            @if matches!(flag, Flag::Suspect | Flag::Bad) { small.doubt { (lang.flag(flag)) } }
        },
    }
}

/// Intervals that people count in, at most 250 of them.
fn gathered(range: Duration) -> Duration {
    const MINUTES: [u64; 9] = [5, 10, 15, 30, 60, 120, 180, 360, 720];
    let minutes = range.as_secs() / 60;
    let every = MINUTES.into_iter().find(|every| minutes / every <= 250).unwrap_or(1_440);
    Duration::from_mins(every)
}
