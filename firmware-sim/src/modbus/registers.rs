//! What stands where, the same in holding and input registers:
//!
//! ```text
//! 0–11      six numbers (f32, ABCD): salinity g/L, conductivity at 25 °C mS/cm, water temperature °C,
//!           water level m, pH, battery V; they follow a slow tide
//! 12        status: bit 0 fault, bit 1 calibrating
//! 20        gate opening in cm, can be written; so can coil 0
//! 1000–1003 the proof, form 4: unit and first register (u32), milliseconds since the start (u32)
//! 1100–1104 the proof, form 5: the same, and 1104
//! 1200–1205 the proof, form 6: the same, and 1204, 1205
//! ```
//!
//! The proof says whose answer it is, to which question, and of when: nobody can take one for another unnoticed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The first registers of the three blocks of the proof.
pub const PROOF: [u16; 3] = [1_000, 1_100, 1_200];

/// The registers of all slaves of one simulation.
#[derive(Debug)]
pub struct Registers {
    start: Instant,
    written: Mutex<HashMap<(u8, u16), u16>>,
    asked: Option<Mutex<Vec<Question>>>,
}

/// A question that a block of the proof answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The slave.
    pub unit: u8,
    /// The first register.
    pub first: u16,
    /// When, in milliseconds since the start: the answer says so too.
    pub millis: u32,
}

impl Default for Registers {
    fn default() -> Self {
        Self { start: Instant::now(), written: Mutex::default(), asked: None }
    }
}

impl Registers {
    /// Registers that remember every question to the proof.
    #[must_use]
    pub fn remembering() -> Self {
        Self { asked: Some(Mutex::default()), ..Self::default() }
    }

    /// The questions to the proof so far, oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        let asked = self.asked.as_ref();
        asked.map_or_else(Vec::new, |asked| {
            asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Milliseconds since the start, as the proof says them.
    #[must_use]
    pub fn millis(&self) -> u32 {
        self.start.elapsed().as_millis() as u32
    }

    /// The answer of a slave to a question.
    pub(super) fn answer(&self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let number = |at: usize| match pdu.get(at..at + 2) {
            Some(two) => u16::from_be_bytes([two[0], two[1]]),
            None => 0,
        };
        let (function, first, count) = (pdu[0], number(1), number(3));
        match function {
            3 | 4 => self.words(unit, function, first, count),
            1 | 2 => self.bits(unit, function, first, count),
            5 | 6 => self.write(unit, function, first, &[count], pdu),
            16 if pdu.len() == 6 + usize::from(count) * 2 => {
                let words: Vec<u16> = (0..usize::from(count)).map(|n| number(6 + n * 2)).collect();
                self.write(unit, function, first, &words, pdu)
            }
            _ => vec![function | 0x80, 1],
        }
    }

    fn words(&self, unit: u8, function: u8, first: u16, count: u16) -> Vec<u8> {
        if !(1..=125).contains(&count) {
            return vec![function | 0x80, 3];
        }
        let millis = self.millis();
        if let Some(asked) = self.asked.as_ref().filter(|_| PROOF.contains(&first)) {
            let question = Question { unit, first, millis };
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(question);
        }
        let mut out = vec![function, count as u8 * 2];
        for at in 0..count {
            let Some(word) = first.checked_add(at).and_then(|at| self.word(unit, at, millis))
            else {
                return vec![function | 0x80, 2];
            };
            out.extend_from_slice(&word.to_be_bytes());
        }
        out
    }

    fn word(&self, unit: u8, at: u16, millis: u32) -> Option<u16> {
        if let Some(written) = self.held().get(&(unit, at)) {
            return Some(*written);
        }
        let seconds = f64::from(millis) / 1_000.0;
        let tide = (seconds / 7_200.0 + f64::from(unit)).sin();
        let number = match at / 2 {
            0 => 8.0 + 4.0 * tide,
            1 => 14.0 + 6.0 * tide,
            2 => 28.5 + 0.5 * tide,
            3 => 0.4 + 0.8 * tide,
            4 => 7.2 + 0.1 * tide,
            5 => 12.6,
            _ => return self.other(unit, at, millis),
        };
        let bytes = (number as f32).to_be_bytes();
        let half = usize::from(at % 2) * 2;
        Some(u16::from_be_bytes([bytes[half], bytes[half + 1]]))
    }

    fn other(&self, unit: u8, at: u16, millis: u32) -> Option<u16> {
        let last = match at - at % 100 {
            1_000 => 3,
            1_100 => 4,
            1_200 => 5,
            0 => return matches!(at, 12 | 20).then_some(0),
            _ => return None,
        };
        match at % 100 {
            0 => Some(unit.into()),
            1 => Some(at - 1),
            2 => Some((millis >> 16) as u16),
            3 => Some((millis & 0xFFFF) as u16),
            more if more <= last => Some(at),
            _ => None,
        }
    }

    fn bits(&self, unit: u8, function: u8, first: u16, count: u16) -> Vec<u8> {
        if first != 0 || !(1..=16).contains(&count) {
            return vec![function | 0x80, 2];
        }
        let on = self.held().get(&(unit, COIL)).copied().unwrap_or(0) != 0;
        let bytes = count.div_ceil(8) as u8;
        let mut out = vec![function, bytes, u8::from(on)];
        out.resize(2 + usize::from(bytes), 0);
        out
    }

    fn write(&self, unit: u8, function: u8, first: u16, words: &[u16], pdu: &[u8]) -> Vec<u8> {
        let at = match (function, first, words.len()) {
            (5, 0, _) => COIL,
            (6 | 16, 20, 1) => 20,
            _ => return vec![function | 0x80, 2],
        };
        self.held().insert((unit, at), words[0]);
        pdu[..5].to_vec()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<(u8, u16), u16>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where coil 0 is kept among what was written; no question can name it.
const COIL: u16 = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_says_whose_it_is_and_what_is_not_there_is_refused() {
        let registers = Registers::default();
        let answer = registers.answer(7, &[3, 0x04, 0x4C, 0, 5]);
        assert_eq!(answer[..6], [3, 10, 0, 7, 0x04, 0x4C]);
        assert_eq!(answer[10..], 1_104_u16.to_be_bytes());
        assert_eq!(registers.answer(7, &[3, 0x04, 0x4C, 0, 6]), [0x83, 2]);
        assert_eq!(registers.answer(7, &[3, 0, 0, 0, 126]), [0x83, 3]);
        assert_eq!(registers.answer(7, &[8, 0, 0, 0, 0]), [0x88, 1]);
    }

    #[test]
    fn what_is_written_stands_there_for_this_slave_alone() {
        let registers = Registers::default();
        assert_eq!(registers.answer(1, &[6, 0, 20, 0, 120]), [6, 0, 20, 0, 120]);
        assert_eq!(registers.answer(1, &[3, 0, 20, 0, 1]), [3, 2, 0, 120]);
        assert_eq!(registers.answer(2, &[3, 0, 20, 0, 1]), [3, 2, 0, 0]);
        assert_eq!(registers.answer(1, &[16, 0, 20, 0, 1, 2, 0, 9]), [16, 0, 20, 0, 1]);
        assert_eq!(registers.answer(1, &[5, 0, 0, 0xFF, 0]), [5, 0, 0, 0xFF, 0]);
        assert_eq!(registers.answer(1, &[1, 0, 0, 0, 9]), [1, 2, 1, 0]);
        assert_eq!(registers.answer(1, &[6, 0, 21, 0, 1]), [0x86, 2]);
    }
}
