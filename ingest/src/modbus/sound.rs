//! A device whose registers nobody knows yet: its registers in every kind and order, beside what would be plausible.

use std::sync::Arc;
use std::time::Duration;

use domain::Range;
use domain::raw::{Kind, Order, Raw};

use crate::line::Serial;

use super::config::{At, Config};
use super::counters::LineCounters;
use super::line::{Fault, Line};
use super::plan::{COILS_MAX, REGISTERS_MAX};
use super::wire::{Block, Question};

/// Where and how a device is asked.
#[derive(Debug, Clone)]
pub struct Sounding {
    /// The line.
    pub at: At,
    /// How a serial line is set.
    pub serial: Serial,
    /// The slave's address.
    pub unit: u8,
    /// How long an answer is waited for.
    pub answer_within: Duration,
}

/// A block could not be read.
#[derive(Debug, thiserror::Error)]
#[error("function {function}, register {first}: {fault}")]
pub struct Unsounded {
    /// The function.
    pub function: u8,
    /// The first register asked for.
    pub first: u16,
    /// Why.
    pub fault: Fault,
}

/// One register, and one way to read the number that begins there.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The register.
    pub register: u16,
    /// What the number would be made of.
    pub kind: Kind,
    /// How it would lie.
    pub order: Order,
    /// The number.
    pub number: f64,
    /// Would it be plausible?
    pub plausible: bool,
}

/// Reads a block of any length, in as many questions as it takes. Bits are given as 0 and 1. Where a device refuses a
/// whole question, each register is asked for by itself: `None` is one that it does not have.
///
/// # Errors
/// [`Unsounded`] for the first question that is not answered, or where every register is refused.
pub async fn sound(sounding: &Sounding, block: Block) -> Result<Vec<Option<u16>>, Unsounded> {
    let mut line = Line::new(Arc::new(config(sounding)), LineCounters::new("probe"), 1);
    let most = if block.function.is_bits() { COILS_MAX } else { REGISTERS_MAX };
    let mut words = Vec::new();
    let mut refused = None;
    for part in parts(block, most) {
        match ask(&mut line, sounding.unit, part).await {
            Ok(read) => words.extend(read.into_iter().map(Some)),
            Err(unsounded) if matches!(unsounded.fault, Fault::Exception(_)) => {
                for one in parts(part, 1) {
                    match ask(&mut line, sounding.unit, one).await {
                        Ok(read) => words.extend(read.into_iter().map(Some)),
                        Err(Unsounded { fault: Fault::Exception(_), .. }) => words.push(None),
                        Err(unsounded) => return Err(unsounded),
                    }
                }
                refused = Some(unsounded);
            }
            Err(unsounded) => return Err(unsounded),
        }
    }
    match refused {
        Some(unsounded) if words.iter().all(Option::is_none) => Err(unsounded),
        _ => Ok(words),
    }
}

/// The block in pieces of at most `most`.
fn parts(block: Block, most: u16) -> impl Iterator<Item = Block> {
    let offsets = (0..block.count).step_by(usize::from(most.max(1)));
    offsets.map(move |offset| Block {
        first: block.first.saturating_add(offset),
        count: (block.count - offset).min(most),
        ..block
    })
}

async fn ask(line: &mut Line, unit: u8, part: Block) -> Result<Vec<u16>, Unsounded> {
    let (function, first) = (part.function.number(), part.first);
    let asked = line.ask(unit, &Question::Read(part)).await;
    let bytes = asked.map_err(|fault| Unsounded { function, first, fault })?;
    Ok(if part.function.is_bits() {
        let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        (0..usize::from(part.count)).map(|at| u16::from(bit(at))).collect()
    } else {
        bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    })
}

fn config(sounding: &Sounding) -> Config {
    let answer_within = sounding.answer_within;
    Config {
        name: "probe".to_owned(),
        at: sounding.at.clone(),
        serial: sounding.serial,
        answer_within,
        pause: Duration::ZERO,
        quiet: Duration::from_millis(100),
        late_max: answer_within,
        budget: answer_within,
        back_off_max: answer_within,
        retry_max: answer_within,
        slaves: Vec::new(),
    }
}

/// Every way to read the number that begins at each register. `scale` is tried on all of them.
#[must_use]
pub fn words(words: &[Option<u16>], first: u16, range: Option<Range>, scale: f64) -> Vec<Word> {
    let mut ways = Vec::new();
    for (at, register) in (0..words.len()).zip(first..) {
        for kind in Kind::REGISTERS.into_iter().filter(|kind| *kind != Kind::Bit) {
            let held = words.get(at..at + usize::from(kind.width()));
            let held: Option<Vec<u16>> = held.and_then(|held| held.iter().copied().collect());
            let Some(held) = held else { continue };
            for order in Order::ALL {
                // One register has two orders, not four.
                if kind.width() == 1 && matches!(order, Order::Cdab | Order::Dcba) {
                    continue;
                }
                let Some(raw) = Raw::read(kind, order, &held) else { continue };
                let number = raw.number() * scale;
                let plausible = range.is_some_and(|range| {
                    // 1e-30 is inside of most ranges, and always a number of another kind.
                    range.holds(number) && (number == 0.0 || 1e-6 < number.abs())
                });
                ways.push(Word { register, kind, order, number, plausible });
            }
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_that_makes_sense_stands_out() {
        let range = Some(Range { low: 5.0, high: 45.0 });
        let ways = words(&[Some(13107), Some(16779), None], 10, range, 1.0);
        let found: Vec<_> = ways.iter().filter(|way| way.plausible).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].register, found[0].kind, found[0].order),
            (10, Kind::F32, Order::Cdab)
        );
        assert!(ways.iter().all(|way| way.kind != Kind::F64));
        assert_eq!(ways.iter().filter(|way| way.register == 11).count(), 4);
    }
}
