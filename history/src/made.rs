//! What is made of other readings is stored as it was made of what came. Where people corrected, filled, removed or
//! approved one of those, it is made again of what is shown of them.

use std::collections::BTreeMap;

use domain::derived::{Derived, Input};
use domain::{Flag, Layer, Timestamp};

use crate::Point;

/// The points of one stretch of time, `own` as it was stored and edited itself, `inputs` as they are shown, in the order of
/// the declaration. An edit of the made series itself stands above what its inputs come to. With `approved` only what is
/// approved is shown: of its own, or in all its inputs.
pub(crate) fn again(
    own: Vec<Point>,
    derived: &Derived,
    inputs: &[Vec<Point>],
    approved: bool,
) -> Vec<Point> {
    let mut points: BTreeMap<Timestamp, Point> =
        own.into_iter().map(|point| (point.taken_at, point)).collect();
    for (at, point) in changed(derived, inputs) {
        let wanted = !approved || point.layer == Layer::Approved;
        let touched = points.get(&at).is_some_and(|own| own.layer != Layer::Raw);
        if wanted && !touched && (point.value.is_some() || points.contains_key(&at)) {
            points.insert(at, point);
        }
    }
    points.into_values().collect()
}

/// What the inputs come to at every time at which one of them is not as it came.
fn changed(derived: &Derived, inputs: &[Vec<Point>]) -> Vec<(Timestamp, Point)> {
    let mut at: BTreeMap<Timestamp, Vec<Option<Point>>> = BTreeMap::new();
    for (place, points) in inputs.iter().enumerate() {
        for point in points {
            let there = at.entry(point.taken_at).or_insert_with(|| vec![None; inputs.len()]);
            there[place] = Some(*point);
        }
    }
    let touched = |point: &Option<Point>| point.is_some_and(|point| point.layer != Layer::Raw);
    at.retain(|_, points| points.iter().any(touched));
    at.into_iter().filter_map(|(at, points)| Some((at, made(derived, at, &points)?))).collect()
}

fn made(derived: &Derived, taken_at: Timestamp, points: &[Option<Point>]) -> Option<Point> {
    let points: Vec<Point> = points.iter().copied().collect::<Option<_>>()?;
    let input = |point: &Point| Input { at: taken_at, value: point.value, flag: point.flag };
    let inputs: Vec<Input> = points.iter().map(input).collect();
    let made = derived.compute(&inputs);
    let all = points.iter().all(|point| point.layer == Layer::Approved);
    let layer = if all { Layer::Approved } else { Layer::Corrected };
    let flag = made.map_or(Flag::Missing, |(_, flag)| flag);
    let received_at = points.iter().map(|point| point.received_at).max()?;
    Some(Point { taken_at, received_at, value: made.map(|(value, _)| value), flag, layer })
}

#[cfg(test)]
mod tests {
    use domain::ParameterCode;
    use domain::derived::Method;

    use super::*;

    fn point(minutes: i64, value: Option<f64>, layer: Layer) -> Point {
        let at = Timestamp::from_millis(minutes * 60_000);
        let flag = if value.is_some() { Flag::Good } else { Flag::Missing };
        Point { taken_at: at, received_at: at, value, flag, layer }
    }

    fn shown(own: Vec<Point>, inputs: &[Vec<Point>], approved: bool) -> String {
        let code = |text: &str| ParameterCode::new(text).unwrap();
        let inputs_of = vec![code("conductivity"), code("water_temperature")];
        let method: Method = "salinity:pss-78".parse().unwrap();
        let derived = Derived::new(code("salinity"), method, inputs_of).unwrap();
        let one = |point: Point| {
            let value = point.value.map_or("-".to_owned(), |value| format!("{value:.3}"));
            format!("{}={value}{}", point.taken_at.as_millis() / 60_000, &point.layer.as_str()[..1])
        };
        again(own, &derived, inputs, approved).into_iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_made_follows_a_correction_a_removal_and_a_line() {
        use Layer::{Corrected, Raw};
        let own =
            vec![point(0, Some(1.0), Raw), point(15, Some(1.0), Raw), point(30, Some(1.0), Raw)];
        let conductivity = vec![
            point(0, Some(9.0), Raw),
            point(15, Some(10.0), Corrected),
            point(30, None, Corrected),
            point(45, Some(20.0), Corrected),
            point(60, Some(20.0), Corrected),
        ];
        let water = vec![
            point(0, Some(28.0), Raw),
            point(15, Some(28.0), Raw),
            point(30, Some(28.0), Raw),
            point(45, Some(28.0), Corrected),
        ];
        // The values of 10 and 20 mS/cm at 28 °C are DOMAIN's, of gsw; at 60 there is no temperature.
        let right = "0=1.000r 15=5.279c 30=-c 45=11.175c";
        assert_eq!(shown(own, &[conductivity, water], false), right);
    }

    #[test]
    fn its_own_edit_stands_above_its_inputs_and_approved_is_what_is_in_all_of_them() {
        use Layer::{Approved, Corrected};
        let inputs = [
            vec![point(0, Some(10.0), Approved), point(15, Some(10.0), Approved)],
            vec![point(0, Some(28.0), Approved), point(15, Some(28.0), Corrected)],
        ];
        assert_eq!(shown(vec![], &inputs, true), "0=5.279a");
        assert_eq!(
            shown(vec![point(0, Some(5.0), Corrected)], &inputs, false),
            "0=5.000c 15=5.279c"
        );
    }
}
