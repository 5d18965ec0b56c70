//! Somebody else who keeps the same readings: whoever was asked, the answer is the same; who is behind or silent is passed
//! over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Admitted, Aggregation, Every, Flag, Measured, Timestamp};
use history::{Beside, BesideRow, Beyond, History, NotNow, Query};
use proptest::prelude::*;

use crate::words::*;

/// Keeps what it is told, the last word of each reading, as a database does that updates by key.
#[derive(Debug, Default)]
struct Copy {
    rows: Mutex<BTreeMap<(String, String, i64), BesideRow>>,
    has: Mutex<Option<u64>>,
    asked: AtomicUsize,
    /// Questions after which it goes away.
    breaks_after: Mutex<Option<usize>>,
}

impl Copy {
    fn take(&self, position: u64, admitted: &Admitted) {
        let mut rows = self.rows.lock().unwrap();
        for &Measured { ref parameter, value, flag } in &admitted.values {
            let key = (
                admitted.station.to_string(),
                parameter.to_string(),
                admitted.taken_at.as_millis(),
            );
            let (taken_at, received_at) = (admitted.taken_at, admitted.received_at);
            rows.insert(key, BesideRow { taken_at, received_at, position, value, flag });
        }
        *self.has.lock().unwrap() = Some(position);
    }
}

impl Beside for Copy {
    fn position(&self) -> Option<u64> {
        *self.has.lock().unwrap()
    }

    /// A few at a time, so that an answer is made of several.
    fn rows_max(&self) -> usize {
        3
    }

    fn rows(&self, query: &Query, from: Timestamp, limit: usize) -> Result<Vec<BesideRow>, NotNow> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(left) = &mut *self.breaks_after.lock().unwrap() {
            *left = left.checked_sub(1).ok_or(NotNow("away"))?;
        }
        let key = |at: Timestamp| {
            (query.station.to_string(), query.parameter.to_string(), at.as_millis())
        };
        let rows = self.rows.lock().unwrap();
        Ok(rows.range(key(from)..key(query.to)).take(limit).map(|(_, row)| *row).collect())
    }
}

const STATIONS: [&str; 2] = ["a", "b-1"];
const PARAMETERS: [&str; 2] = ["salinity", "rainfall"];

#[derive(Debug, Clone)]
enum Step {
    Apply(Admitted),
    Seal,
    /// The copy learns everything up to now.
    CatchUp,
    /// After so many questions the copy is away; `None`: it is back.
    Break(Option<usize>),
}

