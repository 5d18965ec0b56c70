//! Where in a topic the station stands, of topics that nobody has described yet.

use ingest::upstream::Template;

use super::meaning::means_something;

const STATION: &str = "{station}";

/// Levels behind which a station's name often stands.
const BEFORE: [&str; 12] = [
    "station", "stations", "device", "devices", "site", "sites", "node", "nodes", "logger",
    "loggers", "tram", "things",
];

/// The template of a topic: the one that was given, or else with `{station}` in the level that holds one of `codes`, or
/// that differs most between topics that are otherwise the same, or that stands behind a word for stations.
pub fn template(
    topic: &str,
    all: &[&str],
    given: &[Template],
    codes: &[String],
) -> Option<Template> {
    let said = given.iter().find(|given| given.names_station() && given.matches(topic));
    if let Some(said) = said {
        return Some(said.clone());
    }
    let levels: Vec<&str> = topic.split('/').collect();
    let coded =
        levels.iter().position(|level| codes.iter().any(|code| code.eq_ignore_ascii_case(level)));
    let at = coded.or_else(|| differing(&levels, all)).or_else(|| behind(&levels))?;
    let mut named = levels;
    named[at] = STATION;
    Template::parse(&named.join("/")).ok()
}

/// The level that takes the most values; not one whose values are names of parameters.
fn differing(levels: &[&str], all: &[&str]) -> Option<usize> {
    let values = |at: usize| -> Vec<&str> {
        let like = |topic: &&&str| {
            let mut others = topic.split('/').enumerate();
            topic.split('/').count() == levels.len()
                && others.all(|(level, word)| level == at || word == levels[level])
        };
        let mut values: Vec<&str> =
            all.iter().filter(like).filter_map(|topic| topic.split('/').nth(at)).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    (0..levels.len())
        .rev()
        .map(|at| (at, values(at)))
        .filter(|(_, values)| 1 < values.len() && !values.iter().all(|word| means_something(word)))
        .max_by_key(|(_, values)| values.len())
        .map(|(at, _)| at)
}

fn behind(levels: &[&str]) -> Option<usize> {
    let word = |level: &&str| BEFORE.iter().any(|before| before.eq_ignore_ascii_case(level));
    levels.iter().position(word).map(|at| at + 1).filter(|at| *at < levels.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: &str, all: &[&str], given: &[&str], codes: &[&str], wanted: Option<&str>) {
        let given: Vec<_> = given.iter().map(|text| Template::parse(text).unwrap()).collect();
        let codes: Vec<_> = codes.iter().map(|code| (*code).to_owned()).collect();
        let found = template(topic, all, &given, &codes).map(|it| it.to_string());
        assert_eq!(found.as_deref(), wanted, "{topic}");
    }

    #[test]
    fn the_station_is_what_differs_or_what_is_known() {
        let all = ["tg/xuan-hoa/data", "tg/an-dinh/data", "tg/gateway/alive/now"];
        check(all[0], &all, &[], &[], Some("tg/{station}/data"));
        check(all[0], &all, &["{station}/#"], &[], Some("{station}/#"));
        check(all[0], &all[..1], &[], &[], None);
        check(all[0], &all[..1], &[], &["XUAN-HOA"], Some("tg/{station}/data"));
        check("a/Devices/x/up", &["a/Devices/x/up"], &[], &[], Some("a/Devices/{station}/up"));
        check("a/devices", &["a/devices"], &[], &[], None);
    }

    #[test]
    fn the_names_of_parameters_are_no_stations() {
        let all = ["x/s1/ph", "x/s1/ec", "x/s1/temp", "x/s2/ph"];
        check(all[0], &all, &[], &[], Some("x/{station}/ph"));
    }
}
