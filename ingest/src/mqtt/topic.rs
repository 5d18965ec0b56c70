//! Topic names and topic filters (section 4.7 of both specifications).

/// Levels that a topic or a filter may have. Ours have 3 or 4; the bound keeps the walk down the tree shallow, where
/// the specification would allow 65,535 levels and with them a stack as deep.
pub(super) const LEVELS_MAX: usize = 64;

/// May this be published on?
pub(super) fn is_name(topic: &str) -> bool {
    let bytes = topic.as_bytes();
    let mut levels = 1;
    for byte in bytes {
        match byte {
            b'+' | b'#' | 0 => return false,
            b'/' => levels += 1,
            _ => (),
        }
    }
    !bytes.is_empty() && levels <= LEVELS_MAX
}

/// May this be subscribed to?
pub(crate) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') || LEVELS_MAX < filter.split('/').count() {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        let fits = match level {
            "#" => last,
            "+" => true,
            _ => !level.contains(['+', '#']),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Is every topic that `inner` matches also matched by `outer`? With a topic name as `inner` this is plain matching.
/// Topics that begin with `$` are outside of a leading wildcard.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    let leading_wildcard = outer.starts_with(['+', '#']);
    if leading_wildcard && inner.starts_with('$') {
        return false;
    }
    let mut inner = inner.split('/');
    for level in outer.split('/') {
        match (level, inner.next()) {
            ("#", _) => return true,
            (_, None | Some("#")) => return false,
            ("+", Some(_)) => (),
            (level, Some(other)) if level == other => (),
            _ => return false,
        }
    }
    inner.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_wildcards() {
        for good in ["a", "/", "a/b", "Đồng-Tháp/mặn", "$SYS/x", " "] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a/+", "#", "a\0b", &"/".repeat(LEVELS_MAX)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn wildcards_fill_their_level() {
        for good in ["#", "+", "a/#", "+/+", "/", "a//b", "Đồng-Tháp/#"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "a/#/b", "a+", "+a/b", "##", "a\0", &"+/".repeat(LEVELS_MAX)] {
            assert!(!is_filter(bad), "{bad}");
        }
    }

    #[test]
    fn covering_is_matching_for_names_and_containing_for_filters() {
        let yes = [
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("a/+", "a/b"),
            ("a/+", "a/"),
            ("#", "a"),
            ("stations/x/#", "stations/x/+"),
            ("stations/x/#", "stations/x/#"),
            ("+/+", "+/a"),
            ("$SYS/#", "$SYS/a"),
        ];
        let no = [
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("a", "b"),
            ("stations/x/#", "stations/+/state"),
            ("stations/x/#", "stations/#"),
            ("stations/x/#", "#"),
            ("a/+", "a/#"),
            ("#", "$SYS/a"),
            ("+/a", "$SYS/a"),
        ];
        for (outer, inner) in yes {
            assert!(covers(outer, inner), "{outer} {inner}");
        }
        for (outer, inner) in no {
            assert!(!covers(outer, inner), "{outer} {inner}");
        }
    }
}
