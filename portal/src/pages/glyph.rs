//! A shape for each state, so that colour is never alone: a disc is safe, a triangle is over a limit, a stop sign is
//! over the highest, a diamond is unknown, a crossed ring is silent.

use maud::{Markup, html};

use crate::state::State;
use crate::words::Lang;

/// The shape at a place of a drawing, `r` units around.
pub(crate) fn glyph(state: State, x: f64, y: f64, r: f64) -> Markup {
    let at = |dx: f64, dy: f64| format!("{:.1},{:.1}", x + dx * r, y + dy * r);
    let polygon = |corners: &[(f64, f64)]| {
        corners.iter().map(|&(dx, dy)| at(dx, dy)).collect::<Vec<_>>().join(" ")
    };
    let class = format!("g {}", state.class());
    match state {
        State::Safe => html! { circle class=(class) cx=(f(x)) cy=(f(y)) r=(f(r)) {} },
        State::Exceed { .. } if state.class() == "grave" => {
            html! { polygon class=(class) points=(polygon(&OCTAGON)) {} }
        }
        State::Exceed { .. } => {
            html! { polygon class=(class) points=(polygon(&[(0.0, -1.15), (1.1, 0.9), (-1.1, 0.9)])) {} }
        }
        State::Unknown => {
            let corners = [(0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)];
            html! { polygon class=(class) points=(polygon(&corners)) {} }
        }
        State::Silent | State::Never => html! {
            circle class=(class) cx=(f(x)) cy=(f(y)) r=(f(r)) {}
            path class="cross" d=(format!("M{} L{} M{} L{}", at(-0.5, -0.5), at(0.5, 0.5), at(-0.5, 0.5), at(0.5, -0.5))) {}
        },
        State::Unjudged => {
            html! { circle class=(class) cx=(f(x)) cy=(f(y)) r=(f(r * 0.8)) {} }
        }
    }
}

const OCTAGON: [(f64, f64); 8] = [
    (-0.45, -1.1),
    (0.45, -1.1),
    (1.1, -0.45),
    (1.1, 0.45),
    (0.45, 1.1),
    (-0.45, 1.1),
    (-1.1, 0.45),
    (-1.1, -0.45),
];

/// Shape and word, for text.
pub(crate) fn badge(state: State, lang: Lang, unit: &str) -> Markup {
    html! {
        span.badge {
            svg.shape viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
                (glyph(state, 8.0, 8.0, 6.0))
            }
            span class=(state.class()) { (state.word(lang, unit)) }
        }
    }
}

/// A coordinate: a tenth of a unit is finer than any screen.
pub(crate) fn f(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), ToOwned::to_owned)
}
