//! `rules.toml`: one `[[rule]]` each, its levels lowest first.

use std::collections::HashSet;

use domain::{Level, Rule};

use super::section::{Section, parse};
use super::{PackError, Problem, RULES};

const KEYS: [&str; 6] = ["code", "name", "parameter", "stations", "hold", "levels"];
const LEVEL_KEYS: [&str; 2] = ["limit", "clear"];

pub(super) fn read(text: &str) -> Result<Vec<Rule>, PackError> {
    let table = parse(RULES, text)?;
    let root = Section::root(RULES, &table, &["rule"])?;
    let mut seen = HashSet::new();
    let mut rules = Vec::new();
    for section in root.each("rule", "code", &KEYS)? {
        let rule = rule(&section)?;
        rule.check().map_err(|why| section.at("levels", Problem::Refused(why.into())))?;
        if !seen.insert(rule.code.clone()) {
            return Err(section.at("code", Problem::Twice));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(section: &Section<'_>) -> Result<Rule, PackError> {
    let wanted = "a number in the parameter's unit, as 1.0";
    let mut levels = Vec::new();
    for level in section.each("levels", "", &LEVEL_KEYS)? {
        let (limit, clear) = (level.number("limit", wanted)?, level.number("clear", wanted)?);
        levels.push(Level { limit, clear });
    }
    Ok(Rule {
        code: section.code("code", "the rule's code, as \"salinity-intake\"")?,
        name: section.text("name", "its name, as \"Độ mặn lấy nước\"")?.to_owned(),
        parameter: section.code("parameter", "a parameter, as \"salinity\"")?,
        stations: section.codes("stations", "station codes, as [\"xuan-hoa\"]")?,
        levels,
        hold: section.duration("hold")?,
    })
}
