//! What holds for every story: restarts, ticks and reloads change nothing, and what cannot be judged is not loaded.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Report { wait_min: i64, lag_min: i64, value: Option<f64>, flag: Flag, replay: bool },
    Tick { wait_min: i64 },
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![8 => 0..20_i64, 1 => 20..120_i64];
    let lag = prop_oneof![6 => Just(0_i64), 2 => 0..30_i64, 1 => 30..400_i64];
    let value = prop_oneof![
        8 => (0..60_i32).prop_map(|tenths| Some(f64::from(tenths) / 10.0)),
        1 => Just(None),
    ];
    let flag = prop_oneof![8 => Just(Flag::Good), 1 => Just(Flag::Suspect), 1 => Just(Flag::Bad)];
    let said = (wait.clone(), lag, value, flag, prop::bool::weighted(0.1));
    prop_oneof![
        6 => said.prop_map(|(wait_min, lag_min, value, flag, replay)| {
            Event::Report { wait_min, lag_min, value, flag, replay }
        }),
        1 => wait.prop_map(|wait_min| Event::Tick { wait_min }),
    ]
}

fn analyzer(hold_min: u64) -> Analyzer {
    let rules = vec![rule("ladder", LADDER, hold_min), rule("one", "1/0.8", 0)];
    Analyzer::new(rules, [(station("xuan-hoa"), INTERVAL)]).unwrap()
}

/// Folds the events; `between` may do to the analyzer what should change nothing.
fn fold(
    mut analyzer: Analyzer,
    events: &[Event],
    mut between: impl FnMut(usize, Timestamp, &mut Analyzer, &mut Vec<Verdict>),
) -> Vec<Verdict> {
    let (mut now, mut out) = (time("100:00"), Vec::new());
    for (i, event) in events.iter().enumerate() {
        between(i, now, &mut analyzer, &mut out);
        match event {
            Event::Tick { wait_min } => {
                now = now + minutes(*wait_min);
                analyzer.tick(now, &mut out);
            }
            Event::Report { wait_min, lag_min, value, flag, replay } => {
                now = now + minutes(*wait_min);
                let mut report = report("00:00", "0", &[]);
                (report.received_at, report.taken_at) = (now, now - minutes(*lag_min));
                report.replay = *replay;
                (report.values[0].value, report.values[0].flag) = (*value, *flag);
                analyzer.step(&report, &mut out);
            }
        }
    }
    analyzer.tick(now + INTERVAL * 3, &mut out);
    out
}

