//! The province as a drawing: rivers as lines with their kilometres from the mouth, stations as shapes with names.
//! Schematic: an equirectangular projection at the middle of the stations, true enough for fifty kilometres.
//!
//! Names must be legible, so each looks for a free place around its station: near first, then further off with a
//! line that leads to it. A name that finds none is left to the table beside and the shape's own title.

use maud::{Markup, html};

use domain::{Place, Station};

use super::glyph::{f, glyph};
use crate::state::State;
use crate::view::{Course, River};
use crate::words::Lang;

/// Units across. About one pixel on a phone.
const WIDTH: f64 = 400.0;

/// Left free on each side of the outermost stations, for names.
const MARGIN: f64 = 34.0;

/// The drawing is at least and at most this high, whatever the stations' places.
const HEIGHT: (f64, f64) = (265.0, 460.0);

/// A shape's reach.
const R: f64 = 6.0;

/// A name's height, and the mean width of its letters, at the size the stylesheet gives.
const LINE: f64 = 13.0;
const LETTER: f64 = 6.1;

/// Stations that get a name on the drawing: more could not be read. All get their shape.
const NAMES_MAX: usize = 40;

/// Kilometres of a degree of latitude.
const KM_PER_DEGREE: f64 = 111.2;

/// A station to draw.
pub(crate) struct Spot<'a> {
    pub(crate) station: &'a Station,
    pub(crate) state: State,
    /// Its value as shown, without a unit.
    pub(crate) value: Option<String>,
    /// Everything in words, for who points at it.
    pub(crate) title: String,
}

