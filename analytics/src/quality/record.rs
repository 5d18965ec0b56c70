//! A record at once, and readings that come late. Both run the stream, so that there is one answer.

use super::{Point, Pushed, Revision, Stream, TestPlan, Verdicts};

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
pub fn judge(plan: &TestPlan, record: &[Point]) -> Vec<Verdicts> {
    let mut stream = Stream::default();
    let mut verdicts = Vec::<Verdicts>::with_capacity(record.len());
    for (i, &point) in record.iter().enumerate() {
        let Pushed::Judged { now, revised } = stream.push(plan, point) else {
            verdicts.push(Verdicts::NONE);
            continue;
        };
        if let Some(revised) = revised
            && let Some(before) = record[..i].iter().rposition(|point| point.at == revised.at)
        {
            verdicts[before] = revised.verdicts;
        }
        verdicts.push(now);
    }
    verdicts
}

/// The flags that change because `put` comes between readings that are already there (or in the place of one), `put`'s
/// own among them. `around` are the settled readings of the series from [`TestPlan::reach`] before it to as much after
/// it, and one more on either side, without it.
#[must_use]
pub fn rejudge(plan: &TestPlan, around: &[Point], put: Point) -> Vec<Revision> {
    let place = around.partition_point(|point| point.at < put.at);
    let replaces = around.get(place).is_some_and(|point| point.at == put.at);
    let mut with = around.to_vec();
    with.splice(place..place + usize::from(replaces), [put]);
    let (old, new) = (judge(plan, around), judge(plan, &with));
    let old = |i: usize| match i {
        i if i < place => old.get(i),
        i if i == place => None,
        i => old.get(if replaces { i } else { i - 1 }),
    };
    let changed = |&(i, verdicts): &(usize, &Verdicts)| old(i) != Some(verdicts);
    let revision = |(i, &verdicts): (usize, &Verdicts)| Revision { at: with[i].at, verdicts };
    new.iter().enumerate().filter(changed).map(revision).collect()
}
