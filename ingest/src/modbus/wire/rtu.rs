//! RTU: the slave's address, the PDU, and a CRC-16 (polynomial 0xA001 reflected, from 0xFFFF, low byte first). How long
//! a frame is, only its contents say; where one does not begin, only silence helps.

use super::Look;

/// The check of these bytes.
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    crate::line::arc(0xFFFF, bytes)
}

/// A frame to this slave.
#[must_use]
pub fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pdu.len() + 3);
    out.push(unit);
    out.extend_from_slice(pdu);
    let check = crc(&out);
    out.extend(check.to_le_bytes());
    out
}

/// The length of the answer that stands at the beginning of what was heard.
#[must_use]
pub fn look(heard: &[u8]) -> Look<usize> {
    let length = match heard {
        [] | [_] => return Look::More,
        [_, 1..=4] => return Look::More,
        [_, 1..=4, bytes, ..] => 5 + usize::from(*bytes),
        [_, 5 | 6 | 15 | 16, ..] => 8,
        [_, 0x81..=0x84 | 0x85 | 0x86 | 0x8F | 0x90, ..] => 5,
        _ => return Look::Lost,
    };
    if heard.len() < length {
        return Look::More;
    }
    let (body, check) = heard[..length].split_at(length - 2);
    if crc(body).to_le_bytes() == *check { Look::Frame(length) } else { Look::Lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Made by pymodbus (`shared/data/vectors/modbus.json`).
    #[test]
    fn frames_of_another_program_are_the_same() {
        assert_eq!(frame(29, &[3, 0, 105, 0, 4]), bytes("1d03006900049649"));
        for hex in ["1d0308418b333341e8cccd01e9", "1d040606cc0123ffdd99ba", "1d83020137"] {
            let whole = bytes(hex);
            assert_eq!(look(&whole), Look::Frame(whole.len()), "{hex}");
            for cut in 0..whole.len() {
                assert_eq!(look(&whole[..cut]), Look::More, "{hex} cut at {cut}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_short_burst_is_noticed() {
        let whole = bytes("1d040606cc0123ffdd99ba");
        for bit in 0..whole.len() * 8 {
            for burst in [0b1_u16, 0b11, 0b101, 0b1001_0001, 0xFFFF] {
                let mut hurt = whole.clone();
                for at in (0..16).filter(|at| burst >> at & 1 == 1) {
                    if let Some(byte) = hurt.get_mut((bit + at) / 8) {
                        *byte ^= 1 << ((bit + at) % 8);
                    }
                }
                assert_ne!(look(&hurt), Look::Frame(whole.len()), "bit {bit}, burst {burst:b}");
            }
        }
    }

    #[test]
    fn what_begins_with_no_answer_is_lost() {
        for lost in [&[1, 0x7F][..], &[1, 0], &[1, 0x84 + 3], &[1, 0x83, 2, 0, 0]] {
            assert_eq!(look(lost), Look::Lost, "{lost:?}");
        }
    }
}
