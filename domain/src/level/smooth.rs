//! What of a curve is not the tide: a spike of one reading, and the trembling of a float.

/// Each value, or the middle one of it and its two neighbours: a single reading that jumps is gone, a turn of the tide is
/// not. The ends stay.
pub(super) fn medians_of_three(values: &[f64]) -> Vec<f64> {
    let mut smooth = values.to_vec();
    for (middle, three) in smooth.iter_mut().skip(1).zip(values.windows(3)) {
        let (low, high) = (three[0].min(three[2]), three[0].max(three[2]));
        *middle = three[1].clamp(low, high);
    }
    smooth
}

/// The turn of the parabola that fits the points (x, y) best: its x and y. `None` of fewer than four points, and where it
/// is as good as straight. Four, because three are always fitted without error, noise and all.
pub(super) fn parabola_turn(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < 4 {
        return None;
    }
    let moment = |power: i32| points.iter().map(|(x, _)| x.powi(power)).sum::<f64>();
    let with_y = |power: i32| points.iter().map(|(x, y)| x.powi(power) * y).sum::<f64>();
    let (s0, s1, s2, s3, s4) = (moment(0), moment(1), moment(2), moment(3), moment(4));
    let (y0, y1, y2) = (with_y(0), with_y(1), with_y(2));
    let determinant = |a: [f64; 3], b: [f64; 3], c: [f64; 3]| {
        a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1])
            + c[0] * (a[1] * b[2] - a[2] * b[1])
    };
    let (ones, linear, square, y) = ([s0, s1, s2], [s1, s2, s3], [s2, s3, s4], [y0, y1, y2]);
    let whole = determinant(ones, linear, square);
    let c0 = determinant(y, linear, square) / whole;
    let c1 = determinant(ones, y, square) / whole;
    let c2 = determinant(ones, linear, y) / whole;
    let turn = -c1 / (2.0 * c2);
    let height = c0 + c1 * turn / 2.0;
    (turn.is_finite() && height.is_finite()).then_some((turn, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_goes_and_a_turn_stays() {
        assert_eq!(medians_of_three(&[1.0, 9.0, 3.0, 4.0, 3.0]), [1.0, 3.0, 4.0, 3.0, 3.0]);
        assert_eq!(medians_of_three(&[1.0, 2.0, 2.5, 2.0, 1.0]), [1.0, 2.0, 2.0, 2.0, 1.0]);
        assert_eq!(medians_of_three(&[7.0]), [7.0]);
    }

    #[test]
    fn a_parabola_turns_where_it_turns() {
        let points: Vec<_> =
            (-3..=3).map(|x| (f64::from(x), 5.0 - (f64::from(x) - 0.4).powi(2))).collect();
        let (x, y) = parabola_turn(&points).unwrap();
        assert!((x - 0.4).abs() < 1e-12 && (y - 5.0).abs() < 1e-12, "{x} {y}");
        assert_eq!(parabola_turn(&points[..3]), None);
        assert_eq!(parabola_turn(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]), None);
    }
}
