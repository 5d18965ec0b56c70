//! How characters go over a serial line.

use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial {
    /// Bits a second.
    pub baud: u32,
    /// Bits of a character: 7 or 8.
    pub data_bits: u8,
    /// The check bit of each character.
    pub parity: Parity,
    /// Stop bits: 1 or 2.
    pub stop_bits: u8,
}

impl Default for Serial {
    fn default() -> Self {
        Self { baud: 9_600, data_bits: 8, parity: Parity::None, stop_bits: 1 }
    }
}

/// The check bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// The ones are an even number.
    Even,
    /// The ones are an odd number.
    Odd,
}

impl Parity {
    /// The parity with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "even" => Some(Self::Even),
            "odd" => Some(Self::Odd),
            _ => None,
        }
    }
}

impl Serial {
    /// The time that these characters take.
    #[must_use]
    pub fn time_of(&self, characters: usize) -> Duration {
        let check = u32::from(self.parity != Parity::None);
        let bits = 1 + u32::from(self.data_bits) + check + u32::from(self.stop_bits);
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        Duration::from_secs(1) * bits.saturating_mul(characters) / self.baud.max(1)
    }

    /// The silence between two frames: 3.5 characters, and 1.75 ms above 19,200 baud (serial line guide 2.5.1.1).
    #[must_use]
    pub fn silence(&self) -> Duration {
        let whole = self.time_of(7) / 2;
        if 19_200 < self.baud { Duration::from_micros(1_750) } else { whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_take_their_time() {
        let even = Serial { parity: Parity::Even, ..Serial::default() };
        assert_eq!(even.time_of(960).as_millis(), 1_100);
        assert_eq!(Serial { data_bits: 7, ..even }.time_of(960).as_millis(), 1_000);
        assert_eq!(Serial::default().silence().as_micros(), 3_645);
        assert_eq!(Serial { baud: 115_200, ..even }.silence().as_micros(), 1_750);
    }
}
