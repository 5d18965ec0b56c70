//! A series as a drawing: what was trusted as a line that breaks where nothing was measured, what was not as marks
//! beside it, the rules' limits as lines with their numbers.
//!
//! The drawing says in `data-` attributes where its axes begin and end, so that the script can read a value under a
//! finger and draw what arrives later. Without the script nothing is missing.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Flag, Parameter, Timestamp};
use maud::{Markup, html};

use super::glyph::f;
use super::scale::{Scale, times};
use crate::state::level_class;
use crate::view::{Bucket, Limit, Point};
use crate::words::Lang;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 32.0;
const RIGHT: f64 = 394.0;
const TOP: f64 = 12.0;
const FOOT: f64 = 20.0;

/// Marks of readings that are not trusted; a sensor that is broken for a month must not fill the page.
const MARKS_MAX: usize = 150;

/// What is drawn.
pub(crate) struct Series {
    pub(crate) dots: Vec<Dot>,
    /// More than this between two trusted readings is a gap.
    pub(crate) gap: Duration,
    /// Each dot stands for several readings.
    pub(crate) gathered: Option<Duration>,
}

/// One reading, or the readings of one interval.
pub(crate) struct Dot {
    pub(crate) at: Timestamp,
    pub(crate) value: Option<f64>,
    /// Smallest and largest of the interval.
    pub(crate) span: Option<(f64, f64)>,
    pub(crate) flag: Flag,
}

/// From the smallest to the largest of an interval. A total has no such band: what fell in parts of it is less than it.
fn spread(bucket: &Bucket) -> Option<(f64, f64)> {
    let band = bucket.min.zip(bucket.max).map(|(min, max)| (min.value, max.value));
    band.filter(|_| bucket.total.is_none())
}

impl Series {
    pub(crate) fn of_points(points: &[Point], interval: Duration) -> Self {
        let dot = |p: &Point| Dot { at: p.taken_at, value: p.value, span: None, flag: p.flag };
        let gap = interval.saturating_mul(5) / 2;
        Self { dots: points.iter().map(dot).collect(), gap, gathered: None }
    }

    /// The mean or total of an interval is made of trusted values only, whatever else was in it.
    pub(crate) fn of_buckets(buckets: &[Bucket], every: Duration, interval: Duration) -> Self {
        let dot = |bucket: &Bucket| Dot {
            at: bucket.start + every / 2,
            value: bucket.total.or(bucket.mean),
            span: spread(bucket),
            flag: if bucket.mean.is_some() { Flag::Good } else { bucket.flag },
        };
        let dots = buckets.iter().filter(|bucket| bucket.mean.is_some()).map(dot).collect();
        Self { dots, gap: every.max(interval).saturating_mul(5) / 2, gathered: Some(every) }
    }

    fn trusted(&self) -> impl Iterator<Item = (&Dot, f64)> {
        self.dots.iter().filter_map(|dot| {
            let trusted = matches!(dot.flag, Flag::Good | Flag::NotEvaluated);
            Some((dot, dot.value.filter(|value| trusted && value.is_finite())?))
        })
    }

    fn doubted(&self) -> impl Iterator<Item = (&Dot, f64)> {
        self.dots.iter().filter_map(|dot| {
            let doubted = matches!(dot.flag, Flag::Suspect | Flag::Bad);
            Some((dot, dot.value.filter(|value| doubted && value.is_finite())?))
        })
    }
}

/// Where and how it is drawn.
pub(crate) struct Frame<'a> {
    pub(crate) parameter: &'a Parameter,
    pub(crate) limits: &'a [Limit],
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) height: f64,
    pub(crate) lang: Lang,
}

