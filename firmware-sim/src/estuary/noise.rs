//! Weather without memory: smooth seeded noise that can be asked at any instant, in any order, and always answers the
//! same. A real surge is an AR(1) process, which has to be stepped; a sum of smooth value noise with knots of half a
//! day, two days and six days has nearly the same spectrum and the same two-day memory, and no state.

use domain::Timestamp;

/// Scrambles a number into another; every bit of the input reaches every bit of the output (the finaliser of
/// SplitMix64, written out here so that a seed means the same whatever version a random-number crate has).
#[must_use]
pub fn scramble(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from a seed, a name and an index: the one source of chance in the simulator.
#[must_use]
pub fn roll(seed: u64, name: &str, index: i64) -> u64 {
    let named = name.bytes().fold(scramble(seed), |z, b| scramble(z ^ u64::from(b)));
    scramble(named ^ index.cast_unsigned())
}

/// A number in [0, 1) from a seed, a name and an index.
#[must_use]
pub fn chance(seed: u64, name: &str, index: i64) -> f64 {
    unit(roll(seed, name, index))
}

/// 53 bits of a roll as a number in [0, 1).
#[must_use]
pub fn unit(roll: u64) -> f64 {
    (roll >> 11) as f64 / (1_u64 << 53) as f64
}

/// A standard normal number from a seed, a name and an index (Box and Muller).
#[must_use]
pub fn normal(seed: u64, name: &str, index: i64) -> f64 {
    let first = roll(seed, name, index);
    let radius = (-2.0 * (1.0 - unit(first)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(scramble(first))).cos()
}

/// Smooth noise of mean 0 and variance about 1 whose memory is about `hours`.
#[must_use]
pub fn smooth(seed: u64, name: &str, at: Timestamp, hours: f64) -> f64 {
    // A quarter of the knots' distance, the distance and three times it; squares of the weights sum to 1.
    const OCTAVES: [(f64, f64); 3] = [(0.25, 0.30), (1.0, 0.75), (3.0, 0.59)];
    // Smoothstep between two independent knots has 0.743 of their variance on average.
    const BETWEEN_KNOTS: f64 = 0.862;
    let sum: f64 = OCTAVES
        .iter()
        .enumerate()
        .map(|(octave, (stretch, weight))| {
            weight * knots(scramble(seed ^ octave as u64), name, at, hours * stretch)
        })
        .sum();
    sum / BETWEEN_KNOTS
}

fn knots(seed: u64, name: &str, at: Timestamp, hours: f64) -> f64 {
    let position = at.as_millis() as f64 / (hours * 3_600_000.0);
    let left = position.floor();
    let x = position - left;
    let share = x * x * (3.0 - 2.0 * x);
    let (a, b) = (normal(seed, name, left as i64), normal(seed, name, left as i64 + 1));
    a + (b - a) * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn noise_is_centred_of_variance_one_and_smooth() {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let hourly: Vec<f64> = (0..20_000)
            .map(|h| smooth(7, "surge", start + Duration::from_secs(h * 3600), 48.0))
            .collect();
        let mean = hourly.iter().sum::<f64>() / hourly.len() as f64;
        let variance = hourly.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / hourly.len() as f64;
        assert!(mean.abs() < 0.15, "mean {mean}");
        assert!((0.8..1.25).contains(&variance), "variance {variance}");
        let steepest = hourly.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
        assert!(steepest < 0.4, "steepest hour {steepest}");
    }

    #[test]
    fn another_seed_or_name_is_another_world() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(smooth(1, "a", at, 48.0).to_bits(), smooth(1, "a", at, 48.0).to_bits());
        assert!((smooth(1, "a", at, 48.0) - smooth(2, "a", at, 48.0)).abs() > 1e-6);
        assert!((smooth(1, "a", at, 48.0) - smooth(1, "b", at, 48.0)).abs() > 1e-6);
    }
}
