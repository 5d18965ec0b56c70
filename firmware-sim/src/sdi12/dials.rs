//! What goes wrong, each with its probability for one answer.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// The dials. All at zero is a perfect bus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dials {
    /// No answer comes.
    pub silence: f64,
    /// Only its beginning comes.
    pub half: f64,
    /// A bit of it is turned over.
    pub corrupted: f64,
    /// Its last character is another: of an answer with a CRC, the CRC's.
    pub wrong_crc: f64,
    /// It is of another address.
    pub wrong_address: f64,
    /// It comes twice.
    pub duplicate: f64,
    /// Bytes that mean nothing come before it.
    pub noise: f64,
    /// The values are those of the measurement before; only of values.
    pub stale: f64,
    /// No value comes; only of values.
    pub empty: f64,
    /// A value is missing; only of values.
    pub short: f64,
    /// The sensor does not say that it is ready.
    pub unserved: f64,
}

/// How often each dial struck, by its name.
pub type Injected = BTreeMap<&'static str, u64>;

/// What becomes of the contents, before a CRC is put behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Right,
    Stale,
    Empty,
    Short,
}

impl Dials {
    /// Throws the dice for what an answer with values says.
    pub(super) fn contents(&self, dice: &mut Dice) -> (&'static str, Contents) {
        let mut left = dice.share();
        let mut strikes = |chance: f64| {
            let struck = (0.0..chance).contains(&left);
            left -= chance;
            struck
        };
        if strikes(self.stale) {
            ("stale", Contents::Stale)
        } else if strikes(self.empty) {
            ("empty", Contents::Empty)
        } else if strikes(self.short) {
            ("short", Contents::Short)
        } else {
            ("said", Contents::Right)
        }
    }

    /// Throws the dice for how it comes over the bus.
    pub(super) fn bus(&self, dice: &mut Dice, line: &str) -> (&'static str, Vec<u8>) {
        let mut left = dice.share();
        let mut strikes = |chance: f64| {
            let struck = (0.0..chance).contains(&left);
            left -= chance;
            struck
        };
        let mut bytes = line.as_bytes().to_vec();
        let whole = bytes.len() - 2;
        if strikes(self.silence) {
            ("silence", Vec::new())
        } else if strikes(self.half) {
            bytes.truncate(1 + dice.below(whole));
            ("half", bytes)
        } else if strikes(self.corrupted) {
            bytes[dice.below(whole)] ^= 1 << dice.below(7);
            ("corrupted", bytes)
        } else if strikes(self.wrong_crc) {
            bytes[whole - 1] = if bytes[whole - 1] == b'A' { b'B' } else { b'A' };
            ("wrong_crc", bytes)
        } else if strikes(self.wrong_address) {
            bytes[0] = if bytes[0] == b'9' { b'8' } else { b'9' };
            ("wrong_address", bytes)
        } else if strikes(self.duplicate) {
            ("duplicate", [bytes.clone(), bytes].concat())
        } else if strikes(self.noise) {
            let noise: Vec<u8> =
                (0..=dice.below(6)).map(|_| 0x80 | dice.below(128) as u8).collect();
            ("noise", [noise, bytes].concat())
        } else {
            ("answered", bytes)
        }
    }
}