impl Frame<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = (self.to.as_millis() - self.from.as_millis()).max(1) as f64;
        LEFT + (at.as_millis() - self.from.as_millis()) as f64 / whole * (RIGHT - LEFT)
    }

    fn bottom(&self) -> f64 {
        self.height - FOOT
    }

    fn y(&self, scale: &Scale, value: f64) -> f64 {
        scale.place(value, self.bottom(), TOP)
    }

    /// Holds every trusted value; zero where the parameter cannot be negative; the limits that are within reach.
    fn scale(&self, series: &Series) -> Option<Scale> {
        let values = || series.trusted().map(|(_, value)| value);
        let spans = || series.dots.iter().filter_map(|dot| dot.span);
        let low = values().chain(spans().map(|span| span.0)).reduce(f64::min)?;
        let high = values().chain(spans().map(|span| span.1)).reduce(f64::max)?;
        let from_zero = self.parameter.code.as_str().starts_with("salinity");
        let low = if from_zero { low.min(0.0) } else { low };
        let above = self.limits.iter().map(|limit| limit.limit).find(|&limit| high < limit);
        let reach = above.filter(|&limit| limit < 2.0 * high).or_else(|| {
            // All is below the lowest limit: it is what people measure by, unless it would flatten the line.
            above.filter(|_| {
                self.limits
                    .first()
                    .is_some_and(|first| high < first.limit && first.limit < 8.0 * high)
            })
        });
        Some(Scale::around(low, reach.map_or(high, |limit| high.max(limit * 1.05)), 5.0))
    }
}

/// The drawing, with its caption; a sentence where nothing was trusted.
pub(crate) fn chart(frame: &Frame<'_>, series: &Series) -> Markup {
    let (lang, parameter) = (frame.lang, frame.parameter);
    let name = lang.say(&parameter.name_vi, &parameter.name_en);
    let Some(scale) = frame.scale(series) else {
        return html! {
            figure {
                figcaption { b { (name) } }
                p.none { (lang.say("Không có số đo tốt trong khoảng này.", "No good reading in this range.")) }
            }
        };
    };
    html! {
        figure {
            figcaption {
                b { (name) } @if !parameter.unit.is_empty() { " (" (parameter.unit) ")" } ": "
                (summary(frame, series))
            }
            svg.chart viewBox=(format!("0 0 {} {}", f(WIDTH), f(frame.height))) role="img"
                aria-label=(format!("{name}: {}", summary(frame, series)))
                data-left=(f(LEFT)) data-right=(f(RIGHT)) data-top=(f(TOP)) data-bottom=(f(frame.bottom()))
                data-from=(frame.from.as_millis()) data-to=(frame.to.as_millis())
                data-low=(scale.low) data-high=(scale.high) {
                (grid(frame, &scale))
                @if series.gathered.is_some() { path.band d=(band(frame, &scale, series)) {} }
                (limits(frame, &scale))
                path.line d=(line(frame, &scale, series)) {}
                (marks(frame, &scale, series))
            }
        }
    }
}

fn summary(frame: &Frame<'_>, series: &Series) -> String {
    let lang = frame.lang;
    let number = |value| lang.number(value, frame.parameter.decimals);
    let values = || series.trusted().map(|(_, value)| value);
    let spans = || series.dots.iter().filter_map(|dot| dot.span);
    let low = values().chain(spans().map(|span| span.0)).reduce(f64::min);
    let high = values().chain(spans().map(|span| span.1)).reduce(f64::max);
    let (Some(low), Some(high)) = (low, high) else { return String::new() };
    let (least, most) = (lang.say("thấp nhất", "lowest"), lang.say("cao nhất", "highest"));
    format!("{least} {}, {most} {}", number(low), number(high))
}

fn grid(frame: &Frame<'_>, scale: &Scale) -> Markup {
    let times = times(frame.from, frame.to, 6);
    let days = Duration::from_secs(86_400) <= frame.to.since(frame.from) / 4;
    html! {
        @for &tick in &scale.ticks {
            @let y = frame.y(scale, tick);
            path.grid d=(format!("M{} {}H{}", f(LEFT), f(y), f(RIGHT))) {}
            text.axis x=(f(LEFT - 4.0)) y=(f(y + 3.5)) text-anchor="end" { (frame.lang.number(tick, scale.decimals)) }
        }
        @for &tick in &times {
            @let x = frame.x(tick);
            path.grid d=(format!("M{} {}V{}", f(x), f(TOP), f(frame.bottom()))) {}
            text.axis x=(f(x.clamp(LEFT + 8.0, RIGHT - 10.0))) y=(f(frame.bottom() + 14.0)) text-anchor="middle" {
                (hour(tick, days, frame))
            }
        }
    }
}

