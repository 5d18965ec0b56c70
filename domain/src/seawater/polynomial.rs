//! Sums of powers by Horner's rule, lowest power first.

/// The polynomial at `x`.
pub(super) fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, &coefficient| coefficient + sum * x)
}

/// Its derivative at `x`.
pub(super) fn slope(coefficients: &[f64], x: f64) -> f64 {
    let powers = coefficients.iter().enumerate().skip(1).rev();
    powers.fold(0.0, |sum, (power, &coefficient)| power as f64 * coefficient + sum * x)
}

/// A polynomial whose coefficients are polynomials: rows by the power of `y`, in a row by the power of `x`.
pub(super) fn horner_rows(rows: &[&[f64]], x: f64, y: f64) -> f64 {
    rows.iter().rev().fold(0.0, |sum, row| horner(row, x) + sum * y)
}

/// The derivative with respect to `y` of [`horner_rows`].
pub(super) fn slope_rows(rows: &[&[f64]], x: f64, y: f64) -> f64 {
    let powers = rows.iter().enumerate().skip(1).rev();
    powers.fold(0.0, |sum, (power, row)| power as f64 * horner(row, x) + sum * y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_slopes_are_those_of_the_school() {
        // 1 + 2x + 3x², at 2: 17, its slope 2 + 6x: 14.
        assert_eq!(horner(&[1.0, 2.0, 3.0], 2.0), 17.0);
        assert_eq!(slope(&[1.0, 2.0, 3.0], 2.0), 14.0);
        // (1 + x) + 2y + x·y², at x 3 and y 5: 4 + 10 + 75, its slope in y: 2 + 2xy.
        let rows: [&[f64]; 3] = [&[1.0, 1.0], &[2.0], &[0.0, 1.0]];
        assert_eq!(horner_rows(&rows, 3.0, 5.0), 89.0);
        assert_eq!(slope_rows(&rows, 3.0, 5.0), 32.0);
    }
}
