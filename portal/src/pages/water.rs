//! What the water of a station was on its last day, by Vietnam's index and classes: in two lines and a small table, or what
//! the index lacks. Which table says it stands beside it.

use std::time::Duration;

use domain::water_quality::limits::{Bound, Judgement, Purpose, Table};
use domain::water_quality::vn_wqi::{Computability, Group, Index, Missing};
use domain::water_quality::{Analyte, Pollution};
use domain::{Every, Shown, Station, Timestamp};
use maud::{Markup, html};

use crate::problem::Problem;
use crate::site::Site;
use crate::view::Book;
use crate::water::{Amount, Asked, Interval, Over, table, usual_column};
use crate::words::Lang;

/// Fewer analytes say nothing of how clean water is: nearly every station measures pH.
const ANALYTES_MIN: usize = 2;

/// An interval that the last 24 hours are all inside of, counted from 1970: until 2084.
const ONE: Duration = Duration::from_hours(1_000_000);

/// The section; nothing where the station measures too little of it, or has not lately.
///
/// # Errors
/// A [`Problem`] where history does not answer.
pub(super) async fn section(
    site: &Site,
    book: &Book,
    station: &Station,
    lang: Lang,
) -> Result<Markup, Problem> {
    let to = site.now() + Duration::from_millis(1);
    let from = to - Duration::from_hours(24);
    let asked = Asked { site, book, station, from, to, as_of: None, shown: Shown::Best };
    let analytes = asked.analytes().await?;
    if analytes.len() < ANALYTES_MIN {
        return Ok(html! {});
    }
    let mut intervals = asked.intervals(&analytes, Every::Span(ONE)).await?;
    let Some(interval) = intervals.pop() else { return Ok(html! {}) };
    let over = match table(Purpose::Classes, from) {
        Some(table) => asked.over(&analytes, (table, usual_column(table))).await?,
        None => Vec::new(),
    };
    Ok(shown(&interval, &over, lang, from))
}

fn shown(interval: &Interval<'_>, over: &[Over<'_>], lang: Lang, from: Timestamp) -> Markup {
    let classes = table(Purpose::Classes, from);
    let class = classes.and_then(|it| interval.judged.iter().find(|(table, _)| *table == it));
    html! {
        section.water {
            h2 { (lang.say("Chất lượng nước 24 giờ qua", "Water quality, last 24 h")) }
            p { (index(&interval.index, lang)) }
            @if let Some(&(table, ref judgement)) = class {
                p { (lang.say("Theo ", "By ")) (table.name) ": " b { (lang.say("loại ", "class ")) (table.name_of(judgement.grade)) } "." }
                (amounts(interval, (table, judgement), over, lang))
            }
        }
    }
}

fn index(index: &Computability, lang: Lang) -> Markup {
    match index {
        Computability::Computed(index) => computed(index, lang),
        Computability::NotComputable { missing } => html! {
            "VN_WQI: " b { (lang.say("chưa tính được", "not computable")) } ", "
            (lang.say("còn thiếu ", "missing "))
            (missing.iter().map(|it| lacks(it, lang)).collect::<Vec<_>>().join("; ")) "."
        },
    }
}

fn computed(index: &Index, lang: Lang) -> Markup {
    let [red, green, blue] = index.label.rgb();
    let colour = format!("#{red:02x}{green:02x}{blue:02x}");
    html! {
        // The Decision's colour; the word beside it says the same to who does not see it.
        span.badge {
            svg.shape viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { circle cx="8" cy="8" r="7" fill=(colour) stroke="currentColor" {} }
            "VN_WQI " (index.value) ", " (lang.say(index.label.vi(), index.label.en()))
        }
        @if index.oxygen_without_salt {
            " " small { (lang.say("(oxy tính như nước ngọt)", "(oxygen as in fresh water)")) }
        }
    }
}

