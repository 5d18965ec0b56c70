//! Names that the documents must know: every metric that code counts stands in `docs/operating/metrics.md` and the other
//! way round; every reason for a refusal stands in `docs/wire.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Source;
use super::{Finding, document, lines, quoted};

const METRICS: &str = "docs/operating/metrics.md";
const WIRE: &str = "docs/wire.md";
const REFUSAL: &str = "domain/src/refusal.rs";

const PREFIX: &str = "saltline_";
const MACROS: [&str; 3] = ["counter!(", "gauge!(", "histogram!("];

/// Does the document list the metrics that the code counts, and no other?
pub fn check_metrics(sources: &[Source]) -> Vec<Finding> {
    let counted = counted(sources);
    let document = match document(sources, METRICS) {
        Ok(source) => source,
        Err(_) if counted.is_empty() => return Vec::new(),
        Err(missing) => return missing,
    };
    let listed: BTreeMap<&str, usize> = quoted(&document.text)
        .filter(|(_, text)| text.starts_with(PREFIX))
        .map(|(line, text)| (word(text), line))
        .collect();
    let unlisted = counted.iter().filter(|(name, _)| !listed.contains_key(**name));
    let unlisted = unlisted.map(|(name, (path, line))| {
        Finding::new(path, *line, format!("metric `{name}` is not in {METRICS}"))
    });
    let idle = listed.iter().filter(|(name, _)| !is_spelled(sources, name));
    let idle = idle.map(|(name, line)| {
        Finding::new(METRICS, *line, format!("metric `{name}` is counted nowhere"))
    });
    unlisted.chain(idle).collect()
}

/// Does the document list every reason?
pub fn check_reasons(sources: &[Source]) -> Vec<Finding> {
    let (refusal, wire) = match (document(sources, REFUSAL), document(sources, WIRE)) {
        (Ok(refusal), Ok(wire)) => (refusal, wire),
        (Err(missing), _) | (_, Err(missing)) => return missing,
    };
    let listed: BTreeSet<&str> = quoted(&wire.text).map(|(_, word)| word).collect();
    let reasons: Vec<_> = lines(&refusal.text).filter_map(reason_of).collect();
    if reasons.is_empty() {
        return vec![Finding::new(REFUSAL, 1, "no reasons found here".to_owned())];
    }
    let unlisted = reasons.into_iter().filter(|(_, reason)| !listed.contains(reason));
    let what = |reason| format!("reason `{reason}` is not in {WIRE}");
    unlisted.map(|(line, reason)| Finding::new(REFUSAL, line, what(reason))).collect()
}

/// `Self::TooOld => "too_old",` is a reason.
fn reason_of((number, line): (usize, &str)) -> Option<(usize, &str)> {
    let (_, name) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
    Some((number, name.split_once('"')?.0))
}

/// Every metric that a macro counts, by its literal or by the name of a constant, and where it is spelled.
fn counted(sources: &[Source]) -> BTreeMap<&str, (&str, usize)> {
    let code: Vec<_> = sources.iter().filter(|source| source.path.ends_with(".rs")).collect();
    let arguments: Vec<_> = code.iter().flat_map(|source| arguments(source)).collect();
    let by_name: BTreeSet<&str> =
        arguments.iter().filter_map(|(argument, ..)| last_part(argument)).collect();
    let literal = arguments
        .iter()
        .filter_map(|&(argument, path, line)| Some((literal(argument)?, (path, line))));
    let constants = code.iter().flat_map(|source| constants(source));
    let named = constants.filter(|(name, ..)| by_name.contains(name));
    literal.chain(named.map(|(_, metric, place)| (metric, place))).collect()
}

/// What stands behind each counting macro.
fn arguments(source: &Source) -> Vec<(&str, &str, usize)> {
    let text = source.text.as_str();
    let behind = |mac: &str| -> Vec<_> {
        let at = text.match_indices(mac).map(|(at, _)| at + mac.len());
        at.map(|at| (text[at..].trim_start(), source.path.as_str(), line_at(text, at))).collect()
    };
    MACROS.iter().flat_map(|mac| behind(mac)).collect()
}

/// `const NAME: &str = "saltline_…";` as name, metric and place.
fn constants(source: &Source) -> Vec<(&str, &str, (&str, usize))> {
    let text = source.text.as_str();
    let constant = |at: usize| {
        let (head, rest) = text[at..].split_once('=')?;
        let name = head.strip_prefix("const ")?.split(':').next()?.trim();
        Some((name, literal(rest.trim_start())?, (source.path.as_str(), line_at(text, at))))
    };
    text.match_indices("const ").filter_map(|(at, _)| constant(at)).collect()
}

/// The metric, where the text begins with its literal.
fn literal(text: &str) -> Option<&str> {
    let name = word(text.strip_prefix('"')?);
    name.starts_with(PREFIX).then_some(name)
}

/// The last part of the path that the text begins with, as `SHED` of `metrics_of::SHED, 1)`.
fn last_part(text: &str) -> Option<&str> {
    let end =
        text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    text[..end].rsplit("::").next().filter(|part| !part.is_empty())
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn is_spelled(sources: &[Source], metric: &str) -> bool {
    let spelled = format!("\"{metric}\"");
    sources.iter().any(|source| source.path.ends_with(".rs") && source.text.contains(&spelled))
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn text(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    /// A metric's name, put together so that tidy does not find it here.
    fn metric(name: &str) -> String {
        [PREFIX, name].concat()
    }

    fn code(name: &str, behind: &str) -> String {
        format!("fn f() {{\n    metrics::counter{}\n        \"{}\"{behind}", "!(", metric(name))
    }

    #[test]
    fn a_metric_that_is_counted_must_be_listed_however_it_is_written() {
        let constant = format!("pub const SHED: &str = \"{}\";\n", metric("shed_total"));
        let sources = [
            source("a.rs", &code("received_total", ", \"reason\" => why).increment(1);")),
            source("b.rs", &constant),
            source("c.rs", &["metrics::gauge", "!(names::SHED).set(1.0);"].concat()),
            source("d.rs", &format!("const COOKIE: &str = \"{}\";", metric("session"))),
            source(METRICS, &format!("| `{}{{reason}}` | … |", metric("received_total"))),
        ];
        let expected = format!("b.rs:1: metric `{}` is not in {METRICS}", metric("shed_total"));
        assert_eq!(text(&check_metrics(&sources)), [expected]);
        let expected = format!("{METRICS}:1: this document does not exist");
        assert_eq!(text(&check_metrics(&sources[..4])), [expected]);
    }

    #[test]
    fn a_metric_that_is_listed_must_be_counted() {
        let sources = [source(METRICS, &format!("one\n`{}`", metric("ghost")))];
        let expected = format!("{METRICS}:2: metric `{}` is counted nowhere", metric("ghost"));
        assert_eq!(text(&check_metrics(&sources)), [expected]);
    }

    #[test]
    fn every_reason_must_be_on_the_wire_page() {
        let refusal =
            "match self {\n    Self::TooOld => \"too_old\",\n    Self::BadTime => \"bad_time\",\n}";
        let sources = [source(REFUSAL, refusal), source(WIRE, "| `too_old` | … |")];
        assert_eq!(
            text(&check_reasons(&sources)),
            ["domain/src/refusal.rs:3: reason `bad_time` is not in docs/wire.md"]
        );
        let moved = [source(REFUSAL, "nothing here"), source(WIRE, "")];
        assert_eq!(
            text(&check_reasons(&moved)),
            ["domain/src/refusal.rs:1: no reasons found here"]
        );
    }
}
