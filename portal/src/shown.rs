//! The newest value of every series as it is shown: from memory where nobody changed it, looked up where somebody did, or
//! where a moment of the past is asked for.

use std::time::Duration;

use domain::{Shown, Timestamp};

use crate::problem::Problem;
use crate::site::Site;
use crate::view::{Book, Latest, Point, Wanted};

/// How far back a value is looked for, in steps: a reading is most often of today, and one of last year is no news.
const BACK: [Duration; 3] =
    [Duration::from_hours(24), Duration::from_hours(31 * 24), Duration::from_hours(366 * 24)];

/// Readings of one step: a year of a reading a minute.
const POINTS_MAX: usize = 600_000;

/// The newest values, in the order of stations and parameters.
///
/// # Errors
/// A [`Problem`] where history does not answer.
pub(crate) async fn latest(
    site: &Site,
    book: &Book,
    shown: Shown,
    as_of: Option<Timestamp>,
) -> Result<Vec<Latest>, Problem> {
    let newest = site.view.latest().await?;
    let mut all = Vec::with_capacity(newest.len());
    // Nearly always: nobody corrected anything there, and now is asked for.
    let plain = as_of.is_none() && shown != Shown::Approved;
    for latest in newest {
        if plain && !book.edits.contains_key(&latest.station) {
            all.push(latest);
            continue;
        }
        let edits = book.edits_of(&latest.station, &latest.parameter, shown);
        let after = latest.taken_at + Duration::from_millis(1);
        // A line may put something behind the last reading, so a range that begins there counts too.
        let touched = !edits.within(latest.taken_at, FAR).change_nothing();
        let known = as_of.is_none_or(|then| latest.received_at <= then && latest.taken_at <= then);
        if !touched && known {
            all.push(latest);
            continue;
        }
        let mut to = as_of.map_or(after, |then| after.min(then + Duration::from_millis(1)));
        if touched && as_of.is_none() {
            to = to.max(site.now());
        }
        let (station, parameter) = (latest.station.clone(), latest.parameter.clone());
        let wanted = Wanted { station, parameter, from: to, to, as_of, edits };
        all.extend(look(site, wanted, &latest).await?);
    }
    Ok(all)
}

const FAR: Timestamp = Timestamp::from_millis(i64::MAX);

async fn look(site: &Site, wanted: Wanted, latest: &Latest) -> Result<Option<Latest>, Problem> {
    for back in BACK {
        let wanted = Wanted { from: wanted.to - back, ..wanted.clone() };
        let points = site.view.points(wanted, POINTS_MAX).await?;
        let valued = |point: &Point| point.value.map(|value| (*point, value));
        if let Some((point, value)) = points.iter().rev().find_map(valued) {
            let Point { taken_at, flag, .. } = point;
            let received_at = latest.received_at;
            let (station, parameter) = (latest.station.clone(), latest.parameter.clone());
            return Ok(Some(Latest { station, parameter, taken_at, received_at, value, flag }));
        }
    }
    Ok(None)
}