fn lacks(missing: &Missing, lang: Lang) -> String {
    match missing {
        Missing::NotAValue(analyte) => {
            format!(
                "{} ({})",
                lang.say("số đo hợp lý của", "a possible value of"),
                analyte.symbol_and_unit().0
            )
        }
        Missing::WaterTemperature => {
            lang.say("nhiệt độ nước", "the water's temperature").to_owned()
        }
        Missing::OfGroupIv(count) => format!(
            "{count} {} (DO, BOD5, COD, TOC, N-NH4, N-NO3, N-NO2, P-PO4)",
            lang.say("thông số nữa của nhóm IV", "more of group IV")
        ),
        Missing::Groups(count, of) => {
            let names: Vec<&str> = of.iter().map(|group| group_name(*group, lang)).collect();
            let of = names.join(", ");
            format!("{count} {} ({of})", lang.say("nhóm nữa trong số", "more groups out of"))
        }
    }
}

const fn group_name(group: Group, lang: Lang) -> &'static str {
    let (vi, en) = match group {
        Group::Acidity => ("pH", "pH"),
        Group::Pesticides => ("thuốc bảo vệ thực vật", "pesticides"),
        Group::Metals => ("kim loại nặng", "heavy metals"),
        Group::OrganicAndNutrients => ("hữu cơ và dinh dưỡng", "organic matter and nutrients"),
        Group::Bacteria => ("vi khuẩn", "bacteria"),
    };
    match lang {
        Lang::Vi => vi,
        Lang::En => en,
    }
}

fn amounts(
    interval: &Interval<'_>,
    (table, judgement): (&'static Table, &Judgement),
    over: &[Over<'_>],
    lang: Lang,
) -> Markup {
    let grade = |analyte: Analyte| {
        let own = judgement.each.iter().find(|(it, _, _)| *it == analyte);
        own.map(|(_, grade, _)| table.name_of(*grade))
    };
    html! {
        table.readings {
            thead { tr {
                th scope="col" { (lang.say("Thông số", "Analyte")) }
                th.n scope="col" { (lang.say("Trung bình", "Mean")) }
                th.n scope="col" { (lang.say("Loại", "Class")) }
                th scope="col" { (lang.say("Giới hạn loại ", "Limit of class ")) (usual_column(table)) }
            } }
            tbody {
                @for amount in &interval.amounts {
                    tr {
                        th scope="row" { (name(amount, lang)) }
                        td.n { (lang.number(amount.mean, amount.parameter.decimals.saturating_add(1))) }
                        td.n { (grade(amount.analyte).unwrap_or("–")) }
                        td { (limit(over.iter().find(|it| it.analyte == amount.analyte), lang)) }
                    }
                }
            }
        }
    }
}

fn name(amount: &Amount<'_>, lang: Lang) -> Markup {
    let unit = amount.analyte.symbol_and_unit().1;
    html! {
        (lang.say(&amount.parameter.name_vi, &amount.parameter.name_en))
        @if !unit.is_empty() { small { " " (unit) } }
    }
}

/// The limit, and whether it was kept: by duration and share of time, not by a spike.
fn limit(over: Option<&Over<'_>>, lang: Lang) -> Markup {
    let Some(over) = over else { return html! { "–" } };
    let hours = over.exceedance.over.as_secs_f64() / 3_600.0;
    let word = match over.exceedance.pollution {
        Pollution::Held | Pollution::Share => Some(format!(
            "{} {} {}",
            lang.say("vượt", "exceeded for"),
            lang.number(hours, 1),
            lang.say("giờ", "h")
        )),
        Pollution::None => None,
        Pollution::Unknown => Some(lang.say("chưa đủ số liệu", "too little is known").to_owned()),
    };
    html! {
        (bound(over.rule.bound, lang))
        @if let Some(word) = word { " " span.doubt { (word) } }
    }
}

fn bound(bound: Bound, lang: Lang) -> String {
    match bound {
        Bound::AtMost(limit) => format!("≤ {}", lang.limit(limit)),
        Bound::AtLeast(limit) => format!("≥ {}", lang.limit(limit)),
        Bound::Between(low, high) => format!("{} – {}", lang.limit(low), lang.limit(high)),
        Bound::Any => "–".to_owned(),
    }
}
