//! As much of DER (X.690) as a certificate's subject takes: a list of names, of which one is the common name. The
//! certificate was verified before, by rustls; here nothing is trusted all the same.

/// `2.5.4.3`, the object identifier of a common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// UTF8String, PrintableString and IA5String: in all three a station's code is its ASCII.
const TEXTS: [u8; 3] = [0x0C, 0x13, 0x16];

/// The one common name of a subject (the content of its outer sequence). Two are one too many: which of them would be
/// the station?
pub(super) fn common_name(mut subject: &[u8]) -> Option<String> {
    let mut found = None;
    while !subject.is_empty() {
        let (mut names, rest) = take(subject, SET)?;
        subject = rest;
        while !names.is_empty() {
            let (name, rest) = take(names, SEQUENCE)?;
            names = rest;
            let (kind, value) = take(name, OBJECT_IDENTIFIER)?;
            if kind != COMMON_NAME {
                continue;
            }
            let (text, _) = TEXTS.into_iter().find_map(|tag| take(value, tag))?;
            let text = std::str::from_utf8(text).ok()?;
            if found.replace(text.to_owned()).is_some() {
                return None;
            }
        }
    }
    found
}

/// The content of the element with this tag at the start, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7F => (usize::from(length), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        // A name longer than 255 bytes is no station's.
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[tag, length], content].concat()
    }

    fn name(last: u8, text: &[u8]) -> Vec<u8> {
        let kind = element(OBJECT_IDENTIFIER, &[0x55, 0x04, last]);
        element(SET, &element(SEQUENCE, &[kind, element(0x0C, text)].concat()))
    }

    #[test]
    fn the_common_name_is_found_among_others() {
        let subject = [name(0x06, b"VN"), name(0x03, b"vam-kenh"), name(0x0A, b"So NN")].concat();
        assert_eq!(common_name(&subject).as_deref(), Some("vam-kenh"));
    }

    #[test]
    fn no_name_two_names_and_torn_names_are_none() {
        let one = name(0x03, b"vam-kenh");
        assert_eq!(common_name(&[]), None);
        assert_eq!(common_name(&name(0x0A, b"vam-kenh")), None);
        assert_eq!(common_name(&[one.clone(), name(0x03, b"my-tho")].concat()), None);
        assert_eq!(common_name(&name(0x03, b"\xff")), None);
        for end in 1..one.len() {
            assert_eq!(common_name(&one[..end]), None, "{end}");
        }
        let mut huge = one;
        huge[1] = 0x84;
        assert_eq!(common_name(&huge), None);
    }
}
