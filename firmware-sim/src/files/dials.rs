//! What goes wrong, each with its probability for one file.

/// The dials. All at zero is a perfect logger.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dials {
    /// It is written under its own name, and its second half comes later.
    pub slow: f64,
    /// It comes once more.
    pub twice: f64,
    /// It comes behind the next one.
    pub late: f64,
    /// It ends in its last line, before the last word of it.
    pub torn: f64,
    /// A line in it means nothing.
    pub noise: f64,
    /// It has not a byte.
    pub empty: f64,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
    Slow,
    Twice,
    Late,
    Torn,
    Noise,
    Empty,
}

impl Fate {
    /// What it is counted as.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Slow => "slow",
            Self::Twice => "twice",
            Self::Late => "late",
            Self::Torn => "torn",
            Self::Noise => "noise",
            Self::Empty => "empty",
        }
    }
}

impl Dials {
    /// What `share`, from 0 to 1, stands for.
    pub(super) fn fate(&self, share: f64) -> Fate {
        let mut left = share;
        for (chance, fate) in [
            (self.slow, Fate::Slow),
            (self.twice, Fate::Twice),
            (self.late, Fate::Late),
            (self.torn, Fate::Torn),
            (self.noise, Fate::Noise),
            (self.empty, Fate::Empty),
        ] {
            if left < chance {
                return fate;
            }
            left -= chance;
        }
        Fate::Whole
    }
}
