//! What goes wrong, each with its probability for one line.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;

/// The dials. All at zero is a perfect line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dials {
    /// The line comes `late_by`.
    pub late: f64,
    /// The line comes twice.
    pub duplicate: f64,
    /// The record before comes again: one that is kept already.
    pub stale: f64,
    /// Only the beginning comes, without an end.
    pub half: f64,
    /// Only the end comes: its beginning is lost.
    pub headless: f64,
    /// A bit is turned over.
    pub corrupted: f64,
    /// The check is of another line.
    pub wrong_check: f64,
    /// A word is missing, and the check is right.
    pub short_count: f64,
    /// Bytes that mean nothing come before the line.
    pub noise: f64,
    /// So many bytes without an end come before the line.
    pub endless: f64,
    /// Nothing comes.
    pub silence: f64,
    /// Every line takes so long.
    pub delay: Duration,
    /// What is late comes within this span.
    pub late_by: (Duration, Duration),
}

/// How often each dial struck, by its name; `records` is how many were told to be kept.
pub type Injected = BTreeMap<&'static str, u64>;

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Now(Vec<u8>),
    Late(Vec<u8>, Duration),
    Never,
}

impl Dials {
    /// Throws the dice once for one line; `before` is the record that came before, and `again` writes a line's check anew.
    pub(super) fn throw(
        &self,
        dice: &mut Dice,
        line: &str,
        before: &str,
        again: impl Fn(&str) -> String,
    ) -> (&'static str, Fate) {
        let mut left = dice.share();
        let mut strikes = |chance: f64| {
            let struck = (0.0..chance).contains(&left);
            left -= chance;
            struck
        };
        let bytes = line.as_bytes().to_vec();
        let (from, to) = self.late_by;
        if strikes(self.silence) {
            ("silence", Fate::Never)
        } else if strikes(self.late) {
            ("late", Fate::Late(bytes, from + to.saturating_sub(from).mul_f64(dice.share())))
        } else if strikes(self.duplicate) {
            ("duplicate", Fate::Now([bytes.clone(), bytes].concat()))
        } else if strikes(self.stale) {
            ("stale", Fate::Now(before.as_bytes().to_vec()))
        } else if strikes(self.half) {
            let kept = 1 + dice.below(bytes.len() - 3);
            ("half", Fate::Now(bytes[..kept].to_vec()))
        } else if strikes(self.headless) {
            let lost = 1 + dice.below(bytes.len() - 3);
            ("headless", Fate::Now(bytes[lost..].to_vec()))
        } else if strikes(self.corrupted) {
            let mut bytes = bytes;
            let at = dice.below(bytes.len() - 2);
            bytes[at] ^= 1 << dice.below(7);
            ("corrupted", Fate::Now(bytes))
        } else if strikes(self.wrong_check) {
            // Of another line: its last digit is another.
            let mut bytes = bytes;
            let at = bytes.len() - 3;
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            ("wrong_check", Fate::Now(bytes))
        } else if strikes(self.short_count) {
            let said = line[1..].split('*').next().unwrap_or_default();
            let short = said.rsplit_once(',').map_or(said, |(short, _)| short);
            ("short_count", Fate::Now(again(short).into_bytes()))
        } else if strikes(self.noise) {
            let noise: Vec<u8> =
                (0..=dice.below(8)).map(|_| 0x80 | dice.below(128) as u8).collect();
            ("noise", Fate::Now([noise, bytes].concat()))
        } else if strikes(self.endless) {
            ("endless", Fate::Now([vec![b'x'; 3_000], b"\r\n".to_vec(), bytes].concat()))
        } else {
            ("answered", Fate::Now(bytes))
        }
    }
}
