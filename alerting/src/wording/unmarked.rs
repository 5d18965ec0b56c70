//! Vietnamese without marks, for phones and gateways that know the GSM alphabet only. Meaning can blur (mặn and
//! mận become one), which is why every text also gives the number.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The text with its marks dropped, in ASCII: every phone shows it and 160 characters fit one part.
#[must_use]
pub fn unmarked(text: &str) -> String {
    text.nfkd().filter(|letter| !is_combining_mark(*letter)).filter_map(plain).collect()
}

/// Letters that have no decomposition, and signs of our units.
fn plain(letter: char) -> Option<char> {
    match letter {
        'đ' => Some('d'),
        'Đ' => Some('D'),
        '°' => None,
        'μ' | 'µ' => Some('u'),
        '–' | '—' | '−' => Some('-'),
        '“' | '”' | '„' => Some('"'),
        '‘' | '’' => Some('\''),
        '\u{a0}' => Some(' '),
        letter if letter.is_ascii() => Some(letter),
        _ => Some('?'),
    }
}
