//! A promise is kept by a test that can fail. Each proof that `docs/promises.md` names, as `` `tests/x.rs::a_test` ``,
//! must be there and be a test.

use super::tree::Source;
use super::{Finding, document, lines, quoted};

const PROMISES: &str = "docs/promises.md";

/// Lines above a function in which its `#[test]` stands, other attributes between them.
const ATTRIBUTE_LINES_MAX: usize = 8;

/// Does every proof exist?
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let text = match document(sources, PROMISES) {
        Ok(source) => &source.text,
        Err(missing) => return missing,
    };
    let proofs: Vec<_> =
        quoted(text).filter_map(|(line, word)| Some((line, proof(word)?))).collect();
    if proofs.is_empty() {
        return vec![Finding::new(PROMISES, 1, "no proof is named".to_owned())];
    }
    let gap = |(line, (path, test)): &(usize, (&str, &str))| {
        Some(Finding::new(PROMISES, *line, gap(sources, path, test)?))
    };
    proofs.iter().filter_map(gap).collect()
}

/// The file and the test's own name, where the words are a proof.
fn proof(word: &str) -> Option<(&str, &str)> {
    let (path, test) = word.split_once("::")?;
    let is_file = [".rs", ".ts", ".py"].iter().any(|ending| path.ends_with(ending));
    is_file.then_some((path, test.rsplit("::").next()?))
}

fn gap(sources: &[Source], path: &str, test: &str) -> Option<String> {
    match sources.iter().find(|source| source.path == path) {
        None => Some(format!("proof `{path}::{test}`: the file does not exist")),
        Some(source) if !is_test(source, test) => {
            Some(format!("proof `{path}::{test}`: no test of this name is there"))
        }
        Some(_) => None,
    }
}

fn is_test(source: &Source, test: &str) -> bool {
    if source.path.ends_with(".py") {
        return source.text.contains(&format!("def {test}("));
    }
    if !source.path.ends_with(".rs") {
        return source.text.contains(test);
    }
    let head = format!("fn {test}(");
    let all: Vec<&str> = lines(&source.text).map(|(_, line)| line.trim()).collect();
    let above = |at: usize| &all[at.saturating_sub(ATTRIBUTE_LINES_MAX)..at];
    let marked = |at: usize| {
        let attributes = above(at).iter().rev().take_while(|line| is_attribute(line));
        attributes.into_iter().any(|line| line.contains("test]") || line.contains("::test("))
    };
    (0..all.len()).any(|at| all[at].contains(&head) && marked(at))
}

fn is_attribute(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with("//") || line.ends_with(")]") || line.ends_with(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "
#[test]
fn one() {}

#[tokio::test(flavor = \"multi_thread\")]
#[ignore = \"slow\"]
async fn two() {}

fn helper() {}
";

    fn check_text(text: &str) -> Vec<String> {
        let source =
            |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let sources = [source("tests/x.rs", CODE), source(PROMISES, text)];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn proofs_that_exist_pass() {
        assert!(check_text("`tests/x.rs::one`, `tests/x.rs::tests::two`, `Flag::Good`").is_empty());
    }

    #[test]
    fn a_proof_that_does_not_exist_is_found() {
        assert_eq!(
            check_text("# Promises\n`tests/x.rs::three`\n`tests/y.rs::one`\n`tests/x.rs::helper`"),
            [
                "docs/promises.md:2: proof `tests/x.rs::three`: no test of this name is there",
                "docs/promises.md:3: proof `tests/y.rs::one`: the file does not exist",
                "docs/promises.md:4: proof `tests/x.rs::helper`: no test of this name is there",
            ]
        );
    }

    #[test]
    fn promises_without_any_proof_are_found() {
        assert_eq!(check_text("We promise."), ["docs/promises.md:1: no proof is named"]);
    }
}
