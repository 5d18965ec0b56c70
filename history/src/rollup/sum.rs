//! A sum that is the same in whatever order, and however grouped, it was added up.

/// Measured values are decimal numbers of few places. What is a whole number of millionths (to the bit: divided again it
/// is the value itself) is added up as such, and nothing is rounded before the end.
const MICRO: f64 = 1e6;
/// Above this a value may not be a whole number of millionths without rounding.
const MICRO_MAX: f64 = 2_251_799_813_685_248.0; // 2^51
/// Values of this size may leave the range of floats when they are added up; they are, and infinities, kept apart.
const HUGE: f64 = 1e290;

/// A sum in the making.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sum {
    /// Of all values that are whole numbers of millionths.
    pub(crate) micro: i128,
    /// Of all others.
    pub(crate) rest: Exact,
    /// Of what is huge, or no number: added up as it comes.
    wild: Option<f64>,
}

impl Sum {
    pub(crate) fn of(micro: i128, rest: Exact) -> Self {
        Self { micro, rest, wild: None }
    }

    pub(crate) fn add(&mut self, value: f64) {
        match millionths(value) {
            Some(micro) => self.micro += i128::from(micro),
            None if value.abs() < HUGE => self.rest.add(value),
            None => self.wild = Some(self.wild.unwrap_or(0.0) + value),
        }
    }

    /// Adds what another sum holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.micro += other.micro;
        other.rest.parts.iter().for_each(|&part| self.rest.add(part));
        if let Some(wild) = other.wild {
            self.wild = Some(self.wild.unwrap_or(0.0) + wild);
        }
    }

    /// Does the order in which it was added up not matter?
    pub(crate) fn is_tame(&self) -> bool {
        self.wild.is_none()
    }

    pub(crate) fn value(&self) -> f64 {
        // 2^53 millionths are nine billion: up to there the division is the only rounding.
        let micro = self.micro as f64 / MICRO;
        let tame = if self.rest.parts.is_empty() { micro } else { micro + self.rest.value() };
        self.wild.map_or(tame, |wild| wild + tame)
    }
}

/// The value as a whole number of millionths, where it is one to the bit. Minus zero is none.
pub(crate) fn millionths(value: f64) -> Option<i64> {
    let micro = (value * MICRO).round();
    if MICRO_MAX < micro.abs() || micro.is_nan() {
        return None;
    }
    let micro = micro as i64;
    (of_millionths(micro).to_bits() == value.to_bits()).then_some(micro)
}

pub(crate) fn of_millionths(micro: i64) -> f64 {
    micro as f64 / MICRO
}

/// An exact sum of floats: parts that do not overlap, from the smallest to the greatest (J. R. Shewchuk, "Adaptive
/// precision floating-point arithmetic", 1997, the growing of an expansion).
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Exact {
    parts: Vec<f64>,
}

impl Exact {
    pub(crate) fn add(&mut self, value: f64) {
        let (mut carried, mut kept) = (value, 0);
        for at in 0..self.parts.len() {
            let part = self.parts[at];
            let (large, small) =
                if carried.abs() < part.abs() { (part, carried) } else { (carried, part) };
            let sum = large + small;
            let lost = small - (sum - large);
            if lost != 0.0 {
                self.parts[kept] = lost;
                kept += 1;
            }
            carried = sum;
        }
        self.parts.truncate(kept);
        if carried != 0.0 {
            self.parts.push(carried);
        }
    }

    /// The sum, rounded once, to the nearest.
    fn value(&self) -> f64 {
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut sum) = parts.next() else { return 0.0 };
        while let Some(part) = parts.next() {
            let before = sum;
            sum = before + part;
            let lost = part - (sum - before);
            if lost == 0.0 {
                continue;
            }
            // Half-way cases are decided by what is below.
            let below = parts.next().unwrap_or(0.0);
            if (lost < 0.0 && below < 0.0) || (0.0 < lost && 0.0 < below) {
                let twice = lost * 2.0;
                let up = sum + twice;
                if up - sum == twice {
                    sum = up;
                }
            }
            break;
        }
        sum
    }

    /// The sum as two floats that hold it exactly; `None` where it takes more.
    pub(crate) fn pair(&self) -> Option<(f64, f64)> {
        let mut left = self.clone();
        let high = left.value();
        left.add(-high);
        let low = left.value();
        left.add(-low);
        left.parts.is_empty().then_some((high, low))
    }

    pub(crate) fn of_pair((high, low): (f64, f64)) -> Self {
        let mut exact = Self::default();
        exact.add(high);
        exact.add(low);
        exact
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> Sum {
        let mut sum = Sum::default();
        values.iter().for_each(|&value| sum.add(value));
        sum
    }

    #[test]
    fn decimals_add_up_as_on_paper() {
        assert_eq!(sum(&[0.1, 0.2]).value(), 0.3);
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_eq!(sum(&[]).value().to_bits(), 0.0_f64.to_bits());
        assert_eq!(sum(&[-0.0, -0.0]).value().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn what_is_no_decimal_is_rounded_once() {
        assert_eq!(sum(&[1e20, 1.0 / 3.0, -1e20]).value(), 1.0 / 3.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]).value(), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).value().is_nan());
        assert!(!sum(&[f64::MAX]).is_tame() && sum(&[1.0, 1.0 / 3.0]).is_tame());
    }

    #[test]
    fn millionths_are_the_value_to_the_bit() {
        assert_eq!(millionths(8.85), Some(8_850_000));
        for odd in [0.1 + 0.2, -0.0, f64::NAN, f64::INFINITY, 1e300, 1e-9] {
            assert_eq!(millionths(odd), None, "{odd}");
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => (-40_000i32..40_000).prop_map(|n| f64::from(n) / 100.0),
            2 => -1e3f64..1e3,
            1 => (-1e3f64..1e3, -200i32..200).prop_map(|(value, by)| value * 2f64.powi(by)),
        ]
    }

    proptest! {
        #[test]
        fn order_and_groups_do_not_matter(
            values in prop::collection::vec(value(), 0..40),
            cut in 0usize..40,
            turn in 0usize..40,
        ) {
            let right = sum(&values).value().to_bits();
            let cut = cut.min(values.len());
            let mut merged = sum(&values[..cut]);
            let other = sum(&values[cut..]);
            if let Some(pair) = other.rest.pair() {
                prop_assert_eq!(Exact::of_pair(pair).value().to_bits(), other.rest.value().to_bits());
            }
            merged.merge(&other);
            prop_assert_eq!(merged.value().to_bits(), right);
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len().max(1));
            prop_assert_eq!(sum(&turned).value().to_bits(), right);
        }
    }
}
