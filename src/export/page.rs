//! The text of a file: each parameter over its slot as it is aggregated (a mean, rain's total), of readings that can be
//! trusted. What has none but bad ones is written without a value and as in error: the circular has no word for a value
//! that is doubted.

use std::time::Duration;

use domain::{Aggregation, Flag, Parameter, Status};
use history::{History, HistoryError, Point, Query};
use ingest::circular10;

use super::Page;
use super::config::Circular10;
use super::slots::Slot;

/// Readings of one parameter in one slot: one each tenth of a second for an hour.
const POINTS_MAX: usize = 36_000;

/// The file of a slot; `None` where nothing of it stands in one. Blocking: reads files.
///
/// # Errors
/// [`HistoryError`].
pub(super) fn page(
    config: &Circular10,
    history: &History,
    parameters: &[Parameter],
    slot: &Slot,
) -> Result<Option<Page>, HistoryError> {
    let mut lines = Vec::new();
    for code in history.parameters(&slot.station) {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.code == code) else {
            continue;
        };
        let Some(symbol) = config.symbol(&code) else { continue };
        let just = Duration::from_millis(1);
        let (from, to) = (slot.end - config.every + just, slot.end + just);
        let station = slot.station.clone();
        // As it came: a file that was sent is not sent again because somebody corrected what is in it.
        let edits = domain::Edits::default();
        let (limit, as_of) = (POINTS_MAX, None);
        let query = Query { station, parameter: code, from, to, limit, as_of, edits };
        let points = history.range(&query)?;
        let Some(value) = one(&points, parameter.aggregation) else { continue };
        let status = if value.is_some() { Status::Measuring } else { Status::Fault };
        // One digit more than people are shown: a department reckons with it.
        let (decimals, unit) = (usize::from(parameter.decimals) + 1, parameter.unit.as_str());
        lines.push(circular10::Line { symbol, value, decimals, unit, status });
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let text = circular10::write(&lines, slot.end, config.line_end.as_str());
    let (folder, name) = config.file_of(&slot.station, slot.end);
    Ok(Some(Page { folder, name, text }))
}

/// What comes of what can be trusted: good, or nobody judged it. `None` where there is no reading at all.
fn one(points: &[Point], aggregation: Aggregation) -> Option<Option<f64>> {
    if points.is_empty() {
        return None;
    }
    let trusted = |point: &&Point| matches!(point.flag, Flag::Good | Flag::NotEvaluated);
    let values: Vec<f64> = points.iter().filter(trusted).filter_map(|point| point.value).collect();
    Some(aggregation.of(&values))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn only_what_can_be_trusted_counts_and_rain_is_added_up() {
        let point = |value, flag| Point {
            taken_at: Timestamp::default(),
            received_at: Timestamp::default(),
            value,
            flag,
            layer: domain::Layer::Raw,
        };
        for (points, wanted) in [
            (vec![], None),
            (vec![point(Some(1.0), Flag::Good), point(Some(2.0), Flag::Good)], Some(Some(1.5))),
            (
                vec![point(Some(1.0), Flag::NotEvaluated), point(Some(9.0), Flag::Bad)],
                Some(Some(1.0)),
            ),
            (vec![point(Some(9.0), Flag::Suspect)], Some(None)),
            (vec![point(None, Flag::Missing)], Some(None)),
        ] {
            assert_eq!(one(&points, Aggregation::Mean), wanted, "{points:?}");
        }
        let rain = [point(Some(1.0), Flag::Good), point(Some(2.5), Flag::Good)];
        assert_eq!(one(&rain, Aggregation::Total), Some(Some(3.5)));
    }
}
