//! A text becomes one or more parts. In the GSM 7-bit alphabet (3GPP TS 23.038) a part takes 160 characters, or 153
//! of a text in several parts; a sign of the extension table costs two. One letter outside it, and the whole text
//! goes as UCS-2: 70, or 67. A sign is never cut in two.

/// Parts that a text may have. Ours have one without marks and two or three with; four are 612 or 268 characters. The
/// rest of a longer text is cut off: the where, when and how much stand at its beginning.
pub const PARTS_MAX: usize = 4;

const SINGLE_SEPTETS: usize = 160;
const PART_SEPTETS: usize = 153;
const SINGLE_UNITS: usize = 70;
const PART_UNITS: usize = 67;

/// The GSM 7-bit default alphabet, in the order of its codes.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                   ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Its extension table: each is an escape and this code.
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0A),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2F),
    ('[', 0x3C),
    ('~', 0x3D),
    (']', 0x3E),
    ('|', 0x40),
    ('€', 0x65),
];

const ESCAPE: u8 = 0x1B;

/// The alphabet of an SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// GSM 7-bit, one character an octet on the wire (data_coding 0).
    Gsm7,
    /// UTF-16, big end first (data_coding 8).
    Ucs2,
}

/// The octets of each part, and the alphabet they are in.
#[must_use]
pub fn segments(text: &str) -> (Alphabet, Vec<Vec<u8>>) {
    match text.chars().map(gsm).collect::<Option<Vec<_>>>() {
        Some(signs) => (Alphabet::Gsm7, pack(&signs, SINGLE_SEPTETS, PART_SEPTETS)),
        None => {
            let signs: Vec<Vec<u8>> = text.chars().map(utf16).collect();
            (Alphabet::Ucs2, pack(&signs, 2 * SINGLE_UNITS, 2 * PART_UNITS))
        }
    }
}

fn pack(signs: &[Vec<u8>], single: usize, part: usize) -> Vec<Vec<u8>> {
    if signs.iter().map(Vec::len).sum::<usize>() <= single {
        return vec![signs.concat()];
    }
    let mut parts = vec![Vec::with_capacity(part)];
    for sign in signs {
        let full = parts.last().is_some_and(|last: &Vec<u8>| part < last.len() + sign.len());
        if full && parts.len() == PARTS_MAX {
            break;
        }
        if full {
            parts.push(Vec::with_capacity(part));
        }
        if let Some(last) = parts.last_mut() {
            last.extend_from_slice(sign);
        }
    }
    parts
}

fn gsm(letter: char) -> Option<Vec<u8>> {
    if let Some((_, code)) = EXTENSION.iter().find(|(known, _)| *known == letter) {
        return Some(vec![ESCAPE, *code]);
    }
    let code = GSM.chars().position(|known| known == letter && letter != '\u{1b}')?;
    Some(vec![u8::try_from(code).ok()?])
}

fn utf16(letter: char) -> Vec<u8> {
    letter.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> (Alphabet, Vec<usize>) {
        let (alphabet, parts) = segments(text);
        (alphabet, parts.iter().map(Vec::len).collect())
    }

    #[test]
    fn the_alphabet_has_128_signs() {
        assert_eq!(GSM.chars().count(), 128);
        assert_eq!(GSM.chars().nth(0x41), Some('A'));
        assert_eq!(GSM.chars().nth(0x7F), Some('à'));
    }

    #[test]
    fn parts_are_as_long_as_the_standard_says() {
        assert_eq!(lengths(""), (Alphabet::Gsm7, vec![0]));
        assert_eq!(lengths(&"a".repeat(160)), (Alphabet::Gsm7, vec![160]));
        assert_eq!(lengths(&"a".repeat(161)), (Alphabet::Gsm7, vec![153, 8]));
        assert_eq!(lengths(&"ặ".repeat(70)), (Alphabet::Ucs2, vec![140]));
        assert_eq!(lengths(&"ặ".repeat(71)), (Alphabet::Ucs2, vec![134, 8]));
    }

    #[test]
    fn an_extension_sign_costs_two_and_is_not_cut() {
        assert_eq!(lengths(&"€".repeat(80)), (Alphabet::Gsm7, vec![160]));
        assert_eq!(lengths(&"€".repeat(81)), (Alphabet::Gsm7, vec![152, 10]));
    }

    #[test]
    fn a_pair_of_utf16_is_not_cut() {
        let text = format!("{}{}", "ặ".repeat(66), "🌊".repeat(3));
        assert_eq!(lengths(&text), (Alphabet::Ucs2, vec![132, 12]));
    }

    #[test]
    fn an_endless_text_is_cut_at_four_parts() {
        assert_eq!(lengths(&"a".repeat(5_000)).1, vec![153; PARTS_MAX]);
    }

    #[test]
    fn the_accented_model_of_the_domain_takes_two_parts() {
        let text =
            "CẢNH BÁO MẶN: Cống Xuân Hòa 05h 12/03 đo 8,9 g/l. KHÔNG lấy nước tưới. Cống ĐÓNG.";
        assert_eq!(lengths(text).1.len(), 2);
    }
}
