//! The series as it came, as it is shown and as it would be, over each other, with what is chosen and what people changed.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Edit, Flag, Parameter, Timestamp};
use maud::{Markup, html};

use crate::pages::glyph::f;
use crate::pages::scale::{Scale, times};
use crate::view::Point;
use crate::words::Lang;

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 992.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 312.0;

/// The bars of what people changed lie in this height above the axis.
const BAR: f64 = 7.0;

/// Marks of readings that are not trusted.
const MARKS_MAX: usize = 300;

/// What is drawn, and how.
pub(super) struct Drawing<'a> {
    pub(super) parameter: &'a Parameter,
    pub(super) lang: Lang,
    pub(super) span: (Timestamp, Timestamp),
    pub(super) chosen: Option<(Timestamp, Timestamp)>,
    pub(super) edits: &'a [&'a Edit],
    /// More than this between two readings lifts the pen.
    pub(super) gap: Duration,
}

impl Drawing<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let (from, to) = (self.span.0.as_millis(), self.span.1.as_millis());
        let part = (at.as_millis() - from) as f64 / (to - from).max(1) as f64;
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// One line through all readings that have a value; in each pixel its lowest and its highest, so that a spike stays and
    /// a page of a season is not larger than one of a day.
    fn line(&self, scale: &Scale, points: &[Point]) -> String {
        let mut path = String::new();
        let mut last: Option<Timestamp> = None;
        for (at, value) in thinned(points, |at| self.x(at)) {
            let lift = last.is_none_or(|last| self.gap.max(self.pixel() * 3) < at.since(last));
            let (x, y) = (f(self.x(at)), f(y(scale, value)));
            let pen = if lift { 'M' } else { 'L' };
            write!(path, "{pen}{x} {y}").expect("writing to a string does not fail");
            if lift {
                path.push_str("h0");
            }
            last = Some(at);
        }
        path
    }

    fn pixel(&self) -> Duration {
        self.span.1.since(self.span.0).div_f64(RIGHT - LEFT)
    }
}

fn y(scale: &Scale, value: f64) -> f64 {
    scale.place(value.clamp(scale.low, scale.high), BOTTOM, TOP)
}

fn thinned(points: &[Point], x: impl Fn(Timestamp) -> f64) -> Vec<(Timestamp, f64)> {
    let valued = |point: &Point| Some((point.taken_at, point.value.filter(|it| it.is_finite())?));
    let all: Vec<(Timestamp, f64)> = points.iter().filter_map(valued).collect();
    if all.len() <= 2 * (RIGHT - LEFT) as usize {
        return all;
    }
    let column = |at: Timestamp| x(at).floor();
    let mut kept = Vec::new();
    for run in all.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let least = run.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let most = run.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let mut pair: Vec<_> = least.into_iter().chain(most).copied().collect();
        pair.sort_by_key(|point| point.0);
        pair.dedup_by_key(|point| point.0);
        kept.extend(pair);
    }
    kept
}

/// The drawing. The axis holds what is shown and what is tried; of what came as bad it holds what fits.
pub(super) fn drawing(
    it: &Drawing<'_>,
    raw: &[Point],
    best: &[Point],
    tried: Option<&[Point]>,
) -> Markup {
    let (lang, parameter) = (it.lang, it.parameter);
    let Some(scale) = scale(best, tried, raw) else {
        return html! { p.none { (lang.say("Không có số đo nào trong khoảng này.", "No reading in this range.")) } };
    };
    let name = lang.say(&parameter.name_vi, &parameter.name_en);
    html! {
        figure {
            figcaption {
                b { (name) } @if !parameter.unit.is_empty() { " (" (parameter.unit) ")" }
                span.legend {
                    span.raw { "━ " (lang.say("gốc", "as it came")) } " "
                    span.shown { "━ " (lang.say("hiện", "shown")) } " "
                    @if tried.is_some() { span.tried { "┅ " (lang.say("thử", "tried")) } " " }
                    span { "◆ " (lang.say("nghi ngờ", "suspect")) " ✕ " (lang.say("hỏng", "bad")) }
                }
            }
            svg.chart.series viewBox=(format!("0 0 {} {}", f(WIDTH), f(HEIGHT))) role="img" aria-label=(name)
                data-left=(f(LEFT)) data-right=(f(RIGHT)) data-top=(f(TOP)) data-bottom=(f(BOTTOM))
                data-from=(it.span.0.as_millis()) data-to=(it.span.1.as_millis()) data-low=(scale.low) data-high=(scale.high) {
                (grid(it, &scale))
                rect.chosen x=(f(chosen(it).0)) y=(f(TOP)) width=(f(chosen(it).1)) height=(f(BOTTOM - TOP)) {}
                (bars(it))
                path.raw d=(it.line(&scale, raw)) {}
                path.line d=(it.line(&scale, &counted(best))) {}
                @if let Some(tried) = tried { path.tried d=(it.line(&scale, &counted(tried))) {} }
                (marks(it, &scale, raw))
            }
        }
    }
}