fn admitted() -> impl Strategy<Value = Admitted> {
    let value = prop_oneof![1 => Just(None), 5 => (0..9).prop_map(|v| Some(f64::from(v) * 0.7))];
    let flag = prop::sample::select(vec![Flag::Good, Flag::Suspect, Flag::Bad, Flag::Missing]);
    let code = prop::sample::select(PARAMETERS.to_vec());
    let measured = (code, value, flag).prop_map(|(code, value, flag)| Measured {
        parameter: parameter(code),
        value,
        flag,
    });
    let minutes = prop_oneof![6 => 0i64..40, 1 => Just(-30 * 24 * 60), 1 => Just(40 * 24 * 60)];
    let station_code = prop::sample::select(STATIONS.to_vec());
    (station_code, minutes, prop::collection::vec(measured, 1..4)).prop_map(
        |(code, minutes, values)| Admitted {
            station: station(code),
            taken_at: at(minutes),
            received_at: at(minutes + 1),
            seq: None,
            replay: false,
            values,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        14 => admitted().prop_map(Step::Apply),
        2 => Just(Step::Seal),
        3 => Just(Step::CatchUp),
        1 => prop::option::of(0usize..4).prop_map(Step::Break),
    ];
    prop::collection::vec(step, 1..100)
}

/// Everything that can be asked, of both.
fn agree(ours: &History, asking: &History) {
    let shown = |history: &History, query: &Query| {
        let points = history.range(query).unwrap();
        points.iter().map(|p| (p.taken_at, p.value.map(f64::to_bits), p.flag)).collect::<Vec<_>>()
    };
    for (code, what) in STATIONS.iter().flat_map(|code| PARAMETERS.map(|what| (*code, what))) {
        for limit in [1, 4, usize::MAX] {
            let query = Query { limit, ..all(code, what) };
            assert_eq!(shown(asking, &query), shown(ours, &query), "{code} {what} {limit}");
        }
        let part = Query { from: at(3), to: at(17), ..all(code, what) };
        assert_eq!(shown(asking, &part), shown(ours, &part), "{code} {what}");
        let then = Query { as_of: Some(at(12)), ..all(code, what) };
        assert_eq!(shown(asking, &then), shown(ours, &then), "{code} {what} as of");
        let every = Every::Span(Duration::from_mins(7));
        for aggregation in [Aggregation::Mean, Aggregation::Total, Aggregation::Direction] {
            for limit in [2, 1_000] {
                let query = Query { limit, ..all(code, what) };
                let of = |history: &History| history.buckets(&query, every, aggregation).unwrap();
                assert_eq!(of(asking), of(ours), "{code} {what} {aggregation:?} {limit}");
            }
        }
        let query = Query { limit: 1_000, ..all(code, what) };
        let gap = Duration::from_mins(5);
        let of =
            |history: &History| history.spells(&query, every, Beyond::Above(2.0), gap).unwrap();
        assert_eq!(of(asking), of(ours), "{code} {what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_asked_the_answer_is_the_same(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let ours = open(dir.path());
        let copy = Arc::new(Copy::default());
        let asking = ours.asking(copy.clone());
        let mut journal = Vec::new();
        let mut told = 0;
        for step in steps {
            match step {
                Step::Apply(record) => {
                    ours.apply(journal.len() as u64, &record);
                    journal.push(record);
                }
                Step::Seal => drop(ours.seal(at(0), true).unwrap()),
                Step::CatchUp => {
                    for (position, record) in journal.iter().enumerate().skip(told) {
                        copy.take(position as u64, record);
                    }
                    told = journal.len();
                }
                Step::Break(after) => *copy.breaks_after.lock().unwrap() = after,
            }
        }
        agree(&ours, &asking);
    }
}

/// A store with three sealed readings and one that is not, and a copy of the first so many.
fn stood(copied: usize) -> (tempfile::TempDir, History, Arc<Copy>) {
    let dir = tempfile::tempdir().unwrap();
    let (ours, copy) = (open(dir.path()), Arc::new(Copy::default()));
    for (position, minute) in (0..4).zip([0, 15, 30, 45]) {
        let record = record("a", minute, &format!("salinity {minute}"));
        if position == 3 {
            ours.seal(at(60), true).unwrap();
        }
        ours.apply(position, &record);
        if position < copied as u64 {
            copy.take(position, &record);
        }
    }
    (dir, ours, copy)
}

#[test]
fn a_copy_that_has_what_is_sealed_is_asked_and_memory_has_the_rest() {
    let (_dir, ours, copy) = stood(3);
    let asking = ours.asking(copy.clone());
    assert_eq!(shown(&asking, "a", "salinity"), "0=0 15=15 30=30 45=45");
    assert_eq!(copy.asked.load(Ordering::Relaxed), 2, "a full answer asks for more");
    shown(&ours, "a", "salinity");
    assert_eq!(copy.asked.load(Ordering::Relaxed), 2, "the store itself asks nobody");
}

#[test]
fn a_copy_that_lacks_what_is_sealed_is_not_asked() {
    let (_dir, ours, copy) = stood(2);
    assert_eq!(shown(&ours.asking(copy.clone()), "a", "salinity"), "0=0 15=15 30=30 45=45");
    let then = Query { as_of: Some(at(20)), ..all("a", "salinity") };
    assert_eq!(show(&ours.asking(copy.clone()).range(&then).unwrap()), "0=0 15=15");
    assert_eq!(copy.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_copy_that_goes_away_within_an_answer_leaves_the_rest_to_the_files() {
    let (_dir, ours, copy) = stood(3);
    *copy.breaks_after.lock().unwrap() = Some(1);
    assert_eq!(shown(&ours.asking(copy.clone()), "a", "salinity"), "0=0 15=15 30=30 45=45");
    assert_eq!(copy.asked.load(Ordering::Relaxed), 2);
}
