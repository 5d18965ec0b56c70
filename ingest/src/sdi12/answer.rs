//! Answers as they are written (SDI-12 1.4, 4.4). Each begins with the address of the sensor; CR LF are gone here.
//!
//! ```text
//! 0                          is there; a service request; no values
//! 014METER   HYDR21101serial identity: version, 8 of the maker, 6 of the model, 3 of its version, up to 13 more
//! 00013                      a measurement began: ready in 001 s, 3 values (a concurrent one has two digits of count)
//! 0+1.23-4+5.6OqZ            values, each a sign, up to 7 digits and perhaps a point; a CRC in three characters
//! ```

use std::fmt;
use std::time::Duration;

use crate::line::arc;

/// The address of a sensor: one of 0-9, A-Z, a-z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u8);

impl Address {
    /// The address that this text is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [one] if one.is_ascii_alphanumeric() => Some(Self(*one)),
            _ => None,
        }
    }

    /// All of them; sensors leave the works with 0.
    pub fn all() -> impl Iterator<Item = Self> {
        (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z').map(Self)
    }

    /// Its character.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.0))
    }
}

/// An answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misread {
    #[error("the answer is of another address")]
    Address,
    #[error("the CRC is `{said}`, and would be `{is}`")]
    Crc { said: String, is: String },
    #[error("the answer is not {0}")]
    Form(&'static str),
    #[error("{found} values; {wanted}")]
    Count { found: usize, wanted: String },
    #[error("there are no values")]
    Empty,
    #[error("another sensor: `{0}`")]
    Sensor(String),
}

impl Misread {
    /// The label of `saltline_sdi12_polls_total`.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Address => "mismatch",
            Self::Crc { .. } => "crc",
            Self::Form(_) => "form",
            Self::Count { .. } => "count",
            Self::Empty => "empty",
            Self::Sensor(_) => "wrong_sensor",
        }
    }
}

/// A measurement that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Started {
    /// It is ready by then.
    pub(super) within: Duration,
    /// It has so many values.
    pub(super) count: usize,
}

/// Who a sensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The version of SDI-12 that it speaks, as `1.4`.
    pub version: String,
    /// Its maker.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// The model's version.
    pub firmware: String,
    /// Whatever it says beside that; mostly a serial number.
    pub more: String,
}

/// What stands behind the address.
fn behind(address: Address, line: &[u8]) -> Result<&[u8], Misread> {
    line.strip_prefix(&[address.0]).ok_or(Misread::Address)
}

/// Nothing but the address: it is there, or it is ready.
pub(super) fn alone(address: Address, line: &[u8]) -> Result<(), Misread> {
    match behind(address, line)? {
        [] => Ok(()),
        _ => Err(Misread::Form("its address alone")),
    }
}

/// `atttn`, and `atttnn` of a concurrent measurement.
pub(super) fn started(address: Address, line: &[u8], concurrent: bool) -> Result<Started, Misread> {
    let digits = behind(address, line)?;
    let wanted = if concurrent { 5 } else { 4 };
    if digits.len() != wanted || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Misread::Form("the beginning of a measurement"));
    }
    let number = |digits: &[u8]| digits.iter().fold(0_u16, |sum, d| sum * 10 + u16::from(d - b'0'));
    let (seconds, count) = (number(&digits[..3]), number(&digits[3..]));
    Ok(Started { within: Duration::from_secs(seconds.into()), count: count.into() })
}

/// `a<values>`, and `a<values><crc>`.
pub(super) fn values(address: Address, line: &[u8], crc: bool) -> Result<Vec<f64>, Misread> {
    behind(address, line)?;
    let line = if crc { proved(line)? } else { line };
    let mut rest = behind(address, line)?;
    let mut found = Vec::new();
    while let Some((sign, more)) = rest.split_first() {
        if !matches!(sign, b'+' | b'-') {
            return Err(Misread::Form("signed numbers"));
        }
        let end = more.iter().position(|c| matches!(c, b'+' | b'-')).unwrap_or(more.len());
        let number = number(&more[..end]).ok_or(Misread::Form("signed numbers"))?;
        found.push(if *sign == b'-' { -number } else { number });
        rest = &more[end..];
    }
    Ok(found)
}

