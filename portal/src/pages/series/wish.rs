//! What the form of the corrections desk asks for: everything as it was typed, so that it stands there again when it is
//! refused. Times are the wall clock of Vietnam; numbers may have a comma.

use std::time::Duration;

use domain::Timestamp;
use serde::Deserialize;

use crate::api::edits::EditWanted;
use crate::problem::Problem;

/// Vietnam's clock is ahead of UTC by this all year.
const OFFSET_MS: i64 = 7 * 3_600_000;

/// A range is typed to the second, and its last second is in it.
const SECOND: Duration = Duration::from_secs(1);

/// The fields of the form.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    pub(crate) csrf: String,
    pub(crate) lang: String,
    /// What is drawn.
    pub(crate) from: String,
    pub(crate) to: String,
    /// What is to be changed.
    pub(crate) edit_from: String,
    pub(crate) edit_to: String,
    pub(crate) act: String,
    pub(crate) by: String,
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) reason: String,
}

impl Wish {
    /// Does it say what to do?
    pub(crate) fn is_tried(&self) -> bool {
        !self.act.is_empty()
    }

    /// What is chosen, its end not included.
    pub(crate) fn range(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = moment(&self.edit_from).zip(moment(&self.edit_to))?;
        (from <= to).then_some((from, to + SECOND))
    }

    /// The wish as the API takes it. Numbers that do not belong to the act are not looked at: the form shows all fields to
    /// who has no script.
    ///
    /// # Errors
    /// A [`Problem`] that names the field.
    pub(crate) fn wanted(&self, parameter: &str) -> Result<EditWanted, Problem> {
        let from = moment(&self.edit_from).ok_or_else(|| unreadable("edit_from"))?;
        let to = moment(&self.edit_to).ok_or_else(|| unreadable("edit_to"))? + SECOND;
        let (mut by, mut start, mut end) = (None, None, None);
        match self.act.as_str() {
            "offset" => by = Some(number("by", &self.by)?),
            "drift" => {
                (start, end) =
                    (Some(number("start", &self.start)?), Some(number("end", &self.end)?));
            }
            // Without numbers the line is tied to the readings on both sides.
            "interpolate" if !(self.start.is_empty() && self.end.is_empty()) => {
                (start, end) =
                    (Some(number("start", &self.start)?), Some(number("end", &self.end)?));
            }
            _ => {}
        }
        Ok(EditWanted {
            parameter: parameter.to_owned(),
            from: from.to_string(),
            to: to.to_string(),
            act: self.act.clone(),
            by,
            start,
            end,
            every: None,
            reason: self.reason.trim().to_owned(),
        })
    }
}

fn number(field: &str, text: &str) -> Result<f64, Problem> {
    let plain = text.trim().replace(',', ".").replace('−', "-");
    let read = plain.parse::<f64>().ok().filter(|number| number.is_finite());
    read.ok_or_else(|| Problem::bad_query(format!("`{field}` is not a number: `{}`", short(text))))
}

/// An instant as a form or an address writes it: the wall clock of Vietnam, or RFC 3339.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = Timestamp::parse_rfc3339(text) {
        return Some(instant);
    }
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(Timestamp::from_millis(utc - OFFSET_MS))
}

/// The wall clock of Vietnam as a form writes it.
pub(crate) fn local(at: Timestamp) -> String {
    at.local().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

pub(crate) fn unreadable(key: &str) -> Problem {
    Problem::bad_query(format!("`{key}` is not a time; write it as 2026-03-12T05:00:00"))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_vietnams_and_the_last_second_is_in_the_range() {
        let wish = Wish {
            edit_from: "2026-03-12T05:00".to_owned(),
            edit_to: "2026-03-12T06:00:30".to_owned(),
            ..Wish::default()
        };
        let (from, to) = wish.range().unwrap();
        assert_eq!(from.to_string(), "2026-03-11T22:00:00.000Z");
        assert_eq!(to.to_string(), "2026-03-11T23:00:31.000Z");
        assert_eq!(local(from), "2026-03-12T05:00:00");
        assert_eq!(moment("2026-03-11T22:00:00Z"), Some(from));
        assert_eq!(moment("yesterday"), None);
        let turned = Wish { edit_from: wish.edit_to, edit_to: wish.edit_from, ..Wish::default() };
        assert_eq!(turned.range(), None);
    }

    #[test]
    fn numbers_may_have_a_comma_and_are_asked_for_by_the_act() {
        let wish = |act: &str, by: &str, start: &str, end: &str| Wish {
            edit_from: "2026-03-12T05:00".to_owned(),
            edit_to: "2026-03-12T06:00".to_owned(),
            act: act.to_owned(),
            by: by.to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            ..Wish::default()
        };
        assert_eq!(wish("offset", "−0,4", "", "").wanted("ph").unwrap().by, Some(-0.4));
        assert!(wish("offset", "", "", "").wanted("ph").is_err());
        assert!(wish("offset", "NaN", "", "").wanted("ph").is_err());
        let drift = wish("drift", "7", "0", "-0.4").wanted("ph").unwrap();
        assert_eq!((drift.by, drift.start, drift.end), (None, Some(0.0), Some(-0.4)));
        assert_eq!(wish("interpolate", "", "", "").wanted("ph").unwrap().start, None);
        assert!(wish("interpolate", "", "1", "").wanted("ph").is_err());
    }
}
