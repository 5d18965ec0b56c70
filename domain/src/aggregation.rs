//! How the readings of an interval become one number.

use std::fmt;
use std::str::FromStr;

/// What one number says of many readings of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// Their arithmetic mean: of what is there at each moment, as salinity.
    #[default]
    Mean,
    /// Their sum: of what came in each interval, as rainfall.
    Total,
    /// The direction of the sum of unit vectors (WMO-No. 8, volume I, chapter 5: directions are averaged as vectors),
    /// for degrees from 0 to 360: the mean of 350° and 10° is 0° and not 180°.
    Direction,
}

/// A word that names no aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an aggregation is `mean`, `total` or `direction`")]
pub struct NoAggregation;

impl Aggregation {
    /// The word that configuration, the registry and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Total => "total",
            Self::Direction => "direction",
        }
    }

    /// What these values come to; `None` of none, and of directions that cancel.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let sum = || values.iter().sum::<f64>();
        match self {
            _ if values.is_empty() => None,
            Self::Mean => Some(sum() / values.len() as f64),
            Self::Total => Some(sum()),
            Self::Direction => {
                let mut all = Directions::default();
                values.iter().for_each(|&degrees| all.add(degrees));
                all.mean(u32::try_from(values.len()).unwrap_or(u32::MAX))
            }
        }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Aggregation {
    type Err = NoAggregation;

    fn from_str(text: &str) -> Result<Self, NoAggregation> {
        let all = [Self::Mean, Self::Total, Self::Direction];
        all.into_iter().find(|it| it.as_str() == text).ok_or(NoAggregation)
    }
}

/// Directions as they are added up. The sums are whole numbers, so they are the same in whatever order, and however
/// grouped, the directions came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directions {
    /// In parts of a unit vector.
    east: i128,
    north: i128,
}

impl Directions {
    /// Parts of a unit vector: 2^40, a millionth of a millionth, so an hour's or a year's mean is exact to far less than
    /// any vane is.
    const PARTS: f64 = 1_099_511_627_776.0;
    /// A resultant shorter than this, per reading, points nowhere: opposite winds cancel, and what is left is rounding.
    const NOWHERE: f64 = 1e-9;

    /// Adds a direction in degrees. What is no number points nowhere.
    pub fn add(&mut self, degrees: f64) {
        let (east, north) = degrees.to_radians().sin_cos();
        self.east += (east * Self::PARTS).round() as i128;
        self.north += (north * Self::PARTS).round() as i128;
    }

    /// Adds the directions that others were made of.
    pub fn merge(&mut self, other: Self) {
        self.east += other.east;
        self.north += other.north;
    }

    /// The sums to the east and to the north, to be kept.
    #[must_use]
    pub const fn sums(self) -> (i128, i128) {
        (self.east, self.north)
    }

    /// What was kept.
    #[must_use]
    pub const fn of_sums((east, north): (i128, i128)) -> Self {
        Self { east, north }
    }

    /// The direction of all `count`, from 0 up to but not including 360 degrees; `None` of none, and where they cancel.
    #[must_use]
    pub fn mean(self, count: u32) -> Option<f64> {
        let (east, north) = (self.east as f64 / Self::PARTS, self.north as f64 / Self::PARTS);
        if east.hypot(north) <= Self::NOWHERE * f64::from(count) {
            return None;
        }
        let degrees = east.atan2(north).to_degrees().rem_euclid(360.0);
        // The remainder of a tiny negative angle rounds up to 360 itself.
        Some(if degrees < 360.0 { degrees } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(degrees: &[f64]) -> Option<f64> {
        Aggregation::Direction.of(degrees)
    }

    #[test]
    fn rain_is_added_up_and_salinity_is_not() {
        assert_eq!(Aggregation::Total.of(&[0.5, 0.0, 2.0]), Some(2.5));
        assert_eq!(Aggregation::Mean.of(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(Aggregation::Total.of(&[]), None);
    }

    #[test]
    fn directions_average_around_north_and_cancel() {
        let north = mean(&[350.0, 10.0]).unwrap();
        assert!(north < 1e-9 || 360.0 - north < 1e-9, "{north}");
        assert!((mean(&[80.0, 100.0]).unwrap() - 90.0).abs() < 1e-9);
        assert!((mean(&[0.0, 0.0, 90.0]).unwrap() - 26.565_051_177).abs() < 1e-6);
        assert_eq!(mean(&[0.0, 180.0]), None);
        assert_eq!(mean(&[45.0, 135.0, 225.0, 315.0]), None);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn a_mean_direction_is_below_360() {
        for tiny in [-1e-20, -1e-14, 359.999_999_999_999_97] {
            assert!(mean(&[tiny]).unwrap() < 360.0, "{tiny}");
        }
    }

    #[test]
    fn words_read_back() {
        for one in [Aggregation::Mean, Aggregation::Total, Aggregation::Direction] {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        assert_eq!("sum".parse::<Aggregation>(), Err(NoAggregation));
    }
}
