//! What is shown of a series that people corrected: of each time the version that counts, and what the edits make of it.
//! The rules of an edit are `domain`'s; here they meet the versions of a reading, of which an approval may fix an older.

use domain::{Edits, Layer, Timestamp};

use crate::Point;
use crate::series::{Cell, Version};

/// Of each time the version with the highest journal position, in the order of time.
pub(crate) fn last_write_wins(mut versions: Vec<Version>) -> Vec<Version> {
    if versions.is_sorted_by(|a, b| a.taken < b.taken) {
        return versions;
    }
    versions.sort_by_key(|version| (version.taken, version.position));
    versions.reverse();
    versions.dedup_by_key(|version| version.taken);
    versions.reverse();
    versions
}

/// The points of one stretch of time, `span`, in order.
pub(crate) fn shown(
    versions: Vec<Version>,
    edits: &Edits,
    known_by: i64,
    (from, to): (i64, i64),
) -> Vec<Point> {
    let edits = edits.within(Timestamp::from_millis(from), Timestamp::from_millis(to));
    if edits.change_nothing() {
        return last_write_wins(versions).into_iter().map(as_it_came).collect();
    }
    let fills = edits.fills(Timestamp::from_millis(from), Timestamp::from_millis(to));
    let mut showing = Vec::with_capacity(versions.len() + fills.len());
    let known_by = Timestamp::from_millis(known_by);
    let (mut versions, mut fills) = (sorted(versions).into_iter().peekable(), fills.into_iter());
    let mut fill = fills.next();
    while let Some(taken) = earliest(versions.peek(), fill) {
        let moment = edits.moment(taken, known_by);
        let mut kept: Option<Version> = None;
        while let Some(version) = versions.next_if(|v| v.taken == taken.as_millis()) {
            let in_time = version.received <= moment.known_by.as_millis();
            if in_time || kept.is_none_or(|kept| moment.known_by.as_millis() < kept.received) {
                kept = Some(version);
            }
        }
        if fill == Some(taken) {
            fill = fills.next();
        }
        showing.extend(point(taken, kept, &edits, known_by));
    }
    showing
}

fn earliest(version: Option<&Version>, fill: Option<Timestamp>) -> Option<Timestamp> {
    let version = version.map(|version| Timestamp::from_millis(version.taken));
    version.into_iter().chain(fill).min()
}

fn sorted(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by_key(|version| (version.taken, version.position));
    versions
}

fn point(
    taken: Timestamp,
    version: Option<Version>,
    edits: &Edits,
    known_by: Timestamp,
) -> Option<Point> {
    let received = version.map(|version| Timestamp::from_millis(version.received));
    let cell = version.map_or(NOTHING, |version| version.cell);
    let shown = edits.show(taken, known_by, received, (cell.value, cell.flag))?;
    Some(Point {
        taken_at: taken,
        received_at: received.unwrap_or(taken),
        value: shown.value,
        flag: shown.flag,
        layer: shown.layer,
    })
}

/// Where nothing was measured.
const NOTHING: Cell = Cell::untested(None, domain::Flag::Missing);

pub(crate) fn as_it_came(version: Version) -> Point {
    Point {
        taken_at: Timestamp::from_millis(version.taken),
        received_at: Timestamp::from_millis(version.received),
        value: version.cell.value,
        flag: version.cell.flag,
        layer: Layer::Raw,
    }
}
