//! A table whose columns changed. Values are taken by their columns' names, so a new order is no harm; but a column that
//! came or went means that somebody changed the logger, and whoever waits for it should know.

use std::collections::HashMap;

/// Headers remembered, one a station and folder.
const HEADERS_MAX: usize = 10_000;

/// The last header of each station.
#[derive(Debug, Default)]
pub(super) struct Headers {
    last: HashMap<String, Vec<String>>,
}

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) gone: Vec<String>,
    pub(super) new: Vec<String>,
}

impl Headers {
    /// Takes note of a header; says what changed against the one before it.
    pub(super) fn note(&mut self, station: &str, header: &[u8]) -> Option<Changed> {
        let text = String::from_utf8_lossy(header);
        // Of TOA5's four lines the second has the names.
        let lines: Vec<&str> = text.lines().collect();
        let names = if lines.len() == 4 { lines[1] } else { lines.first().copied().unwrap_or("") };
        let mut names: Vec<String> = names
            .split([',', ';', '\t'])
            .map(|name| {
                name.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\u{feff}')
                    .to_owned()
            })
            .collect();
        names.sort();
        if HEADERS_MAX <= self.last.len() && !self.last.contains_key(station) {
            return None;
        }
        let before = self.last.insert(station.to_owned(), names.clone())?;
        let missing = |from: &[String], of: &[String]| {
            from.iter().filter(|name| !of.contains(name)).cloned().collect::<Vec<_>>()
        };
        let changed = Changed { gone: missing(&before, &names), new: missing(&names, &before) };
        (before != names).then_some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_came_or_went_is_told_and_an_order_is_not() {
        let mut headers = Headers::default();
        assert_eq!(headers.note("a", b"time,ph,ec\n"), None);
        assert_eq!(headers.note("a", b"time,ec,ph\n"), None);
        assert_eq!(headers.note("b", b"time,ph\n"), None);
        let changed = headers.note("a", b"time,ec,do\r\n").unwrap();
        assert_eq!((changed.gone, changed.new), (vec!["ph".to_owned()], vec!["do".to_owned()]));
        assert_eq!(headers.note("a", b"time,ec,do\r\n"), None);
    }
}