/// The drawing; nothing where no station has a place.
pub(crate) fn map(rivers: &[River], spots: &[Spot<'_>], lang: Lang) -> Option<Markup> {
    let view = Projection::of(spots.iter().filter_map(|spot| spot.station.place))?;
    let placed: Vec<(&Spot<'_>, Point)> =
        spots.iter().filter_map(|spot| Some((spot, view.project(spot.station.place?)))).collect();
    let lines: Vec<(&River, Vec<Point>)> =
        rivers.iter().map(|river| (river, view.line(&river.line))).collect();
    let mut taken: Vec<Box2> = placed.iter().map(|(_, at)| Box2::around(*at, R + 1.0)).collect();
    let names = names(&placed, &lines, &view, &mut taken);
    let along = rivers.iter().filter(|river| river.course == Course::River);
    let marks: Vec<Mark> = along.flat_map(|river| kilometres(river, &view, &mut taken)).collect();
    let titles: Vec<Mark> = lines
        .iter()
        .filter(|(river, _)| river.course != Course::Coast)
        .filter_map(|(river, line)| river_title(river, line, &view, &mut taken, lang))
        .collect();
    let label = lang.say(
        "Sơ đồ các trạm; bảng bên cạnh nói cùng nội dung",
        "Schematic of the stations; the table beside says the same",
    );
    Some(html! {
        svg.map viewBox=(format!("0 0 {} {}", f(WIDTH), f(view.height))) role="group" aria-label=(label) {
            @for (river, line) in &lines {
                @if 1 < line.len() { path class=(stroke(river.course)) d=(path(line)) {} }
            }
            @for mark in &marks {
                circle.km cx=(f(mark.at.x)) cy=(f(mark.at.y)) r="1.5" {}
                text.km x=(f(mark.text.x)) y=(f(mark.text.y)) text-anchor="middle" { (mark.word) }
            }
            @for title in &titles {
                text.rname x=(f(title.text.x)) y=(f(title.text.y)) text-anchor="middle" { (title.word) }
            }
            @for name in names.iter().filter(|name| name.leads) {
                path.lead d=(path(&[name.from, name.to])) {}
            }
            @for (spot, at) in &placed {
                a href=(lang.link(&format!("/s/{}", spot.station.code))) {
                    title { (spot.title) }
                    circle.touch cx=(f(at.x)) cy=(f(at.y)) r="14" {}
                    (glyph(spot.state, at.x, at.y, R))
                }
            }
            @for name in &names {
                text.name x=(f(name.text.x)) y=(f(name.text.y)) text-anchor=(name.anchor) {
                    (name.word)
                    @if let Some(value) = &name.value { " " tspan class=(name.class) { (value) } }
                }
            }
            text.note x=(f(WIDTH - 4.0)) y=(f(view.height - 5.0)) text-anchor="end" { (lang.say("sơ đồ (schematic)", "schematic")) }
        }
    })
}

const fn stroke(course: Course) -> &'static str {
    match course {
        Course::River => "river",
        Course::Canal => "canal",
        Course::Coast => "coast",
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    x: f64,
    y: f64,
}

impl Point {
    fn far(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A box that holds something legible.
#[derive(Debug, Clone, Copy)]
struct Box2 {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box2 {
    fn around(at: Point, reach: f64) -> Self {
        Self { left: at.x - reach, top: at.y - reach, right: at.x + reach, bottom: at.y + reach }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, at: Point) -> bool {
        self.left < at.x && at.x < self.right && self.top < at.y && at.y < self.bottom
    }
}

struct Projection {
    west: f64,
    north: f64,
    shrink: f64,
    scale: f64,
    left: f64,
    top: f64,
    height: f64,
}

impl Projection {
    /// Fits all places between the margins, in their middle.
    fn of(places: impl Iterator<Item = Place>) -> Option<Self> {
        let places: Vec<Place> =
            places.filter(|place| place.lat.is_finite() && place.lon.is_finite()).collect();
        let low = |of: fn(&Place) -> f64| places.iter().map(of).reduce(f64::min);
        let high = |of: fn(&Place) -> f64| places.iter().map(of).reduce(f64::max);
        let (south, north) = (low(|p| p.lat)?, high(|p| p.lat)?);
        let (west, east) = (low(|p| p.lon)?, high(|p| p.lon)?);
        let shrink = f64::midpoint(south, north).to_radians().cos();
        // Two kilometres at least, so that a lone station does not fill the drawing.
        let wide = ((east - west) * shrink).max(0.02);
        let tall = (north - south).max(0.02);
        let scale = ((WIDTH - 2.0 * MARGIN) / wide).min((HEIGHT.1 - 2.0 * MARGIN) / tall);
        let height = (tall * scale + 2.0 * MARGIN).clamp(HEIGHT.0, HEIGHT.1);
        let left = (WIDTH - (east - west) * shrink * scale) / 2.0;
        let top = (height - (north - south) * scale) / 2.0;
        Some(Self { west, north, shrink, scale, left, top, height })
    }

    fn project(&self, place: Place) -> Point {
        Point {
            x: self.left + (place.lon - self.west) * self.shrink * self.scale,
            y: self.top + (self.north - place.lat) * self.scale,
        }
    }

    /// A river's line: what lies far outside is left out, and steps below a pixel too.
    fn line(&self, places: &[Place]) -> Vec<Point> {
        let mut line: Vec<Point> = Vec::new();
        for point in places.iter().map(|&place| self.project(place)) {
            let near = -WIDTH < point.x && point.x < 2.0 * WIDTH && point.y.abs() < 2.0 * HEIGHT.1;
            if near && line.last().is_none_or(|last| 0.8 < last.far(point)) {
                line.push(point);
            }
        }
        line
    }

    fn shows(&self, spot: &Box2) -> bool {
        1.0 < spot.left
            && spot.right < WIDTH - 1.0
            && 1.0 < spot.top
            && spot.bottom < self.height - 14.0
    }
}

struct Name<'a> {
    word: &'a str,
    value: Option<&'a str>,
    class: &'static str,
    text: Point,
    anchor: &'static str,
    from: Point,
    to: Point,
    leads: bool,
}

/// Places the names, the most urgent first.
fn names<'a>(
    placed: &[(&'a Spot<'a>, Point)],
    lines: &[(&River, Vec<Point>)],
    view: &Projection,
    taken: &mut Vec<Box2>,
) -> Vec<Name<'a>> {
    let mut order: Vec<&(&Spot<'_>, Point)> = placed.iter().collect();
    order.sort_by_key(|(spot, _)| std::cmp::Reverse(spot.state.urgency()));
    let mut leads: Vec<Vec<Point>> = Vec::new();
    let mut names = Vec::new();
    for &&(spot, at) in order.iter().take(NAMES_MAX) {
        let word = short(&spot.station.name);
        let letters =
            word.chars().count() + spot.value.as_ref().map_or(0, |value| value.chars().count() + 1);
        let wide = letters as f64 * LETTER;
        let best = candidates(at, wide)
            .filter(|place| view.shows(&place.area))
            .filter(|place| !taken.iter().any(|other| other.meets(&place.area)))
            .filter(|place| !leads.iter().flatten().any(|&point| place.area.holds(point)))
            .map(|place| {
                let lead = steps(at, place.to);
                let beyond = lead.iter().filter(|&&point| R + 2.0 < point.far(at));
                let crossed = beyond.filter(|&&p| taken.iter().any(|other| other.holds(p))).count();
                let wet = lines.iter().flat_map(|(_, line)| line.windows(2));
                let wet =
                    wet.filter(|w| steps(w[0], w[1]).iter().any(|&p| place.area.holds(p))).count();
                (place.cost + 300.0 * crossed as f64 + 6.0 * wet.min(4) as f64, place)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, place)) = best else { continue };
        taken.push(place.area);
        let far = R + 8.0 < at.far(place.to);
        if far {
            leads.push(steps(at, place.to));
        }
        names.push(Name {
            word,
            value: spot.value.as_deref(),
            class: spot.state.class(),
            text: place.text,
            anchor: place.anchor,
            from: at,
            to: place.to,
            leads: far,
        });
    }
    names
}

/// The name without what stands in brackets: the table has it whole.
fn short(name: &str) -> &str {
    name.split_once(" (").map_or(name, |(short, _)| short)
}

/// A place that a name could take.
struct Candidate {
    area: Box2,
    text: Point,
    anchor: &'static str,
    /// Where a leading line would end.
    to: Point,
    cost: f64,
}

fn candidates(at: Point, wide: f64) -> impl Iterator<Item = Candidate> {
    const AROUND: [(f64, f64); 12] = [
        (1.0, 0.0),
        (-1.0, 0.0),
        (0.0, -1.0),
        (0.0, 1.0),
        (0.8, -0.7),
        (0.8, 0.7),
        (-0.8, -0.7),
        (-0.8, 0.7),
        (0.4, -1.0),
        (0.4, 1.0),
        (-0.4, -1.0),
        (-0.4, 1.0),
    ];
    const REACHES: [f64; 8] = [10.0, 17.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0];
    REACHES.into_iter().flat_map(move |reach| {
        AROUND.into_iter().map(move |(dx, dy)| {
            let to = Point { x: at.x + dx * reach, y: at.y + dy * reach };
            let (anchor, left) = if dx > 0.5 {
                ("start", to.x)
            } else if dx < -0.5 {
                ("end", to.x - wide)
            } else {
                ("middle", to.x - wide / 2.0)
            };
            let middle = if dy < -0.5 {
                to.y - LINE / 2.0
            } else if dy > 0.5 {
                to.y + LINE / 2.0
            } else {
                to.y
            };
            let area = Box2 {
                left: left - 1.5,
                right: left + wide + 1.5,
                top: middle - LINE / 2.0,
                bottom: middle + LINE / 2.0,
            };
            Candidate { area, text: Point { x: to.x, y: middle + 4.0 }, anchor, to, cost: reach }
        })
    })
}

/// Points along a line, four units apart.
fn steps(from: Point, to: Point) -> Vec<Point> {
    // A line of the drawing crosses it at most a few times: 512 steps of four units.
    let count = (from.far(to) / 4.0).ceil().clamp(1.0, 512.0) as u32;
    (0..=count)
        .map(|n| {
            let part = f64::from(n) / f64::from(count);
            Point { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part }
        })
        .collect()
}

/// A word at a river.
struct Mark {
    at: Point,
    text: Point,
    word: String,
}

/// Every ten kilometres from the mouth, along the river, where there is room.
fn kilometres(river: &River, view: &Projection, taken: &mut Vec<Box2>) -> Vec<Mark> {
    const EVERY_KM: f64 = 10.0;
    let mut marks = Vec::new();
    let (mut gone, mut next) = (0.0, EVERY_KM);
    for pair in river.line.windows(2) {
        let step = km(pair[0], pair[1]);
        while next <= gone + step && marks.len() < 64 {
            let part = (next - gone) / step;
            let place = Place {
                lat: pair[0].lat + (pair[1].lat - pair[0].lat) * part,
                lon: pair[0].lon + (pair[1].lon - pair[0].lon) * part,
            };
            let at = view.project(place);
            let text = Point { x: at.x, y: at.y + 12.0 };
            let area = Box2 {
                left: at.x - 14.0,
                right: at.x + 14.0,
                top: at.y - 3.0,
                bottom: at.y + 14.0,
            };
            if view.shows(&area) && !taken.iter().any(|other| other.meets(&area)) {
                taken.push(area);
                marks.push(Mark { at, text, word: format!("{next:.0} km") });
            }
            next += EVERY_KM;
        }
        gone += step;
    }
    marks
}

fn km(a: Place, b: Place) -> f64 {
    let shrink = f64::midpoint(a.lat, b.lat).to_radians().cos();
    (a.lat - b.lat).hypot((a.lon - b.lon) * shrink) * KM_PER_DEGREE
}

/// The river's name beside its line, where there is room.
fn river_title(
    river: &River,
    line: &[Point],
    view: &Projection,
    taken: &mut Vec<Box2>,
    lang: Lang,
) -> Option<Mark> {
    let word = lang.say(&river.name, &river.name_en);
    let half = word.chars().count() as f64 * LETTER / 2.0;
    let wet = line.windows(2).flat_map(|pair| steps(pair[0], pair[1]));
    let places = wet.step_by(3).flat_map(|at| [14.0, -9.0, 22.0, -18.0].map(|down| (at, down)));
    let (at, text, area) = places
        .map(|(at, down)| {
            let text = Point { x: at.x, y: at.y + down };
            let (top, bottom) = (text.y - 10.0, text.y + 3.0);
            (at, text, Box2 { left: text.x - half, right: text.x + half, top, bottom })
        })
        .find(|(_, _, area)| view.shows(area) && !taken.iter().any(|other| other.meets(area)))?;
    taken.push(area);
    Some(Mark { at, text, word: word.to_owned() })
}

fn path(line: &[Point]) -> String {
    let points: Vec<String> = line.iter().map(|p| format!("{} {}", f(p.x), f(p.y))).collect();
    format!("M{}", points.join("L"))
}

#[cfg(test)]
mod tests {
    use domain::StationCode;

    use super::*;

    #[test]
    fn names_never_lie_on_each_other() {
        let stations: Vec<Station> = (0..12)
            .map(|n| Station {
                name: format!("Trạm số {n}"),
                place: Some(Place {
                    lat: 10.30 + f64::from(n % 3) * 0.004,
                    lon: 106.30 + f64::from(n) * 0.012,
                }),
                ..Station::new(StationCode::new(&format!("s{n}")).unwrap())
            })
            .collect();
        let spots: Vec<Spot<'_>> = stations
            .iter()
            .map(|station| Spot {
                station,
                state: State::Safe,
                value: Some("4,3".to_owned()),
                title: String::new(),
            })
            .collect();
        let view = Projection::of(stations.iter().filter_map(|s| s.place)).unwrap();
        let placed: Vec<_> =
            spots.iter().map(|s| (s, view.project(s.station.place.unwrap()))).collect();
        let mut taken: Vec<Box2> = placed.iter().map(|(_, at)| Box2::around(*at, R)).collect();
        let shapes = taken.len();
        let names = names(&placed, &[], &view, &mut taken);
        assert_eq!(names.len(), stations.len());
        for (n, name) in taken.iter().enumerate().skip(shapes) {
            assert!(view.shows(name));
            assert!(!taken.iter().take(n).any(|other| other.meets(name)), "{n}");
        }
    }

    #[test]
    fn a_lone_station_and_none_are_drawn_too() {
        assert!(map(&[], &[], Lang::Vi).is_none());
        let place = Some(Place { lat: 10.3, lon: 106.5 });
        let station = Station { place, ..Station::new(StationCode::new("a").unwrap()) };
        let spot =
            Spot { station: &station, state: State::Never, value: None, title: "A".to_owned() };
        let drawn = map(&[], &[spot], Lang::Vi).unwrap().into_string();
        assert!(drawn.contains("sơ đồ") && !drawn.contains("NaN"), "{drawn}");
    }
}
