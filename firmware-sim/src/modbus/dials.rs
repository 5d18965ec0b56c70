//! What goes wrong, each with its probability for one answer. The damage to an RTU frame is what its check promises to
//! find: up to 16 bits in a row.

use std::collections::BTreeMap;
use std::time::Duration;

use super::frame::Framing;
use crate::dice::Dice;

/// The dials. All at zero is a perfect line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dials {
    /// The answer comes `late_by`.
    pub late: f64,
    /// The answer comes right before the slave's next one.
    pub held: f64,
    /// The answer comes twice at once.
    pub duplicate: f64,
    /// The answer comes, and again right before the slave's next one.
    pub duplicate_held: f64,
    /// Only the beginning of the answer comes.
    pub truncated: f64,
    /// Bits of the answer are turned over; on TCP in its head, for TCP itself checks the rest.
    pub corrupted: f64,
    /// Bytes that mean nothing come before the answer.
    pub noise: f64,
    /// The slave refuses: exception 4.
    pub exception: f64,
    /// No answer comes.
    pub silence: f64,
    /// Every answer takes so long.
    pub delay: Duration,
    /// What is late comes within this span after the question.
    pub late_by: (Duration, Duration),
}

/// How often each dial struck, by its name, and `questions`.
pub type Injected = BTreeMap<&'static str, u64>;

/// What becomes of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Now(Vec<u8>),
    Late(Vec<u8>, Duration),
    Held(Vec<u8>),
    NowAndHeld(Vec<u8>, Vec<u8>),
    Never,
}

impl Dials {
    /// Throws the dice once for one answer.
    pub(super) fn throw(
        &self,
        dice: &mut Dice,
        framing: Framing,
        answer: Vec<u8>,
        refusal: Vec<u8>,
    ) -> (&'static str, Fate) {
        let mut left = dice.share();
        let mut strikes = |chance: f64| {
            let struck = (0.0..chance).contains(&left);
            left -= chance;
            struck
        };
        let (from, to) = self.late_by;
        if strikes(self.silence) {
            ("silence", Fate::Never)
        } else if strikes(self.exception) {
            ("exception", Fate::Now(refusal))
        } else if strikes(self.late) {
            let by = from + to.saturating_sub(from).mul_f64(dice.share());
            ("late", Fate::Late(answer, by))
        } else if strikes(self.held) {
            ("held", Fate::Held(answer))
        } else if strikes(self.duplicate) {
            ("duplicate", Fate::Now([answer.clone(), answer].concat()))
        } else if strikes(self.duplicate_held) {
            ("duplicate_held", Fate::NowAndHeld(answer.clone(), answer))
        } else if strikes(self.truncated) {
            let kept = 1 + dice.below(answer.len() - 1);
            ("truncated", Fate::Now(answer[..kept].to_vec()))
        } else if strikes(self.corrupted) {
            ("corrupted", Fate::Now(corrupt(dice, framing, answer)))
        } else if strikes(self.noise) {
            let noise: Vec<u8> = (0..=dice.below(8)).map(|_| dice.next() as u8).collect();
            ("noise", Fate::Now([noise, answer].concat()))
        } else {
            ("answered", Fate::Now(answer))
        }
    }
}

/// Turns over up to 16 bits in a row, the first and some of the others.
fn corrupt(dice: &mut Dice, framing: Framing, mut answer: Vec<u8>) -> Vec<u8> {
    let bits = match framing {
        Framing::Rtu => answer.len() * 8,
        // Transaction, protocol, length, unit, function.
        Framing::Tcp => 8 * 8,
    };
    let first = dice.below(bits);
    let which = dice.next() as u16 | 1;
    for at in
        (0..16).filter(|at| which >> at & 1 == 1).map(|at| first + at).take_while(|at| *at < bits)
    {
        answer[at / 8] ^= 1 << (at % 8);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dial_strikes_as_often_as_it_says() {
        let dials = Dials { silence: 0.1, held: 0.2, truncated: 0.3, ..Dials::default() };
        let mut dice = Dice(7);
        let mut struck = Injected::new();
        for _ in 0..10_000 {
            let (name, _) = dials.throw(&mut dice, Framing::Rtu, vec![1; 9], vec![2; 5]);
            *struck.entry(name).or_default() += 1;
        }
        for (name, often) in
            [("silence", 1_000), ("held", 2_000), ("truncated", 3_000), ("answered", 4_000)]
        {
            assert!(struck[name].abs_diff(often) < 200, "{struck:?}");
        }
    }

    #[test]
    fn what_is_corrupted_is_never_the_same() {
        let mut dice = Dice(1);
        for _ in 0..1_000 {
            let good = vec![1, 3, 2, 0, 7, 9, 9];
            assert_ne!(corrupt(&mut dice, Framing::Rtu, good.clone()), good);
        }
    }
}
