//! Does a rule fit the book? One that watches what nobody measures, or a limit that no good reading can reach, would
//! stand there for years and say nothing. Asked when a rule is written and, because the book may change under a rule,
//! by the engine whenever it reads the book.

use domain::{Parameter, ParameterCode, Rule, RuleCode, StationCode};

/// Why a rule cannot be computed at some or all of its stations.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// Nothing of that name is measured.
    #[error("rule `{rule}` names the parameter `{parameter}`, which is not in the registry{hint}")]
    NoSuchParameter {
        /// The rule.
        rule: RuleCode,
        /// What it names.
        parameter: ParameterCode,
        /// The nearest name that is there, in words.
        hint: String,
    },
    /// Without a gross range no reading is ever good, and only good readings speak.
    #[error(
        "rule `{rule}`: the parameter `{parameter}` has no range of possible values, so none of \
         its readings could be trusted; the nearest that has one is {nearest}"
    )]
    NoRange {
        /// The rule.
        rule: RuleCode,
        /// Its parameter.
        parameter: ParameterCode,
        /// The parameter with a range that is spelt most like it.
        nearest: String,
    },
    /// No good reading is as high as the limit, or none as low as it must be to clear it.
    #[error(
        "rule `{rule}`: limit {limit} with clear {clear} can never be reached and left, because \
         `{parameter}` goes from {low} to {high} {unit}"
    )]
    OutsideRange {
        /// The rule.
        rule: RuleCode,
        /// Its parameter.
        parameter: ParameterCode,
        /// The level's limit.
        limit: f64,
        /// The level's clear.
        clear: f64,
        /// The smallest possible value.
        low: f64,
        /// The largest.
        high: f64,
        /// Their unit.
        unit: String,
    },
    /// Nothing of that name stands anywhere.
    #[error("rule `{rule}` names the station `{station}`, which is not in the registry{hint}")]
    NoSuchStation {
        /// The rule.
        rule: RuleCode,
        /// What it names.
        station: StationCode,
        /// The nearest name that is there, in words.
        hint: String,
    },
}

impl Misfit {
    /// The reason as counters and logs write it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoSuchParameter { .. } => "no_such_parameter",
            Self::NoRange { .. } => "no_range",
            Self::OutsideRange { .. } => "outside_range",
            Self::NoSuchStation { .. } => "no_such_station",
        }
    }
}

/// Everything that keeps `rule` from being computed with these parameters at these stations: first what concerns all
/// of it, then each station that is not there.
#[must_use]
pub fn misfits(rule: &Rule, parameters: &[Parameter], stations: &[StationCode]) -> Vec<Misfit> {
    let missing = rule.stations.iter().filter(|code| !stations.contains(code));
    let missing = missing.map(|station| Misfit::NoSuchStation {
        rule: rule.code.clone(),
        station: station.clone(),
        hint: hint(station.as_str(), stations.iter().map(StationCode::as_str)),
    });
    on_parameter(rule, parameters).into_iter().chain(missing).collect()
}

fn on_parameter(rule: &Rule, parameters: &[Parameter]) -> Option<Misfit> {
    let (code, of) = (rule.code.clone(), rule.parameter.clone());
    let Some(parameter) = parameters.iter().find(|known| known.code == of) else {
        let known = parameters.iter().map(|known| known.code.as_str());
        let hint = hint(of.as_str(), known);
        return Some(Misfit::NoSuchParameter { rule: code, parameter: of, hint });
    };
    let Some(range) = parameter.fail else {
        let ranged = parameters.iter().filter(|known| known.fail.is_some());
        let nearest = nearest(of.as_str(), ranged.map(|known| known.code.as_str()));
        let nearest = nearest.map_or("none".to_owned(), |name| format!("`{name}`"));
        return Some(Misfit::NoRange { rule: code, parameter: of, nearest });
    };
    // A good value may be as high as `high`, and must get below `clear` without going below `low`.
    let idle = rule.levels.iter().find(|l| range.high < l.limit || l.clear <= range.low)?;
    Some(Misfit::OutsideRange {
        rule: code,
        parameter: of,
        limit: idle.limit,
        clear: idle.clear,
        low: range.low,
        high: range.high,
        unit: parameter.unit.clone(),
    })
}

fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(word, known);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{Level, standard_parameters};

    use super::*;

    fn rule(parameter: &str, stations: &[&str], limit: f64, clear: f64) -> Rule {
        Rule {
            code: RuleCode::new("salt").unwrap(),
            name: "Mặn".to_owned(),
            parameter: ParameterCode::new(parameter).unwrap(),
            stations: stations.iter().map(|code| StationCode::new(code).unwrap()).collect(),
            levels: vec![Level { limit, clear }],
            hold: Duration::ZERO,
        }
    }

    /// The book has the standard parameters, one without a range, and two stations.
    fn check(rule: &Rule, expected: &[&str]) {
        let mut parameters = standard_parameters();
        let mut bare = parameters[0].clone();
        (bare.code, bare.fail) = (ParameterCode::new("salinity_deep").unwrap(), None);
        parameters.push(bare);
        let stations = ["xuan-hoa", "vam-kenh"].map(|code| StationCode::new(code).unwrap());
        let found = misfits(rule, &parameters, &stations);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_rule_that_can_be_reached_and_left_fits() {
        check(&rule("salinity", &[], 4.0, 3.6), &[]);
        check(&rule("salinity", &["xuan-hoa"], 40.0, 0.0), &[]);
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_nearest_right_one() {
        let parameter = "rule `salt` names the parameter `salinty`, which is not in the registry; \
                         did you mean `salinity`?";
        check(&rule("salinty", &[], 4.0, 3.6), &[parameter]);
        let station = "rule `salt` names the station `xuan-ho`, which is not in the registry; did \
                       you mean `xuan-hoa`?";
        check(&rule("salinity", &["vam-kenh", "xuan-ho"], 4.0, 3.6), &[station]);
    }

    #[test]
    fn a_parameter_without_a_range_could_never_speak() {
        let said = "rule `salt`: the parameter `salinity_deep` has no range of possible values, so \
                    none of its readings could be trusted; the nearest that has one is `salinity`";
        check(&rule("salinity_deep", &[], 4.0, 3.6), &[said]);
    }

    #[test]
    fn a_limit_out_of_reach_is_told_with_the_range() {
        for (limit, clear) in [(40.1, 39.0), (4.0, -0.05), (4.0, -1.0)] {
            let said = format!(
                "rule `salt`: limit {limit} with clear {clear} can never be reached and left, \
                 because `salinity` goes from -0.05 to 40 g/L"
            );
            check(&rule("salinity", &[], limit, clear), &[&said]);
        }
    }
}
