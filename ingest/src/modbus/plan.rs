//! The fewest questions that read all that is wanted. Pure: what is wanted, how many unwanted registers may lie between
//! two that are read together, and how many one question may ask for.

use super::wire::{Block, Function};

/// Registers of one question: the answer's length is one byte, so 250 bytes of values.
pub const REGISTERS_MAX: u16 = 125;

/// Bits of one question (application protocol 6.1: 0x7D0).
pub const COILS_MAX: u16 = 2_000;

/// Lays the wanted blocks together. Each lies whole inside one of the results. Where two results would have one form
/// and `gap` allows it, one is made a little longer, so that an answer shows which question it belongs to.
#[must_use]
pub fn plan(wanted: &[Block], gap: u16, most: u16) -> Vec<Block> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut planned: Vec<Block> = Vec::new();
    for block in wanted {
        let most = u32::from(limit(block.function, most));
        match planned.last_mut().filter(|last| last.function == block.function) {
            Some(last)
                if u32::from(block.first) <= last.end() + u32::from(gap)
                    && last.end().max(block.end()) - u32::from(last.first) <= most =>
            {
                let length = last.end().max(block.end()) - u32::from(last.first);
                last.count = u16::try_from(length).unwrap_or(last.count);
            }
            _ => planned.push(block),
        }
    }
    set_apart(&mut planned, gap, most);
    planned
}

const fn limit(function: Function, most: u16) -> u16 {
    if function.is_bits() {
        COILS_MAX
    } else if most < REGISTERS_MAX {
        most
    } else {
        REGISTERS_MAX
    }
}

/// Gives each a form of its own where a few registers more are allowed.
fn set_apart(planned: &mut [Block], gap: u16, most: u16) {
    for at in 1..planned.len() {
        let taken: Vec<_> = planned[..at].iter().map(Block::form).collect();
        let block = planned[at];
        if !taken.contains(&block.form()) {
            continue;
        }
        let grown =
            (1..=gap).map(|more| Block { count: block.count.saturating_add(more), ..block });
        let fits = |one: &Block| {
            one.count <= limit(one.function, most)
                && one.end() <= 65_536
                && !taken.contains(&one.form())
        };
        if let Some(grown) = grown.take_while(|one| one.end() <= 65_536).find(fits) {
            planned[at] = grown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(first: u16, count: u16) -> Block {
        Block { function: Function::Holding, first, count }
    }

    #[test]
    fn neighbours_are_read_together_and_gaps_only_where_allowed() {
        let wanted = [block(10, 2), block(0, 2), block(2, 1), block(14, 2)];
        assert_eq!(plan(&wanted, 0, 125), [block(0, 3), block(10, 2), block(14, 2)]);
        assert_eq!(plan(&wanted, 2, 125), [block(0, 3), block(10, 6)]);
        assert_eq!(plan(&wanted, 7, 125), [block(0, 16)]);
        assert_eq!(plan(&wanted, 7, 6), [block(0, 3), block(10, 6)]);
        let input = Block { function: Function::Input, ..block(2, 1) };
        assert_eq!(plan(&[block(0, 2), input], 9, 125), [block(0, 2), input]);
    }

    #[test]
    fn questions_that_could_be_taken_for_each_other_are_set_apart() {
        let apart = plan(&[block(0, 2), block(100, 2), block(200, 2)], 4, 125);
        assert_eq!(apart, [block(0, 2), block(100, 3), block(200, 4)]);
        assert_eq!(plan(&[block(0, 2), block(65_534, 2)], 4, 125)[1], block(65_534, 2));
    }

    /// The fewest, by trying every way to cut the sorted list.
    fn fewest(wanted: &[Block], gap: u16, most: u16) -> usize {
        let mut sorted = wanted.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let fits = |part: &[Block]| {
            let (mut end, first) = (u32::from(part[0].first), u32::from(part[0].first));
            part.iter().all(|one| {
                let near = u32::from(one.first) <= end + u32::from(gap);
                end = end.max(one.end());
                near && one.function == part[0].function && end - first <= u32::from(most)
            })
        };
        let mut best = vec![usize::MAX; sorted.len() + 1];
        best[0] = 0;
        for end in 1..=sorted.len() {
            for start in 0..end {
                if fits(&sorted[start..end]) && best[start] != usize::MAX {
                    best[end] = best[end].min(best[start] + 1);
                }
            }
        }
        best[sorted.len()]
    }

    proptest! {
        #[test]
        fn all_is_read_in_as_few_questions_as_there_can_be(
            firsts in prop::collection::btree_set(0_u16..80, 1..14), width in 1_u16..5,
            gap in 0_u16..9, most in 8_u16..40, input in any::<u16>(),
        ) {
            let table = |first: u16| match input >> (first % 16) & 1 {
                0 => Function::Holding,
                _ => Function::Input,
            };
            // Registers of values do not overlap.
            let wanted: Vec<Block> = firsts.iter()
                .map(|&first| Block { function: table(first), first: first * width, count: width })
                .collect();
            let planned = plan(&wanted, gap, most);
            prop_assert_eq!(planned.len(), fewest(&wanted, gap, most));
            for one in &wanted {
                let holds = |block: &&Block| block.function == one.function
                    && block.first <= one.first && one.end() <= block.end();
                prop_assert_eq!(planned.iter().filter(holds).count(), 1, "{:?}", one);
            }
            for block in &planned {
                prop_assert!(block.count <= most.min(REGISTERS_MAX));
                let wanted_at = |at: u32| wanted.iter()
                    .any(|one| one.function == block.function && u32::from(one.first) <= at && at < one.end());
                let mut unwanted = 0;
                for at in u32::from(block.first)..block.end() {
                    unwanted = if wanted_at(at) { 0 } else { unwanted + 1 };
                    prop_assert!(unwanted <= u32::from(gap), "{:?} reads over a gap", block);
                }
            }
        }
    }
}
