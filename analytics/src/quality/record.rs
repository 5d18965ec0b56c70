//! A record at once, and readings that come late. Both run the stream, so that there is one answer.

use domain::TestFlags;
use rustc_hash::FxHashSet;

use super::{Point, Pushed, Revision, Stream, TestPlan};

/// Puts readings into the order of their times; of two at one time the later in the list stays, as in history.
pub fn settle(record: &mut Vec<Point>) {
    record.sort_by_key(|point| point.at);
    record.dedup_by(|later, earlier| {
        let same = later.at == earlier.at;
        if same {
            *earlier = *later;
        }
        same
    });
}

/// The flags of a settled record, one for each reading. A reading that is not newer than the one before it has none.
#[must_use]
pub fn judge(plan: &TestPlan, record: &[Point]) -> Vec<TestFlags> {
    let mut stream = Stream::default();
    let mut flags = Vec::<TestFlags>::with_capacity(record.len());
    for (i, &point) in record.iter().enumerate() {
        let Pushed::Judged { now, revised } = stream.push(plan, point) else {
            flags.push(TestFlags::NONE);
            continue;
        };
        if let Some(revised) = revised
            && let Some(before) = record[..i].iter().rposition(|point| point.at == revised.at)
        {
            flags[before] = revised.flags;
        }
        flags.push(now);
    }
    flags
}

/// The flags that change because `put` come between readings that are already there (or in their place), those of `put`
/// themselves among them, oldest first. `around` are the settled readings of the series from [`TestPlan::reach`] before
/// the oldest of `put` to as much after the newest, and one more on either side, as they were.
#[must_use]
pub fn rejudge(plan: &TestPlan, around: &[Point], put: &[Point]) -> Vec<Revision> {
    let mut with = [around, put].concat();
    settle(&mut with);
    let (old, new) = (judge(plan, around), judge(plan, &with));
    let new_times: FxHashSet<i64> = put.iter().map(|it| it.at.as_millis()).collect();
    let mut before = around.iter().zip(old).peekable();
    let mut revisions = Vec::new();
    for (point, flags) in with.iter().zip(new) {
        let was = before.next_if(|(old, _)| old.at == point.at);
        if new_times.contains(&point.at.as_millis()) || was.is_none_or(|(_, was)| was != flags) {
            revisions.push(Revision { at: point.at, flags });
        }
    }
    revisions
}