/// What anything is made of.
fn counted(points: &[Point]) -> Vec<Point> {
    let counts = |point: &&Point| !matches!(point.flag, Flag::Bad | Flag::Missing);
    points.iter().filter(counts).copied().collect()
}

fn scale(best: &[Point], tried: Option<&[Point]>, raw: &[Point]) -> Option<Scale> {
    let mut shown = counted(best);
    shown.extend(counted(tried.unwrap_or_default()));
    if shown.iter().all(|point| point.value.is_none()) {
        shown = raw.to_vec();
    }
    let values = || shown.iter().filter_map(|point| point.value).filter(|it| it.is_finite());
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    Some(Scale::around(low, high, 6.0))
}

fn chosen(it: &Drawing<'_>) -> (f64, f64) {
    let (from, to) = it.chosen.map_or((LEFT, LEFT), |(from, to)| (it.x(from), it.x(to)));
    (from, (to - from).max(0.0))
}

fn bars(it: &Drawing<'_>) -> Markup {
    html! {
        @for edit in it.edits {
            @let (left, right) = (it.x(edit.from), it.x(edit.to));
            @let class = if edit.withdrawn.is_some() { "edited withdrawn" } else { "edited" };
            rect class=(class) x=(f(left)) y=(f(BOTTOM - BAR)) width=(f((right - left).max(2.0))) height=(f(BAR)) {
                title { "#" (edit.id) " " (edit.reason) }
            }
        }
    }
}

fn grid(it: &Drawing<'_>, scale: &Scale) -> Markup {
    let days = Duration::from_hours(48) <= it.span.1.since(it.span.0);
    html! {
        @for &tick in &scale.ticks {
            @let y = y(scale, tick);
            path.grid d=(format!("M{} {}H{}", f(LEFT), f(y), f(RIGHT))) {}
            text.axis x=(f(LEFT - 5.0)) y=(f(y + 4.0)) text-anchor="end" { (it.lang.number(tick, scale.decimals)) }
        }
        @for tick in times(it.span.0, it.span.1, 10) {
            @let x = it.x(tick);
            path.grid d=(format!("M{} {}V{}", f(x), f(TOP), f(BOTTOM))) {}
            text.axis x=(f(x.clamp(LEFT + 12.0, RIGHT - 14.0))) y=(f(BOTTOM + 17.0)) text-anchor="middle" {
                @if days { (it.lang.date(tick, it.span.1)) } @else { (it.lang.clock(tick, it.span.1)) }
            }
        }
    }
}

fn marks(it: &Drawing<'_>, scale: &Scale, raw: &[Point]) -> Markup {
    let doubted = raw.iter().filter_map(|point| Some((point, point.value?)));
    let doubted = doubted.filter(|(point, _)| matches!(point.flag, Flag::Suspect | Flag::Bad));
    html! {
        @for (point, value) in doubted.take(MARKS_MAX) {
            @let (x, y) = (f(it.x(point.taken_at)), f(y(scale, value)));
            @if point.flag == Flag::Bad { path.bad d=(format!("M{x} {y}m-3-3l6 6m0-6l-6 6")) {} }
            @else { path.suspect d=(format!("M{x} {y}m0-4l4 4l-4 4l-4-4z")) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Layer;

    use super::*;

    #[test]
    fn a_thinned_line_keeps_every_spike() {
        let point = |n: i64| Point {
            taken_at: Timestamp::from_millis(n * 1_000),
            value: Some(if n == 12_345 { 99.0 } else { (n % 7) as f64 }),
            flag: Flag::Good,
            layer: Layer::Raw,
        };
        let points: Vec<Point> = (0..30_000).map(point).collect();
        let x = |at: Timestamp| at.as_millis() as f64 / 30_000.0;
        let kept = thinned(&points, x);
        assert!(kept.len() <= 2_100, "{}", kept.len());
        assert!(kept.iter().any(|point| point.1 == 99.0));
        assert!(kept.is_sorted_by_key(|point| point.0));
        assert_eq!(thinned(&points[..100], x).len(), 100);
    }
}
