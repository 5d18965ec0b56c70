//! Stories of counters: each report is `seq@minute`, with `r` for a replay and `~` for one without a time of its own.

use proptest::prelude::*;

use super::*;

const SETTLE: Duration = Duration::from_secs(60);

fn report(seq: u64, taken_min: i64, received_min: i64, replay: bool) -> Admitted {
    let minute = |m: i64| Timestamp::from_millis(1_773_266_400_000 + m * 60_000);
    Admitted {
        station: station(),
        taken_at: minute(taken_min),
        received_at: minute(received_min),
        seq: Some(seq),
        replay,
        values: vec![],
    }
}

fn station() -> StationCode {
    StationCode::new("xuan-hoa").unwrap()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_773_266_400_000 + minute * 60_000)
}

/// Reads the story; what comes is received a second's part of a minute later than taken, so that it has its own time.
fn told(story: &str) -> Seqs {
    let mut seqs = Seqs::default();
    for word in story.split_whitespace() {
        let (seq, when) = word.split_once('@').unwrap();
        let timeless = when.ends_with('~');
        let replay = when.ends_with('r');
        let minute: i64 = when.trim_end_matches(['r', '~']).parse().unwrap();
        let mut report = report(seq.parse().unwrap(), minute, minute, replay);
        if !timeless {
            report.received_at = report.received_at + Duration::from_secs(1);
        }
        seqs.step(&report);
    }
    seqs
}

fn check(story: &str, missing: &[(u64, u64)], next: u64) {
    let gaps = told(story).gaps(&station()).unwrap();
    let ranges: Vec<(u64, u64)> = gaps.ranges.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!((ranges.as_slice(), gaps.next), (missing, next), "{story}");
}

#[test]
fn a_leap_is_a_gap_and_a_backlog_fills_it() {
    check("5@0 6@5 7@10", &[], 8);
    check("5@0 9@20", &[(6, 8)], 10);
    check("5@0 9@20 7@10r", &[(6, 6), (8, 8)], 10);
    check("5@0 9@20 6@5r 7@10r 8@15r", &[], 10);
    check("5@0 9@20 8@15r 6@5r 10@25 7@10r", &[], 11);
}

#[test]
fn reordered_and_repeated_packets_are_no_gap_and_no_reset() {
    check("5@0 7@10 6@5 8@15", &[], 9);
    check("5@0 6@5 6@5 5@0 7@10", &[], 8);
    check("5@0~ 6@5~ 5@6~ 6@6~ 7@10~", &[], 8);
    check("5@0 4@-5r 3@-10r 6@5", &[], 7);
}

#[test]
fn a_counter_that_begins_anew_is_no_gap() {
    check("500@0 501@5 0@10 1@15", &[], 2);
    check("500@0 505@25 0@30 1@35", &[], 2);
    assert_eq!(told("500@0 505@25 0@30").gaps(&station()).unwrap().given_up, 4);
    check("5000@0~ 5001@5~ 0@10~ 1@15~", &[], 2);
    check("7@0 18446744073709551615@5 1@10", &[], 2);
    check("7@0 9000000@5 9000001@10", &[], 9_000_002);
    // Its old log comes after: far ahead of the new count, and older than it.
    check("5000@0 5001@5 0@10 4000@-9r 1@15", &[], 2);
}

#[test]
fn a_counter_of_16_bits_wraps_with_what_is_missing_on_both_sides() {
    check("65534@0 65535@5 0@10", &[], 1);
    check("65533@0 2@20", &[(65_534, 65_535), (0, 1)], 3);
    check("65533@0 2@20 65535@10r 0@15r", &[(65_534, 65_534), (1, 1)], 3);
    check("4294967295@0 1@10", &[(0, 0)], 2);
}

