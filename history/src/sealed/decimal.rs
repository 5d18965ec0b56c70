//! Values as whole numbers of a digit, where every value of a column is: `21.36` as 2136 hundredths. Sensors say decimals,
//! and the steps from each to the next take few bits; as floats the same values have 64 that look like noise. Parquet
//! calls it DECIMAL, so whoever reads the files sees the number that the sensor said.

/// Digits behind the point at most. What has more was computed, and its digits are noise to an encoder.
const SCALE_MAX: u8 = 6;
/// Values up to here come back to the bit at their own digits and at any more: their whole numbers, and the powers of ten,
/// are floats exactly (below 2⁵³), and their quotient is rounded as the decimal itself is.
const VALUE_MAX: f64 = 1e9;

const POWERS: [f64; SCALE_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whole numbers of so many digits behind the point.
    Decimal(u8),
    /// As they are.
    Float,
}

impl Form {
    /// Of a column without values.
    pub(crate) const NONE: Self = Self::Decimal(0);

    /// The form that holds what both hold: a decimal of few digits is one of more digits.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Decimal(a), Self::Decimal(b)) => Self::Decimal(a.max(b)),
            _ => Self::Float,
        }
    }

    /// The form that holds what it held, and this value to the bit.
    pub(crate) fn with(self, value: f64) -> Self {
        let Self::Decimal(scale) = self else { return Self::Float };
        let fits = (scale..=SCALE_MAX).find(|&scale| whole(value, scale).is_some());
        fits.map_or(Self::Float, Self::Decimal)
    }
}

/// The value as a whole number of units of so many digits behind the point, where it is one to the bit.
pub(super) fn whole(value: f64, scale: u8) -> Option<i64> {
    let power = *POWERS.get(usize::from(scale))?;
    let number = (value * power).round() as i64;
    let exact = value.abs() <= VALUE_MAX && self::value(number, scale).to_bits() == value.to_bits();
    exact.then_some(number)
}

/// And back.
pub(super) fn value(whole: i64, scale: u8) -> f64 {
    whole as f64 / POWERS.get(usize::from(scale)).copied().unwrap_or(f64::NAN)
}

/// Is it a scale that this program writes?
pub(super) fn known(scale: i8) -> Option<u8> {
    u8::try_from(scale).ok().filter(|&scale| scale <= SCALE_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_is_found_with_its_digits_and_all_else_stays_a_float() {
        for (values, form) in [
            (&[][..], Form::Decimal(0)),
            (&[3.0, -2.0], Form::Decimal(0)),
            (&[21.36, 21.4], Form::Decimal(2)),
            (&[0.1, 21.36], Form::Decimal(2)),
            (&[1e-6], Form::Decimal(6)),
            (&[1e-7], Form::Float),
            (&[0.1 + 0.2], Form::Float),
            (&[-0.0], Form::Float),
            (&[f64::NAN], Form::Float),
            (&[f64::INFINITY], Form::Float),
            (&[1e9, 0.000_001], Form::Decimal(6)),
            (&[1e9 + 1.0], Form::Float),
        ] {
            let found = values.iter().fold(Form::NONE, |form, &value| form.with(value));
            assert_eq!(found, form, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_form_holds_comes_back_to_the_bit(n in -1_000_000_000i64..1_000_000_000, scale in 0u8..=6, float in any::<f64>()) {
            for number in [value(n, scale), float] {
                match Form::NONE.with(number) {
                    Form::Decimal(scale) => {
                        let n = whole(number, scale).unwrap();
                        prop_assert_eq!(value(n, scale).to_bits(), number.to_bits());
                        for more in scale..=SCALE_MAX {
                            prop_assert!(whole(number, more).is_some());
                        }
                    }
                    Form::Float => prop_assert!(number.to_bits() == float.to_bits()),
                }
            }
        }
    }
}
