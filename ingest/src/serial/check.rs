//! What stands behind a line to prove it: an XOR or a sum of its bytes, or a CRC-16, in hexadecimal digits or in the three
//! characters of SDI-12.

use crate::line::arc;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is computed.
    pub kind: Kind,
    /// What stands between the line and its check, as `*`; its last place counts. Nothing where it is empty.
    pub mark: Vec<u8>,
    /// How the check is written.
    pub form: Form,
    /// Is the character that the line begins with a part of it?
    pub with_begin: bool,
    /// Is the mark a part of it?
    pub with_mark: bool,
}

/// How a check is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Hexadecimal digits, the highest first.
    Hex,
    /// Three characters of six bits each, as SDI-12 writes a CRC.
    Sdi12,
}

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All bytes, exclusive or: NMEA 0183 and many others.
    Xor,
    /// Their sum, its lowest eight bits.
    Sum,
    /// 0x8005 reflected, from 0.
    Crc16Arc,
    /// 0x8005 reflected, from 0xFFFF.
    Crc16Modbus,
    /// 0x1021, from 0xFFFF.
    Crc16Ccitt,
    /// 0x1021, from 0.
    Crc16Xmodem,
}

/// A check does not prove its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// There is none.
    #[error("there is no check behind it")]
    None,
    /// It is another line's, or something was damaged on the way.
    #[error("the check is `{said}`, and would be `{is}`")]
    Differs {
        /// What stands there.
        said: String,
        /// What would be right.
        is: String,
    },
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Xor,
        Self::Sum,
        Self::Crc16Arc,
        Self::Crc16Modbus,
        Self::Crc16Ccitt,
        Self::Crc16Xmodem,
    ];

    /// As a profile writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xor => "xor",
            Self::Sum => "sum",
            Self::Crc16Arc => "crc16-arc",
            Self::Crc16Modbus => "crc16-modbus",
            Self::Crc16Ccitt => "crc16-ccitt",
            Self::Crc16Xmodem => "crc16-xmodem",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Has it sixteen bits?
    #[must_use]
    pub const fn is_crc(self) -> bool {
        !matches!(self, Self::Xor | Self::Sum)
    }

    /// The check of these bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u16 {
        match self {
            Self::Xor => bytes.iter().fold(0, |xor, byte| xor ^ byte).into(),
            Self::Sum => bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).into(),
            Self::Crc16Arc => arc(0, bytes),
            Self::Crc16Modbus => arc(0xFFFF, bytes),
            Self::Crc16Ccitt => forward(0xFFFF, bytes),
            Self::Crc16Xmodem => forward(0, bytes),
        }
    }
}

/// 0x1021, the highest bit first. A line is short: bit by bit will do.
fn forward(start: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// A CRC in three characters of six bits each (SDI-12, 4.4.12.2).
#[must_use]
pub fn three(crc: u16) -> [u8; 3] {
    let [high, middle, low] = [crc >> 12, crc >> 6 & 0x3F, crc & 0x3F];
    [high, middle, low].map(|six| 0x40 | six.to_le_bytes()[0])
}

impl Check {
    /// What a line without its beginning and its end says, where its check proves it.
    ///
    /// # Errors
    /// [`Unproved`].
    pub fn proved<'a>(&self, begins: Option<u8>, line: &'a [u8]) -> Result<&'a [u8], Unproved> {
        let (said, behind) = self.split(line).ok_or(Unproved::None)?;
        let begins = begins.filter(|_| self.with_begin);
        let mark = if self.with_mark { self.mark.as_slice() } else { &[] };
        let covered: Vec<u8> = begins.iter().chain(said).chain(mark).copied().collect();
        let is = self.written(self.kind.of(&covered));
        let behind = behind.trim_ascii();
        match behind.eq_ignore_ascii_case(&is) && (self.form == Form::Hex || behind == is) {
            true => Ok(said),
            false => Err(Unproved::Differs {
                said: String::from_utf8_lossy(behind).into_owned(),
                is: String::from_utf8_lossy(&is).into_owned(),
            }),
        }
    }

    /// The check as it is written.
    fn written(&self, check: u16) -> Vec<u8> {
        match (self.form, self.kind.is_crc()) {
            (Form::Sdi12, _) => three(check).to_vec(),
            (Form::Hex, true) => format!("{check:04X}").into_bytes(),
            (Form::Hex, false) => format!("{check:02X}").into_bytes(),
        }
    }

    fn split<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if self.mark.is_empty() {
            return line.len().checked_sub(self.written(0).len()).map(|at| line.split_at(at));
        }
        let at = line.windows(self.mark.len()).rposition(|window| window == self.mark)?;
        Some((&line[..at], &line[at + self.mark.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, mark: &str, form: Form) -> Check {
        Check { kind, mark: mark.into(), form, with_begin: false, with_mark: false }
    }

    #[test]
    fn the_check_values_of_the_catalogue() {
        for (kind, wanted) in [
            (Kind::Xor, 0x31),
            (Kind::Sum, 0xDD),
            (Kind::Crc16Arc, 0xBB3D),
            (Kind::Crc16Modbus, 0x4B37),
            (Kind::Crc16Ccitt, 0x29B1),
            (Kind::Crc16Xmodem, 0x31C3),
        ] {
            assert_eq!(kind.of(b"123456789"), wanted, "{kind:?}");
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn a_line_is_proved_by_the_check_behind_it_and_by_no_other() {
        let nmea = check(Kind::Xor, "*", Form::Hex);
        // The example that every description of NMEA 0183 prints.
        let line = b"GPGLL,5300.97914,N,00259.98174,E,125926,A*28";
        assert_eq!(nmea.proved(Some(b'$'), line), Ok(&line[..41]));
        assert!(matches!(nmea.proved(None, &line[..40]), Err(Unproved::None)));
        for at in 0..line.len() {
            let mut hurt = line.to_vec();
            hurt[at] ^= 1;
            assert!(nmea.proved(None, &hurt).is_err(), "byte {at}");
        }
        assert!(nmea.proved(None, b"").is_err() && nmea.proved(None, b"*").is_err());
        let bare = check(Kind::Crc16Arc, "", Form::Sdi12);
        assert_eq!(bare.proved(None, b"0+3.14OqZ"), Ok(&b"0+3.14"[..]), "SDI-12 1.4, 4.4.12.2");
        assert!(bare.proved(None, b"0+3.14OqX").is_err() && bare.proved(None, b"qZ").is_err());
        let begun = Check { with_begin: true, with_mark: true, ..nmea };
        let xor = b"$a*".iter().fold(0, |xor, byte| xor ^ byte);
        assert!(begun.proved(Some(b'$'), format!("a*{xor:02x}").as_bytes()).is_ok());
    }
}
