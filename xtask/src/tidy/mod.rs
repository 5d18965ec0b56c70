//! Do the documents tell the truth about the code? Each check is a pure function from the repository's files to its
//! findings; only `tree` looks at the disk.

use std::fmt;

mod tree; // the files of the repository and the graph of its crates
mod rooms; // who may use whom, and what is on the map
mod leftovers; // what must not stay in a file
mod names; // metrics and reasons that the documents must know
mod promises; // proofs that must exist

pub use tree::Error;
use tree::{Graph, Source};

/// A place that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: String) -> Self {
        Self { path: path.to_owned(), line, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the repository that the current folder lies in.
pub fn run() -> Result<Vec<Finding>, Error> {
    let root = tree::root()?;
    Ok(check(&tree::sources(&root)?, &tree::graph(&root)?))
}

fn check(sources: &[Source], graph: &Graph) -> Vec<Finding> {
    let mut findings = [
        rooms::check_table(sources, graph),
        rooms::check_maps(sources, graph),
        leftovers::check(sources),
        names::check_metrics(sources),
        names::check_reasons(sources),
        promises::check(sources),
    ]
    .concat();
    findings.sort();
    findings
}

/// The file at this path, or the finding that it is not there.
fn document<'a>(sources: &'a [Source], path: &str) -> Result<&'a Source, Vec<Finding>> {
    let missing = || vec![Finding::new(path, 1, "this document does not exist".to_owned())];
    sources.iter().find(|source| source.path == path).ok_or_else(missing)
}

/// What stands in backticks, with the number of its line.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).flat_map(|(number, line)| {
        line.split('`').skip(1).step_by(2).map(move |word| (number, word))
    })
}

/// The lines of a text, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_itself_can_be_read() {
        let root = tree::root().unwrap();
        let graph = tree::graph(&root).unwrap();
        assert!(graph.uses["analytics"].contains("domain"));
        assert_eq!(graph.folders["saltline"], "");
        let Ok(sources) = tree::sources(&root) else {
            eprintln!("skipped: not a git checkout");
            return;
        };
        assert!(sources.iter().any(|source| source.path == "xtask/src/tidy/mod.rs"));
    }

    #[test]
    fn a_finding_names_file_and_line() {
        let finding = Finding::new("docs/wire.md", 7, "reason `bad` is not listed".to_owned());
        assert_eq!(finding.to_string(), "docs/wire.md:7: reason `bad` is not listed");
    }

    #[test]
    fn a_missing_document_is_a_finding_not_a_panic() {
        let graph = Graph::default();
        let texts: Vec<_> = check(&[], &graph).iter().map(ToString::to_string).collect();
        for path in ["README.md", "docs/ARCHITECTURE.md", "docs/promises.md"] {
            assert!(
                texts.contains(&format!("{path}:1: this document does not exist")),
                "{texts:?}"
            );
        }
    }
}
