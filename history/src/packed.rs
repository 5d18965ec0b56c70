//! A month of one series in memory, in few bits and still open at any row: what was decoded of sealed files and may be
//! asked again. A reading every 15 minutes takes about three bytes, so a year of a series takes 100 kB. What each test said
//! is not here: who asks that is rare, and reads it from the files.

use domain::Flag;

use crate::rollup::{millionths, of_millionths};
use crate::series::{Cell, Version};

/// Set beside a flag where the value is missing.
const NO_VALUE: i64 = 0x80;

/// What sealed files hold of a series in a month, each time once.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The files that it was read from.
    pub(crate) serials: Vec<u64>,
    rows: usize,
    taken: Column,
    /// As it is, or since it was taken.
    received: (bool, Column),
    /// Millionths, or the bits of floats.
    value: (bool, Column),
    flag: Column,
}

impl Packed {
    pub(crate) fn of(serials: Vec<u64>, versions: &[Version]) -> Self {
        let each = |of: &dyn Fn(&Version) -> i64| -> Vec<i64> { versions.iter().map(of).collect() };
        let number = |version: &Version| version.cell.value.unwrap_or(0.0);
        let decimal = versions.iter().all(|version| millionths(number(version)).is_some());
        let value = if decimal {
            each(&|version| millionths(number(version)).unwrap_or(0))
        } else {
            each(&|version| number(version).to_bits().cast_signed())
        };
        let flag = each(&|version| {
            let missing = if version.cell.value.is_none() { NO_VALUE } else { 0 };
            i64::from(version.cell.flag.number()) | missing
        });
        let at = Column::of(&each(&|version| version.received));
        let since = Column::of(&each(&|version| version.received.wrapping_sub(version.taken)));
        let received = if at.bytes() <= since.bytes() { (true, at) } else { (false, since) };
        Self {
            serials,
            rows: versions.len(),
            taken: Column::of(&each(&|version| version.taken)),
            received,
            value: (decimal, Column::of(&value)),
            flag: Column::of(&flag),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let columns = [&self.taken, &self.received.1, &self.value.1, &self.flag];
        let columns: usize = columns.iter().map(|column| column.bytes()).sum();
        columns + self.serials.len() * 8 + size_of::<Self>()
    }

    /// Adds the rows between two times, the second not included. Their place in the journal is not known any more: it is
    /// before everything that is not sealed.
    pub(crate) fn between(&self, (from, to): (i64, i64), out: &mut Vec<Version>) {
        let (first, last) = (self.place(from), self.place(to));
        out.reserve(last.saturating_sub(first));
        for row in first..last {
            let taken = self.taken.get(row);
            let received = self.received.1.get(row);
            let received = if self.received.0 { received } else { received.wrapping_add(taken) };
            let flag = self.flag.get(row);
            let value = (flag & NO_VALUE == 0).then(|| self.value(row));
            let number = u8::try_from(flag & !NO_VALUE).unwrap_or(0);
            let flag = Flag::from_number(number).unwrap_or(Flag::Missing);
            out.push(Version { taken, received, position: 0, cell: Cell::untested(value, flag) });
        }
    }

    fn value(&self, row: usize) -> f64 {
        let number = self.value.1.get(row);
        if self.value.0 { of_millionths(number) } else { f64::from_bits(number.cast_unsigned()) }
    }

    /// The first row at this time or behind it.
    fn place(&self, time: i64) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.taken.get(middle) < time { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Whole numbers: the same step from each to the next, or `base + unit × n` with the `n` in so many bits.
#[derive(Debug)]
enum Column {
    Steps { base: i64, step: i64 },
    Bits { base: i64, unit: u64, bits: u32, packed: Vec<u8> },
}

/// A number of so many bits lies in eight bytes from whichever bit of the first it begins.
const BITS_MAX: u32 = 57;

impl Column {
    fn of(numbers: &[i64]) -> Self {
        let base = numbers.first().copied().unwrap_or(0);
        let step = numbers.get(1).map_or(0, |second| second.wrapping_sub(base));
        let mut pairs = numbers.windows(2);
        if pairs.all(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a) == step)) {
            return Self::Steps { base, step };
        }
        let base = numbers.iter().copied().min().unwrap_or(0);
        let above = |number: i64| number.wrapping_sub(base).cast_unsigned();
        let unit = numbers.iter().fold(0, |unit, &number| divisor(unit, above(number))).max(1);
        let most = numbers.iter().map(|&number| above(number)).max().unwrap_or(0);
        let bits = 64 - (most / unit).leading_zeros();
        let bits = if BITS_MAX < bits { 64 } else { bits };
        let mut packed = vec![0_u8; (numbers.len() * bits as usize).div_ceil(8) + 8];
        for (row, &number) in numbers.iter().enumerate() {
            let at = row * bits as usize;
            let n = u128::from(above(number) / unit) << (at % 8);
            for (byte, held) in packed[at / 8..].iter_mut().zip(n.to_le_bytes()).take(9) {
                *byte |= held;
            }
        }
        Self::Bits { base, unit, bits, packed }
    }

    fn get(&self, row: usize) -> i64 {
        match self {
            Self::Steps { base, step } => base.wrapping_add(step.wrapping_mul(row as i64)),
            Self::Bits { base, unit, bits, packed } => {
                let at = row * *bits as usize;
                let eight =
                    packed.get(at / 8..at / 8 + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
                let held = u64::from_le_bytes(eight.unwrap_or_default()) >> (at % 8);
                let n = if *bits < 64 { held & ((1 << *bits) - 1) } else { held };
                base.wrapping_add(n.wrapping_mul(*unit).cast_signed())
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Steps { .. } => 0,
            Self::Bits { packed, .. } => packed.len(),
        }
    }
}

fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Version> {
        let value = prop_oneof![
            5 => (0..4_000).prop_map(|n| Some(f64::from(n) / 100.0)),
            1 => any::<f64>().prop_map(Some),
            1 => Just(None),
        ];
        let flag = prop::sample::select(vec![Flag::Good, Flag::NotEvaluated, Flag::Bad]);
        (-4_000i64..4_000, 0i64..5_000, value, flag).prop_map(|(n, late, value, flag)| {
            let taken = n * 900_000;
            Version {
                taken,
                received: taken + late,
                position: 0,
                cell: Cell::untested(value, flag),
            }
        })
    }

    fn comes_back(mut versions: Vec<Version>, span: (i64, i64)) -> usize {
        versions.sort_by_key(|version| version.taken);
        versions.dedup_by_key(|version| version.taken);
        let packed = Packed::of(vec![1], &versions);
        let mut out = Vec::new();
        packed.between(span, &mut out);
        versions.retain(|version| span.0 <= version.taken && version.taken < span.1);
        assert_eq!(out, versions);
        packed.bytes()
    }

    proptest! {
        #[test]
        fn every_row_comes_back(
            versions in prop::collection::vec(version(), 0..40),
            from in -4_000_000_000i64..4_000_000_000,
            length in 0i64..4_000_000_000,
        ) {
            comes_back(versions.clone(), (from, from + length));
            comes_back(versions, (i64::MIN, i64::MAX));
        }

        #[test]
        fn every_number_comes_back(numbers in prop::collection::vec(any::<i64>(), 0..20), shift in 0u32..63) {
            let numbers: Vec<i64> = numbers.iter().map(|n| n >> shift).collect();
            let column = Column::of(&numbers);
            let read: Vec<i64> = (0..numbers.len()).map(|row| column.get(row)).collect();
            prop_assert_eq!(read, numbers);
        }
    }

    #[test]
    fn a_month_of_a_tide_takes_three_bytes_a_reading() {
        let one = |n: i64| {
            let value = Some(((n * 7_919) % 3_000) as f64 / 100.0);
            let (taken, cell) = (n * 900_000, Cell::untested(value, Flag::Good));
            Version { taken, received: taken + n * 389 % 1_000, position: 0, cell }
        };
        let bytes = comes_back((0..2_976).map(one).collect(), (i64::MIN, i64::MAX));
        assert!(bytes < 2_976 * 3, "{bytes}");
    }
}