fn minutes(count: i64) -> Duration {
    Duration::from_mins(u64::try_from(count).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_at_any_moment_changes_no_verdict(
        events in prop::collection::vec(event(), 1..60),
        hold_min in 0..40_u64,
        stops in prop::collection::vec(any::<bool>(), 60),
    ) {
        let undisturbed = fold(analyzer(hold_min), &events, |_, _, _, _| {});
        let interrupted = fold(analyzer(hold_min), &events, |i, _, analyzer, _| {
            if stops[i] {
                *analyzer = restarted(analyzer);
            }
        });
        prop_assert_eq!(undisturbed, interrupted);
    }

    #[test]
    fn it_does_not_matter_how_often_time_is_looked_at(
        events in prop::collection::vec(event(), 1..60),
        hold_min in 0..40_u64,
    ) {
        let judged_at = time("00:00");
        let what = |verdicts: Vec<Verdict>| -> Vec<Verdict> {
            verdicts.into_iter().map(|verdict| Verdict { judged_at, ..verdict }).collect()
        };
        let seldom = fold(analyzer(hold_min), &events, |_, _, _, _| {});
        let often = fold(analyzer(hold_min), &events, |_, now, analyzer, out| analyzer.tick(now, out));
        // Two rules tell of one silence one after the other; a report may come between them.
        let by_rule = |mut verdicts: Vec<Verdict>| {
            verdicts.sort_by(|a, b| a.rule.cmp(&b.rule));
            verdicts
        };
        prop_assert_eq!(by_rule(what(seldom)), by_rule(what(often)));
    }

    #[test]
    fn only_good_live_readings_change_the_answer(
        events in prop::collection::vec(event(), 1..60),
        hold_min in 0..40_u64,
    ) {
        let mut before = std::collections::BTreeMap::new();
        for verdict in fold(analyzer(hold_min), &events, |_, _, _, _| {}) {
            let was = before.entry(verdict.rule.clone()).or_insert(Water::Unknown);
            prop_assert_eq!(verdict.before, *was, "the chain of states is whole");
            if verdict.why == Why::FoundInBacklog {
                prop_assert!(matches!(verdict.water, Water::Exceed(_)) && verdict.limit.is_some());
                prop_assert_eq!(verdict.water_now(), *was);
                prop_assert!(!verdict.surely_safe());
            } else {
                *was = verdict.water_now();
                prop_assert_ne!(verdict.water, verdict.before);
                prop_assert_eq!(verdict.limit.is_some(), matches!(verdict.water, Water::Exceed(_)));
            }
            if verdict.water == Water::Safe && verdict.why != Why::FoundInBacklog {
                prop_assert!(verdict.value.unwrap() < 1.0);
            }
        }
    }
}

#[test]
fn every_level_of_the_ladder_stands_on_its_own_as_well() {
    for level in LADDER.split(' ') {
        let (limit, clear) = level.split_once('/').unwrap();
        let just_below = |text: &str| (text.parse::<f64>().unwrap() - 0.01).to_string();
        let mut teller = Teller::new(vec![rule("one", level, 0)]);
        for (at, value) in [
            ("06:00", &just_below(limit)),
            ("06:15", &limit.to_owned()),
            ("06:30", &clear.to_owned()),
            ("06:45", &just_below(clear)),
        ] {
            teller.take(&format!("{at} {value}"));
        }
        let waters: Vec<_> =
            teller.verdicts.iter().map(|v| (clock(v.judged_at), v.water)).collect();
        let expected =
            [("06:00", Water::Safe), ("06:15", Water::Exceed(0)), ("06:45", Water::Safe)];
        assert_eq!(waters, expected.map(|(at, water)| (at.to_owned(), water)), "{level}");
        assert_eq!(teller.verdicts[1].limit, limit.parse().ok());
    }
}

#[test]
fn the_same_state_is_the_same_bytes() {
    let mut teller = Teller::new(vec![rule("salt", LADDER, 0)]);
    for event in ["06:00 1.1", "06:15 0.1", "08:00<05:00 3 replay"] {
        teller.take(event);
    }
    let bytes = |analyzer: &Analyzer| serde_json::to_string(&analyzer.snapshot()).unwrap();
    assert_eq!(bytes(&teller.analyzer), bytes(&restarted(&teller.analyzer)));
}

#[test]
fn a_reload_keeps_what_is_unchanged_and_starts_anew_what_is_not() {
    let rules = || vec![rule("a", "1/0.8", 0), rule("b", "1/0.8", 0)];
    let mut teller = Teller::new(rules());
    teller.take("06:00 2.0");
    let water = |analyzer: &Analyzer| -> Vec<String> {
        analyzer
            .standing()
            .iter()
            .map(|s| format!("{} {:?} {:?}", s.rule, s.water, s.limit))
            .collect()
    };
    assert_eq!(water(&teller.analyzer), ["a Exceed(0) Some(1.0)", "b Exceed(0) Some(1.0)"]);
    let snapshot = teller.analyzer.snapshot();

    let changed = vec![rule("b", "1/0.7", 0), rule("c", "1/0.8", 0), rule("a", "1/0.8", 0)];
    teller.analyzer.set_rules(changed.clone()).unwrap();
    assert_eq!(water(&teller.analyzer), ["a Exceed(0) Some(1.0)"]);

    let mut recalled = Analyzer::new(changed, [(station("xuan-hoa"), INTERVAL)]).unwrap();
    assert_eq!(recalled.restore(snapshot.clone()), Ok(Restored { kept: 1, left: 1 }));
    assert_eq!(water(&recalled), ["a Exceed(0) Some(1.0)"]);

    let mut elsewhere = Analyzer::new(rules(), [(station("vam-giong"), INTERVAL)]).unwrap();
    assert_eq!(elsewhere.restore(snapshot), Ok(Restored { kept: 0, left: 2 }));
}

#[test]
fn a_station_that_is_gone_is_forgotten_and_one_that_stays_is_not() {
    let mut teller = Teller::new(vec![rule("a", "1/0.8", 0)]);
    teller.take("06:00 2.0");
    teller
        .analyzer
        .set_intervals([(station("xuan-hoa"), INTERVAL * 4), (station("my-tho"), INTERVAL)]);
    teller.take("07:59 tick");
    assert_eq!(teller.verdicts.len(), 1, "two hours are the new patience");
    teller.take("08:01 tick");
    assert_eq!(teller.verdicts[1].why, Why::WentSilent);
    teller.analyzer.set_intervals([(station("my-tho"), INTERVAL)]);
    assert!(teller.analyzer.standing().is_empty());
}

#[test]
fn a_station_that_nobody_told_of_is_judged_all_the_same() {
    let mut analyzer = Analyzer::new(vec![rule("a", "1/0.8", 0)], []).unwrap();
    let mut out = Vec::new();
    analyzer.step(&report("06:00", "2.0", &[]), &mut out);
    assert_eq!((out.len(), out[0].water), (1, Water::Exceed(0)));
}

#[test]
fn a_rule_judges_only_its_own_stations_and_stands_there_from_the_start() {
    let mut own = rule("own", "1/0.8", 0);
    own.stations = vec![station("my-tho")];
    let mut teller = Teller::new(vec![rule("all", "1/0.8", 0), own]);
    teller.analyzer.set_intervals([(station("xuan-hoa"), INTERVAL), (station("my-tho"), INTERVAL)]);
    teller.take("06:00 2.0");
    let standing = teller.analyzer.standing();
    let places: Vec<_> =
        standing.iter().map(|s| (s.rule.as_str(), s.station.as_str(), s.since)).collect();
    assert_eq!(places, [("all", "xuan-hoa", Some(time("06:00"))), ("own", "my-tho", None)]);
}

#[test]
fn verdicts_come_in_the_order_of_the_rules_then_of_the_stations() {
    let mut analyzer =
        Analyzer::new(vec![rule("z", "1/0.8", 0), rule("a", "1/0.8", 0)], []).unwrap();
    let mut out = Vec::new();
    for code in ["my-tho", "an-dinh"] {
        let mut report = report("06:00", "2.0", &[]);
        report.station = station(code);
        analyzer.step(&report, &mut out);
    }
    out.clear();
    analyzer.tick(time("07:00"), &mut out);
    let order: Vec<_> = out.iter().map(|v| format!("{} {}", v.rule, v.station)).collect();
    assert_eq!(order, ["z an-dinh", "z my-tho", "a an-dinh", "a my-tho"]);
}

#[test]
fn a_rule_that_would_lie_is_not_loaded_and_the_old_ones_stay() {
    let mut analyzer = Analyzer::new(vec![rule("a", "1/0.8", 0)], []).unwrap();
    let twice = vec![rule("b", "1/0.8", 0), rule("b", "2/1", 0)];
    assert!(matches!(analyzer.set_rules(twice), Err(RuleError::Repeated(_))));
    let never_clears = vec![rule("b", "1/1", 0)];
    assert!(matches!(analyzer.set_rules(never_clears), Err(RuleError::ClearNotBelow(..))));
    let many = (1..20).map(|i| format!("{}/{} ", i * 2, i * 2 - 1)).collect::<String>();
    assert!(matches!(
        analyzer.set_rules(vec![rule("b", &many, 0)]),
        Err(RuleError::TooManyLevels(_))
    ));
    assert_eq!(analyzer.rules[0].code.as_str(), "a");
}

#[test]
fn a_snapshot_of_another_version_or_one_that_does_not_fit_is_refused() {
    let mut teller = Teller::new(vec![rule("a", "1/0.8", 0)]);
    teller.take("06:00 2.0");
    let text = serde_json::to_string(&teller.analyzer.snapshot()).unwrap();
    let read = |text: &str| serde_json::from_str::<Snapshot>(text);

    let foreign = read(&text.replace("\"version\":1", "\"version\":2")).unwrap();
    assert!(teller.analyzer.clone().restore(foreign).is_err());
    let torn = read(&text.replace("\"reached\":1", "\"reached\":7")).unwrap();
    assert_eq!(teller.analyzer.restore(torn), Ok(Restored { kept: 0, left: 1 }));
    assert!(read(&text[..text.len() - 1]).is_err());
    assert!(read(&text.replace("\"version\"", "\"verzion\"")).is_err());
}

#[test]
fn what_is_remembered_of_the_past_is_bounded() {
    let mut teller = Teller::new(vec![rule("a", "1/0.8", 0)]);
    for hour in 0..100 {
        teller.take(&format!("200:00<{hour:02}:00 2 replay"));
        teller.take(&format!("200:00<{hour:02}:30 0 replay"));
    }
    assert_eq!(teller.verdicts.len(), 100);
    let (_, watch) = &teller.analyzer.stations.values().next().unwrap().watches[0];
    assert_eq!(watch.past.told.len(), EPISODES_MAX);
}
