//! What was in a short message: its alphabet (GSM 03.38, ASCII, Latin-1, UCS-2), and the joining of its parts by a user
//! data header or by the sar_* parameters.

use std::collections::{BTreeMap, VecDeque};

use rusmpp::pdus::SubmitSm;
use rusmpp::tlvs::TlvValue;
use rusmpp::values::DataCoding;

use super::Heard;

/// Messages whose parts are still missing; the oldest is given up for a new one. An engine sends the parts of one
/// message together, so more than a few at once mean that parts were lost.
const UNFINISHED_MAX: usize = 256;

/// One submitted part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    from: String,
    to: String,
    text: String,
    reference: u16,
    total: u8,
    number: u8,
}

impl Part {
    /// Reads a submit.
    pub(super) fn of(submit: &SubmitSm) -> Self {
        let tlvs = || submit.tlvs().iter().filter_map(rusmpp::tlvs::Tlv::value);
        let payload = tlvs().find_map(|value| match value {
            TlvValue::MessagePayload(payload) => Some(payload.value.as_ref()),
            _ => None,
        });
        let bytes: &[u8] = payload.unwrap_or(submit.short_message().as_ref());
        let has_header = u8::from(submit.esm_class) & 0b0100_0000 != 0;
        let (header, body) = split_header(bytes, has_header);
        let mut part = Self {
            from: submit.source_addr.as_str().to_owned(),
            to: submit.destination_addr.as_str().to_owned(),
            text: decode(submit.data_coding, body),
            reference: 0,
            total: 1,
            number: 1,
        };
        for value in tlvs() {
            match value {
                TlvValue::SarMsgRefNum(reference) => part.reference = *reference,
                TlvValue::SarTotalSegments(total) => part.total = *total,
                TlvValue::SarSegmentSeqnum(number) => part.number = *number,
                _ => {}
            }
        }
        if let Some((reference, total, number)) = concatenation(header) {
            (part.reference, part.total, part.number) = (reference, total, number);
        }
        part
    }
}

/// `length ‖ header ‖ body`, where the header is announced.
fn split_header(bytes: &[u8], has_header: bool) -> (&[u8], &[u8]) {
    match bytes.split_first() {
        Some((&length, rest)) if has_header && usize::from(length) <= rest.len() => {
            rest.split_at(usize::from(length))
        }
        _ => (&[], bytes),
    }
}

/// Reference, total and number from the element 0x00 (8-bit reference) or 0x08 (16-bit).
fn concatenation(mut header: &[u8]) -> Option<(u16, u8, u8)> {
    while let [id, length, rest @ ..] = header {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        match (id, value) {
            (0x00, [reference, total, number]) => {
                return Some((u16::from(*reference), *total, *number));
            }
            (0x08, [high, low, total, number]) => {
                return Some((u16::from_be_bytes([*high, *low]), *total, *number));
            }
            _ => header = next,
        }
    }
    None
}

fn decode(coding: DataCoding, bytes: &[u8]) -> String {
    match coding {
        DataCoding::Ucs2 => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        DataCoding::McSpecific => gsm(bytes),
        DataCoding::Ia5 => String::from_utf8_lossy(bytes).into_owned(),
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// The default alphabet of GSM 03.38, one septet in each octet.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                   ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

fn gsm(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = GSM.chars().collect();
    let mut text = String::new();
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        let letter = if *byte == 0x1b {
            bytes.next().and_then(|b| extended(*b))
        } else {
            alphabet.get(usize::from(*byte)).copied()
        };
        text.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text
}

fn extended(byte: u8) -> Option<char> {
    Some(match byte {
        0x14 => '^',
        0x28 => '{',
        0x29 => '}',
        0x2f => '\\',
        0x3c => '[',
        0x3d => '~',
        0x3e => ']',
        0x40 => '|',
        0x65 => '€',
        _ => return None,
    })
}

type MessageKey = (String, String, u16, u8);

/// Joins parts.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    unfinished: BTreeMap<MessageKey, BTreeMap<u8, String>>,
    order: VecDeque<MessageKey>,
}

impl Assembler {
    /// Takes a part; gives the message back once it is whole.
    pub(super) fn take(&mut self, part: Part) -> Option<Heard> {
        let Part { from, to, text, reference, total, number } = part;
        if total <= 1 {
            return Some(Heard::Sms { to, from, text, parts: 1 });
        }
        let key = (from, to, reference, total);
        if !self.unfinished.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        let parts = self.unfinished.entry(key.clone()).or_default();
        parts.insert(number, text);
        if parts.len() < usize::from(total) {
            self.give_up_the_oldest();
            return None;
        }
        let text = self.unfinished.remove(&key)?.into_values().collect();
        self.order.retain(|k| *k != key);
        let (from, to, _, parts) = key;
        Some(Heard::Sms { to, from, text, parts })
    }

    fn give_up_the_oldest(&mut self) {
        if UNFINISHED_MAX < self.order.len()
            && let Some(oldest) = self.order.pop_front()
        {
            self.unfinished.remove(&oldest);
            tracing::warn!(
                to = oldest.1,
                reference = oldest.2,
                "message given up: parts are missing"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alphabet_reads_as_it_was_meant() {
        let ucs2: Vec<u8> = "Cống ĐÓNG".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(DataCoding::Ucs2, &ucs2), "Cống ĐÓNG");
        assert_eq!(decode(DataCoding::McSpecific, b"a\x00b\x11c\x1b\x65"), "a@b_c€");
        assert_eq!(GSM.chars().count(), 128);
        assert_eq!(decode(DataCoding::Latin1, &[0xe9]), "é");
    }

    #[test]
    fn parts_are_joined_whatever_their_order() {
        let part = |number, text: &str| Part {
            from: "SALT".to_owned(),
            to: "84".to_owned(),
            text: text.to_owned(),
            reference: 7,
            total: 2,
            number,
        };
        let mut assembler = Assembler::default();
        assert_eq!(assembler.take(part(2, "world")), None);
        let Some(Heard::Sms { text, parts, .. }) = assembler.take(part(1, "hello ")) else {
            panic!("not whole");
        };
        assert_eq!((text.as_str(), parts), ("hello world", 2));
        assert!(assembler.order.is_empty());
    }

    #[test]
    fn lost_parts_do_not_pile_up() {
        let mut assembler = Assembler::default();
        for reference in 0..1000 {
            let (from, to, text) = (String::new(), String::new(), String::new());
            assembler.take(Part { from, to, text, reference, total: 2, number: 1 });
        }
        assert!(assembler.unfinished.len() <= UNFINISHED_MAX + 1);
    }

    #[test]
    fn a_header_that_lies_about_its_length_is_text() {
        assert_eq!(split_header(&[9, 1, 2], true), (&[][..], &[9, 1, 2][..]));
        assert_eq!(concatenation(&[0, 3, 7, 2, 1]), Some((7, 2, 1)));
        assert_eq!(concatenation(&[8, 4, 1, 0, 2, 1]), Some((256, 2, 1)));
        assert_eq!(concatenation(&[0, 9, 7]), None);
    }
}
