//! How things are said: two languages, numbers with the right decimal mark, ages in words, times on the province's
//! wall clocks.

use std::time::Duration;

use domain::{Flag, Timestamp};

/// The language of a page. Vietnamese unless `?lang=en` asks otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// Tiếng Việt.
    #[default]
    Vi,
    /// English.
    En,
}

impl Lang {
    /// The language that `?lang=` names; Vietnamese for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "en" { Self::En } else { Self::Vi }
    }

    /// The language's tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// One phrase in this language.
    #[must_use]
    pub const fn say<'a>(self, vi: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }

    /// A link that keeps the language.
    #[must_use]
    pub fn link(self, path: &str) -> String {
        match self {
            Self::Vi => path.to_owned(),
            Self::En if path.contains('?') => format!("{path}&lang=en"),
            Self::En => format!("{path}?lang=en"),
        }
    }

    /// A number as people write it: `4,30` or `4.30`, a true minus sign, no `−0`.
    #[must_use]
    pub fn number(self, value: f64, decimals: u8) -> String {
        let plain = format!("{:.*}", usize::from(decimals), value.abs());
        let negative = value < 0.0 && plain.bytes().any(|b| (b'1'..=b'9').contains(&b));
        let shown = if self == Self::Vi { plain.replace('.', ",") } else { plain };
        if negative { format!("−{shown}") } else { shown }
    }

    /// A limit without needless zeros: `0,3`, `4`.
    #[must_use]
    pub fn limit(self, value: f64) -> String {
        let plain = format!("{value}");
        if self == Self::Vi { plain.replace('.', ",") } else { plain }
    }

    /// How long ago: `5 phút trước`. Anything not in the past is *just now*: a station's clock may run ahead.
    #[must_use]
    pub fn age(self, at: Timestamp, now: Timestamp) -> String {
        let span = self.span(now.since(at));
        match (span, self) {
            (None, Self::Vi) => "vừa xong".to_owned(),
            (None, Self::En) => "just now".to_owned(),
            (Some(span), Self::Vi) => format!("{span} trước"),
            (Some(span), Self::En) => format!("{span} ago"),
        }
    }

    /// How long: `5 phút`; `None` below a minute.
    #[must_use]
    pub fn span(self, time: Duration) -> Option<String> {
        let minutes = time.as_secs() / 60;
        let (count, vi, en) = match minutes {
            0 => return None,
            1..60 => (minutes, "phút", "minute"),
            60..2_880 => (minutes / 60, "giờ", "hour"),
            _ => (minutes / 1_440, "ngày", "day"),
        };
        Some(match self {
            Self::Vi => format!("{count} {vi}"),
            Self::En if count == 1 => format!("1 {en}"),
            Self::En => format!("{count} {en}s"),
        })
    }

    /// A wall clock in Vietnam: `14:05`, with the date where it is not today.
    #[must_use]
    pub fn clock(self, at: Timestamp, now: Timestamp) -> String {
        let local = at.local();
        let time = format!("{:02}:{:02}", local.hour(), local.minute());
        if local.date() == now.local().date() {
            return time;
        }
        format!("{time} {}", self.date(at, now))
    }

    /// A date: `12/3`, with the year where it is another one.
    #[must_use]
    pub fn date(self, at: Timestamp, now: Timestamp) -> String {
        let date = at.local().date();
        let month =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                [usize::try_from(date.month() - 1).unwrap_or(0) % 12];
        let day = match self {
            Self::Vi => format!("{}/{}", date.day(), date.month()),
            Self::En => format!("{} {month}", date.day()),
        };
        match (date.year() == now.local().year(), self) {
            (true, _) => day,
            (false, Self::Vi) => format!("{day}/{}", date.year()),
            (false, Self::En) => format!("{day} {}", date.year()),
        }
    }

    /// How far a number can be trusted.
    #[must_use]
    pub const fn flag(self, flag: Flag) -> &'static str {
        match flag {
            Flag::Good => self.say("tốt", "good"),
            Flag::NotEvaluated => self.say("chưa kiểm tra", "not evaluated"),
            Flag::Suspect => self.say("nghi ngờ", "suspect"),
            Flag::Bad => self.say("hỏng", "bad"),
            Flag::Missing => self.say("thiếu", "missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;

    #[test]
    fn a_number_is_written_as_the_reader_writes_it() {
        assert_eq!(Lang::Vi.number(4.3, 2), "4,30");
        assert_eq!(Lang::En.number(4.3, 2), "4.30");
        assert_eq!(Lang::Vi.number(-0.001, 2), "0,00");
        assert_eq!(Lang::Vi.number(-1.2, 1), "−1,2");
        assert_eq!(Lang::Vi.limit(0.5), "0,5");
        assert_eq!(Lang::En.limit(4.0), "4");
    }

    #[test]
    fn an_age_is_in_words() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let ago = |secs| now - Duration::from_secs(secs);
        assert_eq!(Lang::Vi.age(ago(20), now), "vừa xong");
        assert_eq!(Lang::Vi.age(ago(5 * MINUTE), now), "5 phút trước");
        assert_eq!(Lang::En.age(ago(61), now), "1 minute ago");
        assert_eq!(Lang::Vi.age(ago(3 * 60 * MINUTE), now), "3 giờ trước");
        assert_eq!(Lang::En.age(ago(72 * 60 * MINUTE), now), "3 days ago");
        assert_eq!(Lang::En.age(now + Duration::from_secs(600), now), "just now");
    }

    #[test]
    fn times_are_vietnams() {
        let now = Timestamp::parse_rfc3339("2026-03-11T22:05:00Z").unwrap();
        assert_eq!(Lang::Vi.clock(now, now), "05:05");
        let before = Timestamp::parse_rfc3339("2025-12-31T16:00:00Z").unwrap();
        assert_eq!(Lang::Vi.clock(before, now), "23:00 31/12/2025");
        assert_eq!(Lang::En.clock(before, now), "23:00 31 Dec 2025");
    }
}
