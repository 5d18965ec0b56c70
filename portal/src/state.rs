//! How a station stands, as one of six answers, each with a colour, a shape and a word. Silence is never *safe*.

use std::time::Duration;

use domain::{Station, Timestamp, Water};

use crate::view::{Book, Latest, Standing};
use crate::words::Lang;

/// The state of a station on the map and in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum State {
    /// Good readings reached a level of a rule.
    Exceed {
        /// The level, 0 the lowest.
        level: u8,
        /// How many levels the rule has.
        of: u8,
        /// The limit reached, in the parameter's unit.
        limit: Option<f64>,
    },
    /// Good readings stand below every limit.
    Safe,
    /// It speaks, but nothing good enough to judge by.
    Unknown,
    /// It has not spoken for two intervals.
    Silent,
    /// It has never spoken.
    Never,
    /// It speaks, and no rule watches it.
    Unjudged,
}

impl State {
    /// The state of `station`, from the newest thing it said and what the rules say of it.
    #[must_use]
    pub fn of<'a>(
        station: &Station,
        newest: Option<Timestamp>,
        standing: impl Iterator<Item = &'a Standing>,
        book: &Book,
        now: Timestamp,
    ) -> Self {
        let Some(newest) = newest else { return Self::Never };
        let worst = standing.max_by_key(|s| severity(s.water));
        if is_old(newest, station.interval, now) {
            return Self::Silent;
        }
        match worst {
            None => Self::Unjudged,
            Some(Standing { water: Water::Safe, .. }) => Self::Safe,
            Some(Standing { water: Water::Unknown, .. }) => Self::Unknown,
            Some(Standing { water: Water::Exceed(level), rule, limit, .. }) => {
                let of = book.rule(rule).map_or(1, |rule| rule.levels.len());
                Self::Exceed {
                    level: *level,
                    of: u8::try_from(of).unwrap_or(u8::MAX),
                    limit: *limit,
                }
            }
        }
    }

    /// The class that colours it: the stylesheet knows these seven.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Exceed { level, of, .. } => level_class(level, of),
            Self::Safe => "safe",
            Self::Unknown => "unknown",
            Self::Silent | Self::Never => "silent",
            Self::Unjudged => "plain",
        }
    }

    /// The word for it. `unit` belongs to the limit.
    #[must_use]
    pub fn word(self, lang: Lang, unit: &str) -> String {
        match self {
            Self::Exceed { level, of, limit } => {
                let over = match limit {
                    Some(limit) => {
                        format!("{} {} {unit}", lang.say("vượt", "over"), lang.limit(limit))
                    }
                    None => lang.say("vượt ngưỡng", "over the limit").to_owned(),
                };
                if of < 2 {
                    return over;
                }
                format!("{over} · {} {}/{of}", lang.say("mức", "level"), u16::from(level) + 1)
            }
            Self::Safe => lang.say("an toàn", "safe").to_owned(),
            Self::Unknown => lang.say("chưa rõ", "unknown").to_owned(),
            Self::Silent => lang.say("mất tín hiệu", "signal lost").to_owned(),
            Self::Never => lang.say("chưa có số liệu", "no data yet").to_owned(),
            Self::Unjudged => lang.say("chưa đặt ngưỡng", "no limit set").to_owned(),
        }
    }

    /// What has to be seen first is first.
    #[must_use]
    pub const fn urgency(self) -> u8 {
        match self {
            Self::Exceed { level, .. } => 10_u8.saturating_add(level),
            Self::Silent => 4,
            Self::Unknown => 3,
            Self::Safe => 2,
            Self::Unjudged => 1,
            Self::Never => 0,
        }
    }

    /// Is the newest number too old to stand without a remark?
    #[must_use]
    pub const fn is_silent(self) -> bool {
        matches!(self, Self::Silent | Self::Never)
    }
}

/// The colour of a level: the highest level of a rule is always the gravest colour.
#[must_use]
pub const fn level_class(level: u8, of: u8) -> &'static str {
    if level + 1 >= of {
        "grave"
    } else if level == 0 && 2 < of {
        "watch"
    } else {
        "high"
    }
}

/// Two intervals without a word: the measure of *unknown* everywhere in the product.
#[must_use]
pub fn is_old(taken_at: Timestamp, interval: Duration, now: Timestamp) -> bool {
    interval.saturating_mul(2) < now.since(taken_at)
}

/// The newest thing among `latest`.
#[must_use]
pub fn newest<'a>(latest: impl Iterator<Item = &'a Latest>) -> Option<Timestamp> {
    latest.map(|value| value.taken_at).max()
}

const fn severity(water: Water) -> u16 {
    match water {
        Water::Safe => 0,
        Water::Unknown => 1,
        Water::Exceed(level) => 2 + level as u16,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Level, ParameterCode, Rule, RuleCode, StationCode};

    use super::*;

    fn standing(water: Water) -> Standing {
        Standing {
            rule: RuleCode::new("salinity-intake").unwrap(),
            station: StationCode::new("xuan-hoa").unwrap(),
            parameter: ParameterCode::new("salinity").unwrap(),
            water,
            limit: matches!(water, Water::Exceed(_)).then_some(1.0),
            value: Some(1.2),
            taken_at: None,
            since: None,
            why: None,
        }
    }

    fn state(minutes_ago: Option<u64>, waters: &[Water]) -> State {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let station = Station::new(StationCode::new("xuan-hoa").unwrap());
        let rule = Rule {
            code: RuleCode::new("salinity-intake").unwrap(),
            name: "Lấy nước".to_owned(),
            parameter: ParameterCode::new("salinity").unwrap(),
            stations: vec![],
            levels: vec![Level { limit: 1.0, clear: 0.8 }, Level { limit: 4.0, clear: 3.5 }],
            hold: Duration::ZERO,
        };
        let book = Book { rules: vec![rule], ..Book::default() };
        let standing: Vec<Standing> = waters.iter().map(|&w| standing(w)).collect();
        let newest = minutes_ago.map(|m| now - Duration::from_mins(m));
        State::of(&station, newest, standing.iter(), &book, now)
    }

    #[test]
    fn silence_is_never_safe() {
        assert_eq!(state(Some(31), &[Water::Safe]), State::Silent);
        assert_eq!(state(None, &[Water::Safe]), State::Never);
        assert_eq!(state(Some(30), &[Water::Safe]), State::Safe);
        assert_eq!(state(Some(1), &[Water::Safe, Water::Unknown]), State::Unknown);
        assert_eq!(state(Some(1), &[]), State::Unjudged);
    }

    #[test]
    fn the_worst_rule_speaks_for_the_station() {
        let worst = state(Some(1), &[Water::Unknown, Water::Exceed(0), Water::Safe]);
        assert_eq!(worst, State::Exceed { level: 0, of: 2, limit: Some(1.0) });
        assert_eq!(worst.word(Lang::Vi, "g/L"), "vượt 1 g/L · mức 1/2");
        assert_eq!(worst.class(), "high");
        assert_eq!(level_class(0, 1), "grave");
        assert_eq!(level_class(0, 5), "watch");
    }
}
