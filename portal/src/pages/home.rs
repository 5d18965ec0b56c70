//! `/`: the province now. The warnings in words, the map, and the table that says the same.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State as Given;
use axum::http::Uri;
use axum::response::Response;
use domain::{Flag, Shown, Station, StationCode, Timestamp, Water};
use maud::{Markup, html};

use super::glyph::badge;
use super::map::{Spot, map};
use super::{Page, answer, lang_of};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::shown;
use crate::site::Site;
use crate::state::{State, is_old, newest};
use crate::view::{Book, Latest, Standing};
use crate::words::Lang;

/// Stations on the first page: with more it would pass 50 kB. `?all=1` shows every one.
const STATIONS_MAX: usize = 40;

/// Warnings told one by one; the rest are counted.
const WARNINGS_MAX: usize = 12;

pub(crate) const SALINITY: &str = "salinity";
pub(crate) const WATER_LEVEL: &str = "water_level";

/// A station with what is known of it now.
struct Row<'a> {
    station: &'a Station,
    state: State,
    salinity: Option<&'a Latest>,
    level: Option<&'a Latest>,
    newest: Option<Timestamp>,
}

/// `GET /`
pub(crate) async fn home(Given(site): Given<Arc<Site>>, uri: Uri) -> Response {
    let lang = lang_of(&uri);
    answer(&site, lang, page(&site, lang, &uri).await)
}

async fn page(site: &Site, lang: Lang, uri: &Uri) -> Result<Markup, Problem> {
    let all = Pairs::lenient(uri)?.get("all").is_some();
    let book = site.view.book().await?;
    let latest = shown::latest(site, &book, Shown::Best, None).await?;
    let standing = site.view.standing();
    let now = site.now();
    let rows = rows(&book, &latest, &standing, now);
    let (picked, hidden) = pick(&rows, if all { usize::MAX } else { STATIONS_MAX });
    let title = lang.say("Độ mặn hôm nay", "Salinity today");
    let body = html! {
        h1 { (title) }
        p.lead { (sentence(&rows, lang, now)) }
        (warnings(&book, &standing, &rows, lang, now))
        div.wide {
            section aria-label=(lang.say("Sơ đồ", "Map")) {
                @if let Some(map) = map(&book.rivers, &spots(&picked, lang, now), lang) { (map) (legend(lang)) }
            }
            section aria-label=(lang.say("Bảng các trạm", "Table of stations")) {
                (table(&book, &picked, lang, now))
                @if 0 < hidden {
                    p { a href=(lang.link("/?all=1")) {
                        (lang.say("Xem thêm ", "Show ")) (hidden) (lang.say(" trạm", " more stations"))
                    } }
                }
            }
        }
    };
    Ok(Page::new(site, lang, title, "/").refresh(120).show(&body))
}

/// By river in the book's order, then from the mouth up; stations without a river last.
fn rows<'a>(
    book: &'a Book,
    latest: &'a [Latest],
    standing: &'a [Standing],
    now: Timestamp,
) -> Vec<Row<'a>> {
    let mut said: HashMap<&StationCode, Vec<&Latest>> = HashMap::new();
    for value in latest {
        said.entry(&value.station).or_default().push(value);
    }
    let mut judged: HashMap<&StationCode, Vec<&Standing>> = HashMap::new();
    for one in standing {
        judged.entry(&one.station).or_default().push(one);
    }
    let row = |station: &'a Station| {
        let said = said.get(&station.code).map_or(&[][..], Vec::as_slice);
        let judged = judged.get(&station.code).map_or(&[][..], Vec::as_slice);
        let of = |code: &str| said.iter().copied().find(|value| value.parameter.as_str() == code);
        let newest = newest(said.iter().copied());
        let state = State::of(station, newest, judged.iter().copied(), book, now);
        Row { station, state, salinity: of(SALINITY), level: of(WATER_LEVEL), newest }
    };
    let mut rows: Vec<Row<'a>> = book.stations.iter().map(row).collect();
    rows.sort_by(|a, b| {
        let river = |row: &Row<'_>| {
            let code = row.station.river.as_deref();
            (river_order(book, code), code.unwrap_or_default().to_owned())
        };
        let km = |row: &Row<'_>| row.station.km_from_mouth.unwrap_or(f64::INFINITY);
        river(a)
            .cmp(&river(b))
            .then(km(a).total_cmp(&km(b)))
            .then_with(|| a.station.code.cmp(&b.station.code))
    });
    rows
}

fn river_order(book: &Book, code: Option<&str>) -> usize {
    let Some(code) = code else { return usize::MAX };
    book.rivers.iter().position(|river| river.code == code).unwrap_or(usize::MAX - 1)
}

