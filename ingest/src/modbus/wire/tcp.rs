//! TCP: transaction (2), protocol 0 (2), length (2), unit (1), PDU. The transaction comes back in the answer, so an
//! answer that is late is known for what it is.

use super::Look;

/// Bytes before the PDU.
const HEAD: usize = 7;

/// The longest that may stand in the length: a unit and a PDU of 253 bytes.
const LENGTH_MAX: usize = 254;

/// A frame's head and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Which question it answers.
    pub transaction: u16,
    /// Who answers.
    pub unit: u8,
    /// Bytes of the whole; the PDU begins at 7.
    pub length: usize,
}

impl Frame {
    /// The PDU of this frame, which stands at the beginning of `heard`.
    #[must_use]
    pub fn pdu(self, heard: &[u8]) -> &[u8] {
        &heard[HEAD..self.length]
    }
}

/// A frame to this unit.
#[must_use]
pub fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + pdu.len());
    out.extend(transaction.to_be_bytes());
    out.extend([0, 0]);
    let length = u16::try_from(pdu.len() + 1).expect("a PDU has 253 bytes at most");
    out.extend(length.to_be_bytes());
    out.push(unit);
    out.extend_from_slice(pdu);
    out
}

/// The frame that stands at the beginning of what was heard.
#[must_use]
pub fn look(heard: &[u8]) -> Look<Frame> {
    let Some((head, _)) = heard.split_at_checked(HEAD) else { return Look::More };
    let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
    if head[2..4] != [0, 0] || !(2..=LENGTH_MAX).contains(&length) {
        return Look::Lost;
    }
    if heard.len() < HEAD - 1 + length {
        return Look::More;
    }
    let transaction = u16::from_be_bytes([head[0], head[1]]);
    Look::Frame(Frame { transaction, unit: head[6], length: HEAD - 1 + length })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by pymodbus (`shared/data/vectors/modbus.json`).
    #[test]
    fn frames_of_another_program_are_the_same() {
        let asked = frame(17, 29, &[3, 0, 105, 0, 4]);
        assert_eq!(asked, [0, 17, 0, 0, 0, 6, 29, 3, 0, 105, 0, 4]);
        let answer = [0, 0x12, 0, 0, 0, 9, 0x1d, 4, 6, 6, 0xcc, 1, 0x23, 0xff, 0xdd];
        let Look::Frame(found) = look(&answer) else { panic!("a frame") };
        assert_eq!((found.transaction, found.unit), (18, 29));
        assert_eq!(found.pdu(&answer), &answer[7..]);
        for cut in 0..answer.len() {
            assert_eq!(look(&answer[..cut]), Look::More, "cut at {cut}");
        }
    }

    #[test]
    fn another_protocol_and_an_endless_frame_are_lost() {
        assert_eq!(look(&[0, 1, 0, 1, 0, 6, 1, 3]), Look::Lost);
        assert_eq!(look(&[0, 1, 0, 0, 1, 0, 1, 3]), Look::Lost);
        assert_eq!(look(&[0, 1, 0, 0, 0, 1, 1, 3]), Look::Lost);
    }
}