/// Up to seven digits, perhaps with a point among them.
fn number(text: &[u8]) -> Option<f64> {
    let digits = text.iter().filter(|c| c.is_ascii_digit()).count();
    let points = text.iter().filter(|&&c| c == b'.').count();
    if !(1..=7).contains(&digits) || 1 < points || digits + points != text.len() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn proved(line: &[u8]) -> Result<&[u8], Misread> {
    let Some(at) = line.len().checked_sub(3).filter(|at| 0 < *at) else {
        return Err(Misread::Form("long enough for a CRC"));
    };
    let (body, said) = line.split_at(at);
    let is = check(body);
    if is == said {
        return Ok(body);
    }
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    Err(Misread::Crc { said: text(said), is: text(&is) })
}

/// The CRC in its three characters (4.4.12).
pub(super) fn check(body: &[u8]) -> [u8; 3] {
    let crc = arc(0, body);
    [crc >> 12, crc >> 6 & 0x3F, crc & 0x3F].map(|six| 0x40 | six.to_le_bytes()[0])
}

/// `allccccccccmmmmmmvvvxxx…`
pub(super) fn identity(address: Address, line: &[u8]) -> Result<Identity, Misread> {
    let said = behind(address, line)?;
    let printable = said.iter().all(|c| matches!(c, b' '..=b'~'));
    // 2 + 8 + 6 + 3, and up to 13; some sensors leave out blanks at the end.
    if !(2..=32).contains(&said.len()) || !printable || !said[..2].iter().all(u8::is_ascii_digit) {
        return Err(Misread::Form("an identity"));
    }
    let part = |from: usize, to: usize| {
        let part = said.get(from..to.min(said.len())).unwrap_or_default();
        String::from_utf8_lossy(part.trim_ascii()).into_owned()
    };
    Ok(Identity {
        version: format!("{}.{}", char::from(said[0]), char::from(said[1])),
        vendor: part(2, 10),
        model: part(10, 16),
        firmware: part(16, 19),
        more: part(19, said.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZERO: Address = Address(b'0');

    #[test]
    fn the_examples_of_documents_are_read() {
        // SDI-12 1.4, 4.4.12; Vaisala WMT700 User Guide M211095EN, SDI-12.
        assert_eq!(values(ZERO, b"0+3.14OqZ", true), Ok(vec![314.0 / 100.0]));
        let one = Address::parse("1").unwrap();
        let wmt = b"1+2.7+85.2-0.2-2.7+770.5CAH";
        assert_eq!(values(one, wmt, true), Ok(vec![2.7, 85.2, -0.2, -2.7, 770.5]));
        let begun = Started { within: Duration::from_secs(2), count: 5 };
        assert_eq!(started(one, b"10025", false), Ok(begun));
        let many = Started { within: Duration::from_secs(120), count: 17 };
        assert_eq!(started(one, b"112017", true), Ok(many));
        let ott = identity(ZERO, b"013OTT HACHPLS000100123456").unwrap();
        assert_eq!((ott.version.as_str(), ott.vendor.as_str()), ("1.3", "OTT HACH"));
        assert_eq!((ott.model.as_str(), ott.firmware.as_str()), ("PLS000", "100"));
        assert_eq!(ott.more, "123456");
    }

    #[test]
    fn what_is_not_the_answer_that_was_asked_for_is_said() {
        let form = |read: Result<Vec<f64>, Misread>| read.unwrap_err().label();
        for (line, crc, label) in [
            (&b"1+3.14"[..], false, "mismatch"),
            (b"", false, "mismatch"),
            (b"0+3.14OqX", true, "crc"),
            (b"0+3.15OqZ", true, "crc"),
            (b"0+3.14", true, "crc"),
            (b"0", true, "form"),
            (b"0+3.14OqZ", false, "form"),
            (b"03.14", false, "form"),
            (b"0+", false, "form"),
            (b"0+1+", false, "form"),
            (b"0+1.2.3", false, "form"),
            (b"0+12345678", false, "form"),
            (b"0+.", false, "form"),
            (b"0+1e3", false, "form"),
            (b"0+ 1", false, "form"),
        ] {
            assert_eq!(form(values(ZERO, line, crc)), label, "{}", line.escape_ascii());
        }
        assert_eq!(values(ZERO, b"0", false), Ok(vec![]));
        for bad in [&b"0"[..], b"00013+", b"0001", b"000131", b"00a13"] {
            assert_eq!(started(ZERO, bad, false).unwrap_err().label(), "form");
        }
        assert_eq!(alone(ZERO, b"0"), Ok(()));
        assert_eq!(alone(ZERO, b"00").unwrap_err().label(), "form");
        for bad in [&b"0"[..], b"0x4METER", b"014METER\x01"] {
            assert_eq!(identity(ZERO, bad).unwrap_err().label(), "form");
        }
    }

    proptest! {
        #[test]
        fn one_bit_of_an_answer_with_a_crc_is_never_lost(
            numbers in prop::collection::vec(-99_999_i32..99_999, 1..7), at in any::<prop::sample::Index>(), bit in 0..7,
        ) {
            let said: String = numbers.iter().map(|n| format!("{:+.2}", f64::from(*n) / 100.0)).collect();
            let mut line = format!("0{said}").into_bytes();
            line.extend(check(&line.clone()));
            prop_assert_eq!(values(ZERO, &line, true).map(|read| read.len()), Ok(numbers.len()));
            let at = at.index(line.len());
            line[at] ^= 1_u8 << bit;
            prop_assert!(values(ZERO, &line, true).is_err());
        }
    }
}
