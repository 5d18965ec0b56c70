//! What must not stay in a file: unfinished work, more lines than anybody reads in one sitting, and paths of the machine
//! that it was written on.

use super::tree::Source;
use super::{Finding, lines};

/// Lines of a Rust file. Most have around 150; one of 700 is two ideas.
const LINES_MAX: usize = 700;

/// Marks of unfinished work, put together here so that this file does not find itself.
const UNFINISHED: [&str; 4] = [
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
];

/// Where a developer's or a builder's own folders begin.
const MACHINE: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];

/// Leftovers of all files.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(|s| [unfinished(s), too_long(s), machine_paths(s)].concat()).collect()
}

fn unfinished(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with(".rs") && !source.path.ends_with(".ts") {
        return Vec::new();
    }
    let mark = |line: &str| UNFINISHED.into_iter().find(|mark| holds_word(line, mark));
    found(source, |line| mark(line).map(|mark| format!("unfinished: {mark}")))
}

fn too_long(source: &Source) -> Vec<Finding> {
    let count = source.text.lines().count();
    if !source.path.ends_with(".rs") || count <= LINES_MAX {
        return Vec::new();
    }
    let what = format!("{count} lines; {LINES_MAX} is the most: this is two ideas");
    vec![Finding::new(&source.path, LINES_MAX + 1, what)]
}

fn machine_paths(source: &Source) -> Vec<Finding> {
    let path = |line: &str| MACHINE.into_iter().find(|path| holds_word(line, path));
    found(source, |line| path(line).map(|path| format!("a path of one machine: {path}")))
}

fn found(source: &Source, what: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let finding = |(number, line)| Some(Finding::new(&source.path, number, what(line)?));
    lines(&source.text).filter_map(finding).collect()
}

/// Does the word stand in the line, and not as the end of a longer word, path or address?
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-/}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&[source]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_not_in_prose() {
        for mark in UNFINISHED {
            let text = format!("fn a() {{}}\n    {mark} later\n");
            assert_eq!(check_text("a.rs", &text), [format!("a.rs:2: unfinished: {mark}")]);
            assert_eq!(check_text("web/a.ts", &text).len(), 1);
            assert!(check_text("notes.md", &text).is_empty());
        }
        assert!(check_text("a.rs", concat!("let my_to", "do!;")).is_empty());
    }

    #[test]
    fn a_file_may_have_seven_hundred_lines_and_no_more() {
        assert!(check_text("a.rs", &"\n".repeat(700)).is_empty());
        assert_eq!(
            check_text("a.rs", &"\n".repeat(701)),
            ["a.rs:701: 701 lines; 700 is the most: this is two ideas"]
        );
        assert!(check_text("a.json", &"\n".repeat(701)).is_empty());
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        for path in MACHINE {
            for text in [format!("see `{path}x`"), format!("{path}x"), format!("\"{path}\"")] {
                assert_eq!(check_text("Makefile", &text).len(), 1, "{text}");
            }
        }
        for text in ["https://example.org/home", "../ho", "$(pwd)/root"] {
            assert!(check_text("Makefile", text).is_empty(), "{text}");
        }
        let inside = concat!("https://example.org/ho", "me/x and a/ro", "ot/b");
        assert!(check_text("Makefile", inside).is_empty());
    }
}
