//! Reads a query string strictly: a key that is not known or not readable is told, with what would be accepted,
//! because a mistyped `parameters=` that is ignored answers a question nobody asked.

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;
use domain::{BadTime, Every, Flag, Shown, Timestamp};

use crate::problem::Problem;

/// The pairs of a query string.
#[derive(Debug, Default)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads the query of `uri`, whose keys must be among `known` and named once.
    ///
    /// # Errors
    /// A [`Problem`] that names the key.
    pub fn strict(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let pairs = Self::lenient(uri)?;
        for (at, (key, _)) in pairs.0.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                let accepted = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad_query(format!(
                    "`{}` is not a key here; accepted: {accepted}",
                    short(key)
                )));
            }
            if pairs.0.iter().take(at).any(|(before, _)| before == key) {
                return Err(Problem::bad_query(format!("`{key}` is given twice")));
            }
        }
        Ok(pairs)
    }

    /// Reads the query of `uri`, whatever its keys: for pages, which links from elsewhere may decorate.
    ///
    /// # Errors
    /// A [`Problem`] where it is not a query string.
    pub fn lenient(uri: &Uri) -> Result<Self, Problem> {
        Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(pairs)| Self(pairs))
            .map_err(|_| Problem::bad_query("the query is not `key=value&…` in UTF-8"))
    }

    /// The value of `key`, unless it is absent or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// An instant.
    ///
    /// # Errors
    /// A [`Problem`] that says what a time looks like.
    pub fn time(&self, key: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        Timestamp::parse_rfc3339(text).map(Some).map_err(|bad| {
            let hint = match bad {
                // In a query `+` means a space: the most common way to lose an offset.
                BadTime::Malformed | BadTime::NoOffset if text.contains(' ') => {
                    "; write `+` as %2B, or use Z"
                }
                _ => "; write it as 2026-03-12T05:00:00Z",
            };
            Problem::bad_query(format!("`{key}`: {bad}: `{}`{hint}", short(text)))
        })
    }

    /// A duration such as `15m`, `1h`, `1d`.
    ///
    /// # Errors
    /// A [`Problem`] that says what a duration looks like.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        duration(text).map(Some).ok_or_else(|| {
            Problem::bad_query(format!(
                "`{key}`: not a duration: `{}`; write a number and s, m, h or d, as 15m",
                short(text)
            ))
        })
    }

    /// How time is cut: a duration, counted from 1970 (UTC); `day` or `month` of Vietnam's calendar; `tidal-day`.
    ///
    /// # Errors
    /// A [`Problem`] that says what can be written.
    pub fn every(&self, key: &str) -> Result<Option<Every>, Problem> {
        match self.get(key) {
            Some("day") => Ok(Some(Every::Day)),
            Some("month") => Ok(Some(Every::Month)),
            Some("tidal-day") => Ok(Some(Every::TIDAL_DAY)),
            Some(text) if duration(text).is_none() => Err(Problem::bad_query(format!(
                "`{key}`: not an interval: `{}`; write a number and s, m, h or d, as 15m, or day, month (Vietnam's) or tidal-day",
                short(text)
            ))),
            _ => Ok(self.duration(key)?.map(Every::Span)),
        }
    }

    /// Which layers of a series: best, raw, corrected or approved.
    ///
    /// # Errors
    /// A [`Problem`] that says what can be written.
    pub fn layer(&self) -> Result<Shown, Problem> {
        let Some(word) = self.get("layer") else { return Ok(Shown::default()) };
        Shown::from_word(word).ok_or_else(|| {
            let all: Vec<&str> = Shown::ALL.iter().map(|(word, _)| *word).collect();
            Problem::bad_query(format!("`layer` is one of {}", all.join(", ")))
        })
    }

    /// A number.
    ///
    /// # Errors
    /// A [`Problem`] where it is none, or not finite.
    pub fn number(&self, key: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let read = text.parse().ok().filter(|number: &f64| number.is_finite());
        read.map(Some).ok_or_else(|| {
            Problem::bad_query(format!("`{key}`: `{}` is not a number, as 4 or 0.5", short(text)))
        })
    }

    /// A whole number between `low` and `high`.
    ///
    /// # Errors
    /// A [`Problem`] that names the bounds.
    pub fn count(&self, key: &str, low: u32, high: u32) -> Result<Option<u32>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let read = text.parse().ok().filter(|count| (low..=high).contains(count));
        read.map(Some).ok_or_else(|| {
            Problem::bad_query(format!(
                "`{key}`: `{}` is not a whole number from {low} to {high}",
                short(text)
            ))
        })
    }

    /// Quality flags as QARTOD numbers, comma between them.
    ///
    /// # Errors
    /// A [`Problem`] that lists the numbers.
    pub fn flags(&self, key: &str) -> Result<Option<Vec<Flag>>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let flag = |part: &str| part.trim().parse().ok().and_then(Flag::from_number);
        text.split(',').map(flag).collect::<Option<Vec<Flag>>>().map(Some).ok_or_else(|| {
            Problem::bad_query(format!(
                "`{key}`: `{}` is not a list of 1 (good), 2 (not evaluated), 3 (suspect), 4 (bad), 9 (missing)",
                short(text)
            ))
        })
    }
}

pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).filter(|&s| 0 < s).map(Duration::from_secs)
}

/// What was found, for an answer: enough to recognise it.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Pairs {
        let uri: Uri = format!("/?{query}").parse().unwrap();
        Pairs::strict(&uri, &["from", "every", "points", "flags"]).unwrap()
    }

    #[test]
    fn what_cannot_be_read_says_what_would_be() {
        let uri: Uri = "/?parameters=ph".parse().unwrap();
        let problem = Pairs::strict(&uri, &["parameter"]).unwrap_err();
        assert_eq!(problem.detail(), "`parameters` is not a key here; accepted: parameter");
        let problem = pairs("from=2026-03-12T05:00:00+07:00").time("from").unwrap_err();
        assert!(problem.detail().contains("%2B"), "{}", problem.detail());
        let problem = pairs("from=2026-03-12T05:00:00").time("from").unwrap_err();
        assert!(problem.detail().contains("no offset"), "{}", problem.detail());
        for bad in ["15", "m", "0m", "-1h", "1w", "99999999999999999999d"] {
            assert!(pairs(&format!("every={bad}")).duration("every").is_err(), "{bad}");
        }
        assert!(pairs("points=0").count("points", 1, 10).is_err());
        assert!(pairs("flags=1,7").flags("flags").is_err());
    }

    #[test]
    fn what_can_be_read_is_read() {
        assert_eq!(pairs("every=15m").duration("every").unwrap(), Some(Duration::from_mins(15)));
        assert_eq!(
            pairs("flags=1,3").flags("flags").unwrap(),
            Some(vec![Flag::Good, Flag::Suspect])
        );
        assert!(pairs("from=2026-03-12T05:00:00%2B07:00").time("from").unwrap().is_some());
        assert_eq!(pairs("from=").time("from").unwrap(), None);
    }
}
