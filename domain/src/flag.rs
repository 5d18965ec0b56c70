//! How far a number can be trusted: the QARTOD scale of IOOS, with its numbers.

use std::fmt;

/// A QARTOD quality flag (IOOS QARTOD, "Real-Time Quality Control of In-situ Temperature and Salinity Data", v2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Flag {
    /// 1: passed every test that ran.
    Good = 1,
    /// 2: no test could be run.
    NotEvaluated = 2,
    /// 3: suspect, or of high interest.
    Suspect = 3,
    /// 4: failed a critical test.
    Bad = 4,
    /// 9: the sensor gave no value.
    Missing = 9,
}

impl Flag {
    /// The QARTOD number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The flag with this QARTOD number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Good),
            2 => Some(Self::NotEvaluated),
            3 => Some(Self::Suspect),
            4 => Some(Self::Bad),
            9 => Some(Self::Missing),
            _ => None,
        }
    }

    /// The flag that wins when two tests spoke, in the roll-up order of `ioos_qc`: 9 < 2 < 1 < 3 < 4.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::NotEvaluated => 1,
            Self::Good => 2,
            Self::Suspect => 3,
            Self::Bad => 4,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::NotEvaluated => "not evaluated",
            Self::Suspect => "suspect",
            Self::Bad => "bad",
            Self::Missing => "missing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fail_anywhere_wins_and_missing_never_does() {
        assert_eq!(Flag::Good.worse(Flag::Bad), Flag::Bad);
        assert_eq!(Flag::Missing.worse(Flag::NotEvaluated), Flag::NotEvaluated);
        assert_eq!(Flag::Good.worse(Flag::Missing), Flag::Good);
        for n in 0..=255 {
            assert!(Flag::from_number(n).is_none_or(|flag| flag.number() == n));
        }
    }
}