/// `06h`, and at midnight the day.
fn hour(at: Timestamp, days: bool, frame: &Frame<'_>) -> String {
    let hour = at.local().hour();
    if days || hour == 0 {
        return frame.lang.date(at, frame.to);
    }
    format!("{hour:02}{}", frame.lang.say("h", ":00"))
}

fn limits(frame: &Frame<'_>, scale: &Scale) -> Markup {
    let inside = frame.limits.iter().filter(|l| scale.low < l.limit && l.limit <= scale.high);
    // The highest first: where two numbers would lie on each other, the graver one is told.
    let mut told: Vec<f64> = Vec::new();
    let drawn: Vec<(&Limit, f64, bool)> = inside
        .rev()
        .map(|limit| {
            let y = frame.y(scale, limit.limit);
            let room = told.iter().all(|other| 10.0 < (other - y).abs());
            if room {
                told.push(y);
            }
            (limit, y, room)
        })
        .collect();
    html! {
        @for (limit, y, room) in drawn {
            @let class = format!("limit {}", level_class(limit.level, limit.of));
            path class=(class) d=(format!("M{} {}H{}", f(LEFT), f(y), f(RIGHT))) {}
            @if room {
                text class=(class) x=(f(LEFT + 3.0)) y=(f(y - 2.0)) {
                    (frame.lang.say("ngưỡng ", "limit ")) (frame.lang.limit(limit.limit)) " " (frame.parameter.unit)
                }
            }
        }
    }
}

/// The trusted readings; the pen is lifted over every gap.
fn line(frame: &Frame<'_>, scale: &Scale, series: &Series) -> String {
    let mut path = String::new();
    for run in runs(series) {
        for (n, &(dot, value)) in run.iter().enumerate() {
            let (x, y) = (f(frame.x(dot.at)), f(frame.y(scale, value)));
            let pen = if n == 0 { 'M' } else { 'L' };
            write!(path, "{pen}{x} {y}").expect("writing to a string does not fail");
        }
        // A lone reading is a dot: a line of no length with a round end.
        if run.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

fn runs(series: &Series) -> Vec<Vec<(&Dot, f64)>> {
    let mut runs: Vec<Vec<(&Dot, f64)>> = Vec::new();
    for (dot, value) in series.trusted() {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|l| dot.at.since(l.0.at) <= series.gap) => {
                run.push((dot, value));
            }
            _ => runs.push(vec![(dot, value)]),
        }
    }
    runs
}

/// From the smallest to the largest of each interval.
fn band(frame: &Frame<'_>, scale: &Scale, series: &Series) -> String {
    let mut path = String::new();
    for run in runs(series) {
        let corner =
            |dot: &Dot, value: f64| format!("{} {}", f(frame.x(dot.at)), f(frame.y(scale, value)));
        let spans = || run.iter().filter_map(|(dot, _)| Some((*dot, dot.span?)));
        let there = spans().map(|(dot, span)| corner(dot, span.1));
        let back = spans().rev().map(|(dot, span)| corner(dot, span.0));
        let corners: Vec<String> = there.chain(back).collect();
        if !corners.is_empty() {
            write!(path, "M{}Z", corners.join("L")).expect("writing to a string does not fail");
        }
    }
    path
}

/// Readings that are not trusted: a diamond is suspect, a cross is bad. One outside the axis stands at its edge.
fn marks(frame: &Frame<'_>, scale: &Scale, series: &Series) -> Markup {
    html! {
        @for (dot, value) in series.doubted().take(MARKS_MAX) {
            @let (x, y) = (f(frame.x(dot.at)), f(frame.y(scale, value.clamp(scale.low, scale.high))));
            @let number = frame.lang.number(value, frame.parameter.decimals);
            @if dot.flag == Flag::Bad {
                path.bad d=(format!("M{x} {y}m-3-3l6 6m0-6l-6 6")) { title { (number) " (" (frame.lang.flag(dot.flag)) ")" } }
            } @else {
                path.suspect d=(format!("M{x} {y}m0-4l4 4l-4 4l-4-4z")) { title { (number) " (" (frame.lang.flag(dot.flag)) ")" } }
            }
        }
    }
}
