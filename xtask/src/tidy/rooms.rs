//! Who may use whom: the table of `docs/ARCHITECTURE.md` (columns `crate | may use | what lives there`, names in
//! backticks) is the real graph, exactly. And the map of the folders, there and in the README, shows all there is and
//! nothing else: it is the fenced block that has a line for `domain/`.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Graph, Source};
use super::{Finding, document, lines, quoted};

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const README: &str = "README.md";

type Table<'a> = BTreeMap<&'a str, (usize, BTreeSet<&'a str>)>;

/// Is the table the graph?
pub fn check_table(sources: &[Source], graph: &Graph) -> Vec<Finding> {
    let text = match document(sources, ARCHITECTURE) {
        Ok(source) => &source.text,
        Err(missing) => return missing,
    };
    let Some((start, table)) = table(text) else {
        let what = "no table with the columns `crate | may use | what lives there`".to_owned();
        return vec![Finding::new(ARCHITECTURE, 1, what)];
    };
    let found = |line, what| Finding::new(ARCHITECTURE, line, what);
    let mut findings = Vec::new();
    for (name, (line, _)) in table.iter().filter(|(name, _)| !graph.uses.contains_key(**name)) {
        findings
            .push(found(*line, format!("crate `{name}` is in the table but not in the workspace")));
    }
    for (name, uses) in &graph.uses {
        let Some((line, allowed)) = table.get(name.as_str()) else {
            findings.push(found(start, format!("crate `{name}` is not in the table")));
            continue;
        };
        let uses: BTreeSet<&str> = uses.iter().map(String::as_str).collect();
        for other in uses.difference(allowed) {
            findings.push(found(
                *line,
                format!("`{name}` uses `{other}`, which the table does not allow"),
            ));
        }
        for other in allowed.difference(&uses) {
            findings.push(found(*line, format!("`{name}` may use `{other}` but does not")));
        }
    }
    findings
}

/// Do the maps show every crate and every folder at the top, and only those?
pub fn check_maps(sources: &[Source], graph: &Graph) -> Vec<Finding> {
    let tops = sources.iter().filter_map(|source| source.path.split_once('/').map(|(top, _)| top));
    let mut folders: BTreeSet<&str> = tops.filter(|top| !top.starts_with('.')).collect();
    folders.extend(graph.folders.values().map(String::as_str).filter(|folder| !folder.is_empty()));
    [ARCHITECTURE, README].iter().flat_map(|path| check_map(sources, path, &folders)).collect()
}

fn check_map(sources: &[Source], path: &str, folders: &BTreeSet<&str>) -> Vec<Finding> {
    let text = match document(sources, path) {
        Ok(source) => &source.text,
        Err(missing) => return missing,
    };
    let Some((start, map)) = map(text) else {
        let what = "no map: a fenced block with a line for `domain/`".to_owned();
        return vec![Finding::new(path, 1, what)];
    };
    let absent = folders.iter().filter(|folder| !map.contains_key(*folder));
    let absent = absent.map(|folder| format!("folder `{folder}/` is not on the map"));
    let absent = absent.map(|what| Finding::new(path, start, what));
    let invented = map.iter().filter(|(folder, _)| !folders.contains(*folder));
    let invented = invented.map(|(folder, line)| {
        Finding::new(path, *line, format!("folder `{folder}/` is on the map but does not exist"))
    });
    absent.chain(invented).collect()
}

/// The rows of the table and the line it starts at.
fn table(text: &str) -> Option<(usize, Table<'_>)> {
    let is_head = |line: &str| cells(line).take(3).eq(["crate", "may use", "what lives there"]);
    let (start, _) = lines(text).find(|(_, line)| is_head(line))?;
    let body = lines(text).skip(start + 1).take_while(|(_, line)| line.starts_with('|'));
    let row = |(number, line)| {
        let mut cells = cells(line);
        let (_, name) = quoted(cells.next()?).next()?;
        let uses = quoted(cells.next()?).map(|(_, name)| name).collect();
        Some((name, (number, uses)))
    };
    Some((start, body.filter_map(row).collect()))
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().trim_start_matches('|').split('|').map(str::trim)
}

/// The folders on the map, each with its line, and the line that the map starts at.
fn map(text: &str) -> Option<(usize, BTreeMap<&str, usize>)> {
    let mut block: Option<(usize, BTreeMap<&str, usize>)> = None;
    for (number, line) in lines(text) {
        match (&mut block, line.starts_with("```")) {
            (None, true) => block = Some((number, BTreeMap::new())),
            (Some((_, map)), true) if map.contains_key("domain") => return block,
            (Some(_), true) => block = None,
            (Some((_, map)), false) => map.extend(folder(line).map(|folder| (folder, number))),
            (None, false) => {}
        }
    }
    None
}

fn folder(line: &str) -> Option<&str> {
    let name = line.split(' ').next()?.strip_suffix('/')?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
# Rooms

| crate | may use | what lives there |
|---|---|---|
| `domain` | nothing | nouns |
| `portal` | `domain` | pages |
";
    const MAP: &str = "```text\ndomain/   nouns\nportal/   pages: web/ is in here\n```\n";

    fn graph(portal_uses: &[&str]) -> Graph {
        let name = |text: &&str| (*text).to_owned();
        let uses = |names: &[&str]| names.iter().map(name).collect();
        Graph {
            uses: [("domain".to_owned(), uses(&[])), ("portal".to_owned(), uses(portal_uses))]
                .into(),
            folders: ["domain", "portal"].map(|n| (n.to_owned(), n.to_owned())).into(),
        }
    }

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn check_table_text(text: &str, graph: &Graph) -> Vec<String> {
        let findings = check_table(&[source(ARCHITECTURE, text)], graph);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_that_is_the_graph_passes() {
        assert!(check_table_text(TABLE, &graph(&["domain"])).is_empty());
    }

    #[test]
    fn a_use_that_is_not_allowed_and_an_allowance_that_is_not_used_are_found() {
        assert_eq!(
            check_table_text(TABLE, &graph(&["history"])),
            [
                "docs/ARCHITECTURE.md:6: `portal` uses `history`, which the table does not allow",
                "docs/ARCHITECTURE.md:6: `portal` may use `domain` but does not",
            ]
        );
    }

    #[test]
    fn a_crate_too_few_and_one_too_many_are_found() {
        let text = TABLE.replace("portal", "cellar");
        assert_eq!(
            check_table_text(&text, &graph(&["domain"])),
            [
                "docs/ARCHITECTURE.md:6: crate `cellar` is in the table but not in the workspace",
                "docs/ARCHITECTURE.md:3: crate `portal` is not in the table",
            ]
        );
        assert_eq!(check_table_text("# Rooms", &graph(&[])).len(), 1);
    }

    #[test]
    fn a_folder_that_is_not_on_a_map_or_only_on_a_map_is_found() {
        let sources = [
            source(ARCHITECTURE, MAP),
            source(README, &MAP.replace("portal/", "cellar/")),
            source("portal/src/lib.rs", ""),
            source("domain/src/lib.rs", ""),
            source(".ci/run", ""),
            source("tests/front_door.rs", ""),
        ];
        let findings = check_maps(&sources, &graph(&[]));
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/ARCHITECTURE.md:1: folder `docs/` is not on the map",
                "docs/ARCHITECTURE.md:1: folder `tests/` is not on the map",
                "README.md:1: folder `docs/` is not on the map",
                "README.md:1: folder `portal/` is not on the map",
                "README.md:1: folder `tests/` is not on the map",
                "README.md:3: folder `cellar/` is on the map but does not exist",
            ]
        );
    }

    #[test]
    fn another_fenced_block_is_no_map() {
        let text = "```sh\ncd domains/\n```\n";
        assert!(map(text).is_none());
        assert!(map(&format!("{text}\n{MAP}")).is_some());
    }
}
