use super::*;
use proptest::prelude::*;
use prost::Message as _;

const AT: u64 = 1_773_266_400_000;

fn now(seconds: i64) -> Timestamp {
    Timestamp::from_millis(AT as i64 + seconds * 1_000)
}

fn double(name: Option<&str>, alias: Option<u64>, value: f64) -> Metric {
    Metric {
        name: name.map(str::to_owned),
        alias,
        timestamp: Some(AT),
        datatype: name.is_some().then_some(10),
        value: Some(Value::Double(value)),
        ..Metric::default()
    }
}

fn bd(number: u64) -> Metric {
    Metric {
        name: Some("bdSeq".into()),
        datatype: Some(4),
        value: Some(Value::Long(number)),
        ..Metric::default()
    }
}

fn bytes(seq: Option<u64>, metrics: Vec<Metric>) -> Vec<u8> {
    Payload { timestamp: Some(AT), metrics, seq }.encode_to_vec()
}

/// A node and its device `xuan-hoa`, both born.
fn born() -> Nodes {
    let nodes = Nodes::default();
    let own = vec![bd(1), double(Some("battery"), Some(1), 12.5)];
    let (heard, ask) = nodes.hear("spBv1.0/tg/NBIRTH/edge", &bytes(Some(0), own), now(0));
    assert!(matches!(heard, Heard::Reports { .. }) && ask.is_none(), "{heard:?}");
    let device =
        vec![double(Some("salinity"), Some(10), 8.85), double(Some("Water/EC"), Some(11), 14.0)];
    let (heard, ask) =
        nodes.hear("spBv1.0/tg/DBIRTH/edge/xuan-hoa", &bytes(Some(1), device), now(0));
    assert!(matches!(heard, Heard::Reports { .. }) && ask.is_none(), "{heard:?}");
    nodes
}

fn data(nodes: &Nodes, seq: u64, metrics: Vec<Metric>, at: i64) -> (Heard, Option<Ask>) {
    nodes.hear("spBv1.0/tg/DDATA/edge/xuan-hoa", &bytes(Some(seq), metrics), now(at))
}

fn values(heard: &Heard) -> Vec<(String, Option<f64>)> {
    let Heard::Reports { name, reports } = heard else { panic!("{heard:?}") };
    assert_eq!(name, "tg/edge/xuan-hoa");
    let said = reports.iter().flat_map(|report| &report.values);
    said.map(|said| (said.name.to_string(), said.value)).collect()
}

