//! Three depths, one number. Salt lies below: the bottom may have twice the salinity of the surface, so a mean that lacks a
//! depth is another quantity, and must not look like the mean.

use crate::Flag;

/// Where in the water column a sensor hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Near the surface (mặt).
    Surface,
    /// In the middle (giữa).
    Middle,
    /// Near the bottom (đáy).
    Bottom,
}

impl Depth {
    /// From above to below.
    pub const ALL: [Self; 3] = [Self::Surface, Self::Middle, Self::Bottom];
}

/// The mean over the depths.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthMean {
    /// The arithmetic mean of the depths that are there, in their unit.
    pub value: f64,
    /// How far it can be trusted: [`Flag::Suspect`] at best where a depth is missing.
    pub flag: Flag,
    /// The depths that are not in it, from above to below.
    pub missing: Vec<Depth>,
}

/// The mean of surface, middle and bottom, each with its flag, in this order.
///
/// A value that is not there, is no number, or is bad or missing by its flag, is not in it. One depth alone is no mean:
/// `None` of fewer than two.
#[must_use]
pub fn depth_mean(values: [(Option<f64>, Flag); 3]) -> Option<DepthMean> {
    let usable = |&(value, flag): &(Option<f64>, Flag)| {
        let believed = !matches!(flag, Flag::Bad | Flag::Missing);
        Some((value.filter(|value| believed && value.is_finite())?, flag))
    };
    let there: Vec<(f64, Flag)> = values.iter().filter_map(usable).collect();
    if there.len() < 2 {
        return None;
    }
    let missing: Vec<Depth> = Depth::ALL
        .into_iter()
        .zip(&values)
        .filter(|(_, value)| usable(value).is_none())
        .map(|(depth, _)| depth)
        .collect();
    let lacking = if missing.is_empty() { Flag::Good } else { Flag::Suspect };
    let flags = there.iter().map(|(_, flag)| *flag).chain([lacking]);
    // Each part first, so that no sum is too large for a number.
    let value = there.iter().map(|(value, _)| value / there.len() as f64).sum();
    Some(DepthMean { value, flag: Flag::composed(flags), missing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Flag::{Bad, Good, NotEvaluated, Suspect};

    fn check(values: [(f64, Flag); 3], value: f64, flag: Flag, missing: &[Depth]) {
        let mean = depth_mean(values.map(|(value, flag)| (Some(value), flag))).unwrap();
        assert!((mean.value - value).abs() < 1e-12, "{mean:?}");
        assert_eq!((mean.flag, mean.missing.as_slice()), (flag, missing));
    }

    #[test]
    fn a_mean_that_lacks_a_depth_says_so() {
        check([(1.0, Good), (2.0, Good), (6.0, Good)], 3.0, Good, &[]);
        check([(1.0, Good), (2.0, NotEvaluated), (6.0, Good)], 3.0, NotEvaluated, &[]);
        check([(1.0, Good), (2.0, Good), (60.0, Bad)], 1.5, Suspect, &[Depth::Bottom]);
        check([(f64::NAN, Good), (2.0, Good), (6.0, Good)], 4.0, Suspect, &[Depth::Surface]);
        check([(1.0, Suspect), (2.0, Good), (6.0, Good)], 3.0, Suspect, &[]);
    }

    #[test]
    fn one_depth_is_no_mean() {
        let none = (None, Flag::Missing);
        assert_eq!(depth_mean([(Some(1.0), Good), none, none]), None);
        assert_eq!(depth_mean([(Some(1.0), Good), (Some(2.0), Bad), none]), None);
        assert_eq!(depth_mean([none; 3]), None);
    }
}
