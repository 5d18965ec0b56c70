//! The known name nearest to a mistyped one.

/// The nearest of `known` to `typed`, if it is near enough to be meant: at most a third of its letters differ.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A code has at most 32 letters; a longer text is no typing error, and its comparison would cost.
    if 64 < typed.len() {
        return None;
    }
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    known
        .map(|name| (distance(&typed, name), name))
        .filter(|&(far, name)| far <= name.len().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// Letters to change, add or take away (Levenshtein).
fn distance(typed: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (i, letter) in name.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in typed.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[typed.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_code_finds_its_station() {
        let known = ["xuan-hoa", "vam-kenh", "my-tho"];
        assert_eq!(nearest("xuanhoa", known.into_iter()), Some("xuan-hoa"));
        assert_eq!(nearest("Vam-Kenh", known.into_iter()), Some("vam-kenh"));
        assert_eq!(nearest("cai-be", known.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(10_000), known.into_iter()), None);
    }
}