/// The rows to show, in their order: where there are too many, the most urgent.
fn pick<'a, 'b>(rows: &'b [Row<'a>], most: usize) -> (Vec<&'b Row<'a>>, usize) {
    let mut urgent: Vec<usize> = (0..rows.len()).collect();
    urgent.sort_by_key(|&n| std::cmp::Reverse(rows[n].state.urgency()));
    urgent.truncate(most);
    urgent.sort_unstable();
    let hidden = rows.len() - urgent.len();
    (urgent.into_iter().map(|n| &rows[n]).collect(), hidden)
}

/// Today in one sentence.
fn sentence(rows: &[Row<'_>], lang: Lang, now: Timestamp) -> String {
    let count = |wanted: fn(State) -> bool| rows.iter().filter(|row| wanted(row.state)).count();
    let over = count(|state| matches!(state, State::Exceed { .. }));
    let lost = count(State::is_silent);
    let saltiest = rows
        .iter()
        .filter(|row| !row.state.is_silent())
        .filter_map(|row| Some((row, row.salinity.filter(|value| is_trusted(value))?)))
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let all = rows.len();
    let mut said = match lang {
        Lang::Vi if all == 0 => return "Chưa có trạm nào.".to_owned(),
        Lang::En if all == 0 => return "There is no station yet.".to_owned(),
        Lang::Vi => format!("{}, {}: ", lang.date(now, now), lang.clock(now, now)),
        Lang::En => format!("{}, {}: ", lang.date(now, now), lang.clock(now, now)),
    };
    said += &match (lang, over) {
        (Lang::Vi, 0) => "không trạm nào vượt ngưỡng".to_owned(),
        (Lang::Vi, _) => format!("{over} trong {all} trạm vượt ngưỡng mặn"),
        (Lang::En, 0) => "no station is over its limit".to_owned(),
        (Lang::En, 1) => format!("1 of {all} stations is over its limit"),
        (Lang::En, _) => format!("{over} of {all} stations are over their limits"),
    };
    if let Some((row, value)) = saltiest {
        let name = &row.station.name;
        let number = lang.number(value.value, 2);
        let age = lang.age(value.taken_at, now);
        said += &match lang {
            Lang::Vi => format!("; mặn nhất là {name}, {number} g/L ({age})"),
            Lang::En => format!("; the saltiest is {name} with {number} g/L ({age})"),
        };
    }
    if 0 < lost {
        said += &match lang {
            Lang::Vi => format!("; {lost} trạm không có tín hiệu, chưa biết ở đó ra sao"),
            Lang::En if lost == 1 => {
                "; 1 station is silent and nobody knows how it is there".to_owned()
            }
            Lang::En => format!("; {lost} stations are silent and nobody knows how it is there"),
        };
    }
    said + "."
}

pub(crate) fn is_trusted(value: &Latest) -> bool {
    matches!(value.flag, Flag::Good | Flag::NotEvaluated)
}

fn warnings(
    book: &Book,
    standing: &[Standing],
    rows: &[Row<'_>],
    lang: Lang,
    now: Timestamp,
) -> Markup {
    let mut over: Vec<&Standing> =
        standing.iter().filter(|one| matches!(one.water, Water::Exceed(_))).collect();
    over.sort_by(|a, b| b.water.cmp(&a.water).then_with(|| a.station.cmp(&b.station)));
    let unsure: Vec<&str> = rows
        .iter()
        .filter(|row| matches!(row.state, State::Unknown | State::Silent))
        .map(|row| row.station.name.as_str())
        .collect();
    html! {
        section.warnings aria-label=(lang.say("Cảnh báo", "Warnings")) {
            @if over.is_empty() {
                p { (lang.say("Không có cảnh báo nào đang mở.", "No warning is open.")) }
            } @else {
                ul {
                    @for one in over.iter().take(WARNINGS_MAX) { (warning(book, one, lang, now)) }
                }
                @if WARNINGS_MAX < over.len() {
                    p { (lang.say("và ", "and ")) (over.len() - WARNINGS_MAX) (lang.say(" cảnh báo khác, xem bảng.", " more warnings, see the table.")) }
                }
            }
            @if !unsure.is_empty() {
                p.unsure {
                    (lang.say("Chưa biết được ở: ", "Nobody can say for: "))
                    (unsure.iter().take(WARNINGS_MAX).copied().collect::<Vec<_>>().join(", "))
                    @if WARNINGS_MAX < unsure.len() { ", …" }
                    (lang.say(" (không có số đo tốt).", " (no good reading)."))
                }
            }
        }
    }
}

fn warning(book: &Book, one: &Standing, lang: Lang, now: Timestamp) -> Markup {
    let station = book.station(one.station.as_str());
    let name = station.map_or(one.station.as_str(), |station| &station.name);
    let parameter = book.parameter(one.parameter.as_str());
    let unit = parameter.map_or("", |parameter| parameter.unit.as_str());
    let what = parameter.map_or(one.parameter.as_str(), |p| lang.say(&p.name_vi, &p.name_en));
    let level = if let Water::Exceed(level) = one.water { level } else { 0 };
    let of =
        book.rule(&one.rule).map_or(1, |rule| u8::try_from(rule.levels.len()).unwrap_or(u8::MAX));
    let state = State::Exceed { level, of, limit: one.limit };
    html! {
        li {
            (badge(state, lang, unit))
            " "
            strong { a href=(lang.link(&format!("/s/{}", one.station))) { (name) } }
            ": " (what.to_lowercase()) " "
            @if let Some(value) = one.value {
                b { (lang.number(value, parameter.map_or(2, |p| p.decimals))) " " (unit) }
            }
            @if let Some(at) = one.taken_at { " (" (lang.age(at, now)) ")" }
            @if let Some(since) = one.since { ", " (lang.say("từ ", "since ")) (lang.clock(since, now)) } "."
        }
    }
}

fn spots<'a>(rows: &[&Row<'a>], lang: Lang, now: Timestamp) -> Vec<Spot<'a>> {
    let spot = |row: &&Row<'a>| {
        let value = row.salinity.filter(|value| is_trusted(value) && !row.state.is_silent());
        let said = row.salinity.map(|value| {
            format!("{} g/L, {}", lang.number(value.value, 2), lang.age(value.taken_at, now))
        });
        let mut title = format!("{}: {}", row.station.name, row.state.word(lang, "g/L"));
        if let Some(said) = said {
            title += &format!(" · {said}");
        }
        let value = value.map(|value| lang.number(value.value, 1));
        Spot { station: row.station, state: row.state, value, title }
    };
    rows.iter().map(spot).collect()
}