#[test]
fn holes_are_bounded_and_what_was_given_up_is_counted() {
    let mut seqs = Seqs::default();
    for n in 0..200 {
        seqs.step(&report(n * 3, n as i64, n as i64 + 1, false));
    }
    let gaps = seqs.gaps(&station()).unwrap();
    assert_eq!(gaps.ranges.len(), RANGES_MAX);
    assert_eq!(gaps.missing + gaps.given_up, 199 * 2);
}

#[test]
fn a_gap_is_asked_for_when_things_have_settled_and_ever_more_seldom() {
    let mut seqs = told("5@0 9@20");
    let asked: Vec<i64> = (20..400)
        .filter(|&minute| {
            // It goes on speaking.
            seqs.step(&report(10 + minute as u64, minute, minute + 1, false));
            !seqs.due(at(minute), SETTLE).asks.is_empty()
        })
        .collect();
    // 11..30 were skipped above, so there are two holes; the first is asked for six times, then the second.
    let steps: Vec<i64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(&steps[..5], [5, 10, 20, 40, 60], "{asked:?}");
    assert!(2 < asked.len() && asked[0] <= 23);
    assert_eq!(seqs.gaps(&station()).unwrap().given_up, 3, "the oldest hole was given up");
}

#[test]
fn nobody_is_asked_while_a_backlog_flows_or_nobody_is_there() {
    let mut seqs = told("5@0 900@20");
    assert_eq!(seqs.due(at(20), SETTLE), Due::default(), "not yet");
    for n in 6..100 {
        seqs.step(&report(n, 1, 21, true));
        assert!(seqs.due(at(21), SETTLE).asks.is_empty());
    }
    let asks = seqs.due(at(23), SETTLE).asks;
    assert_eq!((asks.len(), asks[0].from, asks[0].to), (1, 100, 899));
    assert!(seqs.due(at(24), SETTLE).asks.is_empty(), "once");
    assert!(seqs.due(at(300), SETTLE).asks.is_empty(), "it has not spoken for hours");
}

#[test]
fn what_the_station_does_not_have_is_given_up_after_its_answer() {
    let mut seqs = told("5@0 9@20");
    assert_eq!(seqs.due(at(22), SETTLE).asks.len(), 1);
    seqs.step(&report(7, 10, 23, true));
    seqs.answered(&station(), 6, 8);
    assert_eq!(seqs.due(at(23), SETTLE).given_up, 0, "packets may still be under way");
    assert_eq!((seqs.due(at(25), SETTLE).given_up, seqs.due(at(25), SETTLE).given_up), (1, 1));
    assert_eq!(seqs.missing(), (0, 0));
    assert_eq!(seqs.gaps(&station()).unwrap().given_up, 2);
}

proptest! {
    /// Whatever order, whatever is repeated: once every number came, none is missing.
    #[test]
    fn nothing_is_missing_once_everything_came(
        order in Just((1..200_u64).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(1..200_u64, 0..50),
    ) {
        let mut seqs = Seqs::default();
        seqs.step(&report(0, 0, 1, false));
        for seq in order.into_iter().chain(again) {
            seqs.step(&report(seq, seq as i64, 1_000, true));
        }
        let gaps = seqs.gaps(&station()).unwrap();
        prop_assert_eq!(gaps.missing, 0);
    }

    /// Any numbers at any time: no panic, bounded, and the state survives being kept.
    #[test]
    fn any_numbers_are_survived(
        heard in prop::collection::vec((prop_oneof![0..70_000_u64, any::<u64>()], -50..50_i64, any::<bool>()), 1..300),
    ) {
        let mut seqs = Seqs::default();
        for (seq, minute, replay) in heard {
            seqs.step(&report(seq, minute, minute + 1, replay));
            drop(seqs.due(at(minute), SETTLE));
        }
        prop_assert!(seqs.gaps(&station()).unwrap().ranges.len() <= RANGES_MAX + 1);
        let kept = serde_json::to_vec(&seqs.save()).unwrap();
        prop_assert_eq!(Seqs::restore(serde_json::from_slice(&kept).unwrap()), seqs);
    }
}