fn reason(heard: &Heard) -> Reason {
    match heard {
        Heard::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_alias_means_what_the_birth_said() {
    let nodes = born();
    let (heard, ask) = data(&nodes, 2, vec![double(None, Some(11), 14.2)], 1);
    assert_eq!(values(&heard), [("Water/EC".to_owned(), Some(14.2))]);
    assert_eq!(ask, None);
    let (heard, _) = data(&nodes, 3, vec![double(Some("salinity"), None, 8.9)], 1);
    assert_eq!(values(&heard), [("salinity".to_owned(), Some(8.9))]);
}

#[test]
fn times_null_and_history_are_kept_apart() {
    let nodes = born();
    let old = Metric {
        timestamp: Some(AT - 60_000),
        is_historical: Some(true),
        ..double(None, Some(10), 7.0)
    };
    let missing = Metric { is_null: Some(true), value: None, ..double(None, Some(11), 0.0) };
    let (heard, _) = data(&nodes, 2, vec![old, double(None, Some(10), 8.0), missing], 1);
    let Heard::Reports { reports, .. } = heard else { panic!("{heard:?}") };
    assert_eq!((reports.len(), reports[0].replay, reports[1].replay), (2, true, false));
    assert_eq!(reports[0].taken, Stated::At(now(-60)));
    assert_eq!(reports[1].values.len(), 2);
    assert_eq!(reports[1].values[1].value, None);
}

#[test]
fn a_gap_is_taken_and_asked_about_once_in_thirty_seconds() {
    let nodes = born();
    let (heard, ask) = data(&nodes, 5, vec![double(None, Some(10), 8.0)], 1);
    assert_eq!(values(&heard).len(), 1);
    let ask = ask.expect("a birth is asked for");
    assert_eq!(ask.topic, "spBv1.0/tg/NCMD/edge");
    let told = Payload::decode(&ask.payload[..]).unwrap();
    assert_eq!(told.metrics[0].name.as_deref(), Some("Node Control/Rebirth"));
    assert_eq!(told.metrics[0].value, Some(Value::Boolean(true)));
    assert_eq!(data(&nodes, 9, vec![double(None, Some(10), 8.0)], 5).1, None);
    assert!(data(&nodes, 12, vec![double(None, Some(10), 8.0)], 40).1.is_some());
}

#[test]
fn the_sequence_goes_round_and_a_second_delivery_is_no_gap() {
    let nodes = born();
    for seq in (2..=255).chain(0..=3) {
        let (heard, ask) = data(&nodes, seq, vec![double(None, Some(10), 8.0)], 1);
        assert!(matches!(heard, Heard::Reports { .. }) && ask.is_none(), "{seq} {heard:?}");
    }
    assert_eq!(data(&nodes, 3, vec![double(None, Some(10), 8.0)], 1).1, None);
    assert_eq!(data(&nodes, 4, vec![double(None, Some(10), 8.0)], 1).1, None);
}

#[test]
fn data_without_a_birth_is_refused_and_a_birth_asked_for() {
    let nodes = Nodes::default();
    let (heard, ask) = data(&nodes, 2, vec![double(None, Some(10), 8.0)], 0);
    assert_eq!(reason(&heard), Reason::NoBirth);
    assert!(ask.is_some());
    let nodes = born();
    let (heard, ask) = data(&nodes, 2, vec![double(None, Some(99), 8.0)], 0);
    assert_eq!(reason(&heard), Reason::NoBirth);
    assert!(ask.is_some());
    let topic = "spBv1.0/tg/DDATA/edge/another";
    let unborn = bytes(Some(3), vec![double(None, Some(10), 8.0)]);
    assert_eq!(reason(&nodes.hear(topic, &unborn, now(1)).0), Reason::NoBirth);
}

#[test]
fn after_its_death_a_node_has_to_be_born_again_but_not_after_an_older_one() {
    let nodes = born();
    let die =
        |number| nodes.hear("spBv1.0/tg/NDEATH/edge", &bytes(None, vec![bd(number)]), now(1)).0;
    assert_eq!(die(0), Heard::Nothing);
    assert!(matches!(
        data(&nodes, 2, vec![double(None, Some(10), 8.0)], 1).0,
        Heard::Reports { .. }
    ));
    assert_eq!(die(1), Heard::Nothing);
    assert_eq!(reason(&data(&nodes, 3, vec![double(None, Some(10), 8.0)], 1).0), Reason::NoBirth);
    let nodes = born();
    let gone = nodes.hear("spBv1.0/tg/DDEATH/edge/xuan-hoa", &bytes(Some(2), vec![]), now(1));
    assert_eq!(gone, (Heard::Nothing, None));
    assert_eq!(reason(&data(&nodes, 3, vec![double(None, Some(10), 8.0)], 1).0), Reason::NoBirth);
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_reason() {
    let nodes = born();
    let many = vec![double(Some("x"), None, 1.0); 3_000];
    let birth = |metrics| ("spBv1.0/tg/NBIRTH/edge", bytes(Some(0), metrics));
    let wide = (0..200).map(|n| double(Some(&format!("m{n}")), None, 1.0)).collect();
    for ((topic, payload), expected) in [
        (("spBv1.0/tg/NDATA/edge", b"not protobuf".to_vec()), Reason::Malformed),
        (("spBv1.0/tg/NDATA/edge", vec![0x12, 0xFF, 0xFF, 0xFF, 0x7F]), Reason::Malformed),
        (("spBv1.0/tg/NDATA/edge", bytes(None, vec![])), Reason::Malformed),
        (("spBv1.0/tg/NDATA/edge", bytes(Some(256), vec![])), Reason::Malformed),
        (("spBv1.0/tg/DATA/edge", bytes(Some(1), vec![])), Reason::Malformed),
        (birth(vec![double(None, Some(1), 1.0)]), Reason::Malformed),
        (
            birth(vec![double(Some("a"), Some(1), 1.0), double(Some("b"), Some(1), 1.0)]),
            Reason::Malformed,
        ),
        (birth(many), Reason::BadCount),
        (birth(wide), Reason::BadCount),
    ] {
        assert_eq!(reason(&nodes.hear(topic, &payload, now(1)).0), expected, "{topic}");
    }
    let forty: Vec<u8> = std::iter::repeat_n([0x12, 0x00], 100_000).flatten().collect();
    assert_eq!(reason(&nodes.hear("spBv1.0/tg/NDATA/edge", &forty, now(1)).0), Reason::BadCount);
}

#[test]
fn commands_states_and_properties_are_no_readings() {
    let nodes = born();
    for topic in ["spBv1.0/tg/NCMD/edge", "spBv1.0/tg/DCMD/edge/x", "spBv1.0/STATE/scada"] {
        assert_eq!(nodes.hear(topic, b"anything", now(1)), (Heard::Nothing, None));
    }
    let text = Metric {
        datatype: Some(12),
        value: Some(Value::String("v1.2".into())),
        ..double(Some("Firmware"), None, 0.0)
    };
    let control = double(Some("Node Control/Scan Rate"), None, 5_000.0);
    let birth = bytes(Some(0), vec![bd(2), text, control]);
    assert_eq!(nodes.hear("spBv1.0/tg/NBIRTH/edge", &birth, now(1)), (Heard::Nothing, None));
}

#[test]
fn what_is_remembered_has_a_bound_and_the_dead_make_room() {
    let nodes = Nodes::default();
    let name = "m".repeat(60_000);
    let birth = |n: usize| {
        let topic = format!("spBv1.0/tg/NBIRTH/edge-{n}");
        nodes.hear(&topic, &bytes(Some(0), vec![double(Some(&name), Some(1), 1.0)]), now(1)).0
    };
    let born = (0..1_000).take_while(|n| matches!(birth(*n), Heard::Reports { .. })).count();
    assert_eq!(born, BYTES_MAX / (120_000 + METRIC_BYTES));
    assert_eq!(reason(&birth(born)), Reason::BadCount);
    let death = bytes(None, vec![]);
    assert_eq!(nodes.hear("spBv1.0/tg/NDEATH/edge-7", &death, now(1)).0, Heard::Nothing);
    assert!(matches!(birth(born), Heard::Reports { .. }));
    let nodes = Nodes::default();
    for n in 0..NODES_MAX + 100 {
        let topic = format!("spBv1.0/tg/NDATA/edge-{n}");
        assert_eq!(reason(&nodes.hear(&topic, &bytes(Some(1), vec![]), now(1)).0), Reason::NoBirth);
    }
    assert_eq!(nodes.held.lock().unwrap().nodes.len(), NODES_MAX);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let nodes = born();
        drop(nodes.hear("spBv1.0/tg/NBIRTH/edge", &payload, now(1)));
        drop(nodes.hear("spBv1.0/tg/DDATA/edge/xuan-hoa", &payload, now(1)));
    }

    #[test]
    fn no_mutilated_birth_makes_it_panic(at in 0..60_usize, byte in any::<u8>()) {
        let nodes = Nodes::default();
        let mut payload = bytes(Some(0), vec![bd(1), double(Some("battery"), Some(1), 12.5)]);
        let at = at.min(payload.len() - 1);
        payload[at] = byte;
        drop(nodes.hear("spBv1.0/tg/NBIRTH/edge", &payload, now(1)));
    }
}