fn legend(lang: Lang) -> Markup {
    let over = |level| State::Exceed { level, of: 3, limit: None };
    let words = [
        (State::Safe, lang.say("an toàn", "safe")),
        (over(0), lang.say("chạm ngưỡng", "over the first limit")),
        (over(1), lang.say("cao", "high")),
        (over(2), lang.say("mức cao nhất", "highest level")),
        (State::Unknown, lang.say("chưa rõ", "unknown")),
        (State::Silent, lang.say("mất tín hiệu", "signal lost")),
    ];
    html! {
        ul.legend aria-label=(lang.say("Chú giải", "Legend")) {
            @for (state, word) in words {
                li {
                    svg.shape viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" { (super::glyph::glyph(state, 8.0, 8.0, 6.0)) }
                    (word)
                }
            }
        }
    }
}

fn table(book: &Book, rows: &[&Row<'_>], lang: Lang, now: Timestamp) -> Markup {
    let mut river = None;
    let starts: Vec<bool> = rows
        .iter()
        .map(|row| {
            let here = Some(row.station.river.as_deref());
            let starts = here != river;
            river = here;
            starts
        })
        .collect();
    html! {
        table.stations {
            caption.sr { (lang.say("Các trạm theo sông, từ cửa sông ngược lên", "Stations by river, from the mouth up")) }
            thead { tr {
                th scope="col" { (lang.say("Trạm", "Station")) }
                th.n scope="col" { (lang.say("Mặn", "Salt")) small { " g/L" } }
                th.n scope="col" { (lang.say("Nước", "Level")) small { " m" } }
                th scope="col" { (lang.say("Trạng thái", "State")) }
            } }
            tbody {
                @for (row, starts) in rows.iter().zip(starts) {
                    @if starts {
                        tr.river { th colspan="4" scope="colgroup" {
                            (row.station.river.as_deref().map_or(lang.say("Nơi khác", "Elsewhere"), |code| book.river_name(code, lang)))
                        } }
                    }
                    tr class=[row.state.is_silent().then_some("old")] {
                        th scope="row" {
                            a href=(lang.link(&format!("/s/{}", row.station.code))) { (row.station.name) }
                            @if let Some(km) = row.station.km_from_mouth { small { " km " (lang.number(km, 0)) } }
                        }
                        td.n { (number(row, row.salinity, lang, now)) }
                        td.n { (number(row, row.level, lang, now)) }
                        td {
                            (badge(row.state, lang, "g/L"))
                            @if let Some(at) = row.newest { small.age { (lang.age(at, now)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A number of the table. Its own age stands with it where it is older than what the station said last.
fn number(row: &Row<'_>, value: Option<&Latest>, lang: Lang, now: Timestamp) -> Markup {
    let Some(value) = value else { return html! { span.none { "–" } } };
    let alone = is_old(value.taken_at, row.station.interval, now) && !row.state.is_silent();
    html! {
        (lang.number(value.value, 2))
        @if !is_trusted(value) { small.doubt { (lang.flag(value.flag)) } }
        @if alone { small.doubt { (lang.age(value.taken_at, now)) } }
    }
}
