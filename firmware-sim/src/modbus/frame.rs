//! Bytes of questions and answers, bit by bit as the documents say it.

/// CRC of the serial line guide, appendix B, one bit at a time.
pub(super) fn check(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry != 0 {
                crc ^= 0xA001;
            }
        }
    }
    [(crc & 0xFF) as u8, (crc >> 8) as u8]
}

/// How frames lie on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Rtu,
    Tcp,
}

/// A question as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The number of the transaction; 0 on RTU.
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) pdu: Vec<u8>,
    /// Bytes of the whole frame.
    pub(super) length: usize,
}

impl Framing {
    /// The question at the beginning of what was heard: `Err` where none begins there.
    pub(super) fn question(self, heard: &[u8]) -> Result<Option<Asked>, ()> {
        match self {
            Self::Rtu => rtu(heard),
            Self::Tcp => tcp(heard),
        }
    }

    /// The answer as it goes out.
    pub(super) fn answer(self, asked: &Asked, pdu: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Rtu => {
                out.push(asked.unit);
                out.extend_from_slice(pdu);
                let check = check(&out);
                out.extend_from_slice(&check);
            }
            Self::Tcp => {
                out.extend_from_slice(&asked.transaction.to_be_bytes());
                out.extend_from_slice(&0_u16.to_be_bytes());
                out.extend_from_slice(&(pdu.len() as u16 + 1).to_be_bytes());
                out.push(asked.unit);
                out.extend_from_slice(pdu);
            }
        }
        out
    }
}

fn rtu(heard: &[u8]) -> Result<Option<Asked>, ()> {
    let Some(function) = heard.get(1) else { return Ok(None) };
    let length = match function {
        1..=6 => 8,
        15 | 16 => match heard.get(6) {
            Some(bytes) => 9 + usize::from(*bytes),
            None => return Ok(None),
        },
        _ => return Err(()),
    };
    let Some(frame) = heard.get(..length) else { return Ok(None) };
    if check(&frame[..length - 2]) != frame[length - 2..] {
        return Err(());
    }
    let pdu = frame[1..length - 2].to_vec();
    Ok(Some(Asked { transaction: 0, unit: frame[0], pdu, length }))
}

fn tcp(heard: &[u8]) -> Result<Option<Asked>, ()> {
    if heard.len() < 8 {
        return Ok(None);
    }
    let length = 6 + usize::from(u16::from_be_bytes([heard[4], heard[5]]));
    if heard[2] != 0 || heard[3] != 0 || !(8..=260).contains(&length) {
        return Err(());
    }
    let Some(frame) = heard.get(..length) else { return Ok(None) };
    let transaction = u16::from_be_bytes([frame[0], frame[1]]);
    Ok(Some(Asked { transaction, unit: frame[6], pdu: frame[7..].to_vec(), length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that many manuals print: read holding registers 0 to 9 of slave 1.
    #[test]
    fn a_question_of_the_manuals_is_heard_and_half_of_it_is_not() {
        let asked = [1, 3, 0, 0, 0, 10, 0xC5, 0xCD];
        let heard = Framing::Rtu.question(&asked).unwrap().unwrap();
        assert_eq!((heard.unit, heard.pdu.as_slice()), (1, &[3, 0, 0, 0, 10][..]));
        for cut in 0..asked.len() {
            assert_eq!(Framing::Rtu.question(&asked[..cut]), Ok(None));
        }
        let mut hurt = asked;
        hurt[4] ^= 1;
        assert_eq!(Framing::Rtu.question(&hurt), Err(()));
        assert_eq!(Framing::Tcp.question(&[0, 1, 9, 0, 0, 2, 1, 3]), Err(()));
    }
}
