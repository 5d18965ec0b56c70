use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};

use super::*;

const MAX: usize = 256 * 1024;

/// Reads whatever the bytes hold, as a connection would; what is bad ends it.
fn swallow(version: Version, bytes: &[u8]) -> Result<usize, Bad> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut packets = 0;
    while let Some(header) = peek(&rest, MAX)? {
        if rest.len() < header.total() {
            break;
        }
        let frame = rest.split_to(header.total());
        if header.is_connect() {
            match hello(header, &frame) {
                Ok(_) | Err(BadHello::Level(_)) => (),
                Err(BadHello::Fields(_, bad) | BadHello::NotMqtt(bad)) => return Err(bad),
            }
        } else {
            read(version, header, &frame)?;
        }
        packets += 1;
    }
    Ok(packets)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn vectors() -> Option<Vec<serde_json::Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/vectors/mqtt_packets.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn every_packet_of_a_paho_client_is_understood() {
    for vector in vectors().unwrap_or_default() {
        let bytes = unhex(vector["packet_hex"].as_str().unwrap());
        let version = match vector["protocol"].as_str().unwrap() {
            "3.1.1" => Version::V4,
            _ => Version::V5,
        };
        let header = peek(&bytes, MAX).unwrap().unwrap();
        let frame = Bytes::from(bytes);
        assert_eq!(header.total(), frame.len(), "{vector}");
        if header.is_connect() {
            let hello = hello(header, &frame).unwrap();
            assert_eq!(Some(&*hello.client_id), vector["client_id"].as_str());
            assert_eq!(hello.version, version);
            let will = hello.will.unwrap();
            assert_eq!(Some(&*will.topic), vector["will_topic"].as_str());
        } else if let Packet::Publish(publish) = read(version, header, &frame).unwrap() {
            assert_eq!(Some(publish.topic), vector["topic"].as_str());
            assert_eq!(Some(u64::from(publish.qos)), vector["qos"].as_u64());
            assert_eq!(Some(publish.retain), vector["retain"].as_bool());
        }
    }
}

#[test]
fn a_lie_about_the_length_costs_no_memory() {
    let lie = [0x30, 0xFF, 0xFF, 0xFF, 0x7F];
    assert_eq!(peek(&lie, MAX), Err(Bad::TooLarge(268_435_460)));
    assert!(matches!(peek(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], MAX), Err(Bad::Malformed(_))));
    assert_eq!(peek(&[0x30, 0xFF], MAX), Ok(None));
}

#[test]
fn an_empty_disconnect_is_a_goodbye_in_both_versions() {
    for version in [Version::V4, Version::V5] {
        let frame = Bytes::from_static(&[0xE0, 0]);
        let header = peek(&frame, MAX).unwrap().unwrap();
        let packet = read(version, header, &frame).unwrap();
        assert!(matches!(packet, Packet::Disconnect { keep_will: false, session_expiry_s: None }));
    }
}

#[test]
fn bad_packets_are_named() {
    let check = |version, bytes: &[u8], kind: &str| {
        assert_eq!(swallow(version, bytes).unwrap_err().as_str(), kind, "{bytes:02x?}");
    };
    use Version::{V4, V5};
    check(V4, &[0x32, 5, 0, 1, b'a', 0, 0], "malformed_packet"); // packet id 0
    check(V4, &[0x34, 5, 0, 1, b'a', 0, 0], "malformed_packet"); // the same with QoS 2
    check(V4, &[0x34, 3, 0, 1, b'a'], "malformed_packet"); // no packet id
    check(V4, &[0x36, 5, 0, 1, b'a', 0, 1], "malformed_packet"); // QoS 3
    check(V4, &[0x38, 3, 0, 1, b'a'], "malformed_packet"); // DUP at QoS 0
    check(V4, &[0x30, 3, 0, 9, b'a'], "malformed_packet"); // topic longer than the packet
    check(V4, &[0x30, 4, 0, 2, 0xC3, 0x28], "malformed_packet"); // not UTF-8
    check(V4, &[0x30, 3, 0, 1, b'#'], "topic_invalid");
    check(V4, &[0x30, 3, 0, 1, 0], "topic_invalid");
    check(V4, &[0x30, 2, 0, 0], "topic_invalid");
    check(V4, &[0x80, 6, 0, 1, 0, 1, b'a', 0], "malformed_packet"); // flags of SUBSCRIBE
    check(V4, &[0x82, 2, 0, 1], "protocol_error"); // no filter
    check(V4, &[0x82, 6, 0, 0, 0, 1, b'a', 0], "malformed_packet"); // packet id 0
    check(V4, &[0x82, 6, 0, 1, 0, 1, b'a', 3], "malformed_packet"); // QoS 3
    check(V4, &[0x82, 6, 0, 1, 0, 1, b'a', 4], "malformed_packet"); // options of MQTT 5
    check(V4, &[0x82, 5, 0, 1, 0, 1, b'a'], "malformed_packet"); // no options
    check(V4, &[0x82, 6, 0, 1, 0, 1, 0, 1], "malformed_packet"); // NUL
    check(V4, &[0xA2, 2, 0, 1], "protocol_error"); // no filter
    check(V4, &[0xA0, 5, 0, 1, 0, 1, b'a'], "malformed_packet"); // flags of UNSUBSCRIBE
    check(V4, &[0x20, 2, 0, 0], "malformed_packet"); // a server's packet
    check(V4, &[0x60, 2, 0, 1], "malformed_packet"); // flags of PUBREL
    check(V4, &[0x62, 2, 0, 0], "malformed_packet"); // packet id 0
    check(V4, &[0x40, 3, 0, 1, 0], "malformed_packet"); // a reason code of MQTT 5
    check(V4, &[0xC0, 1, 0], "malformed_packet"); // PINGREQ with a body
    check(V4, &[0xE0, 1, 0], "malformed_packet"); // DISCONNECT with a body
    check(V4, &[0xF0, 0], "malformed_packet"); // AUTH
    check(V4, &[0x00, 0], "malformed_packet"); // type 0
    check(V5, &[0x32, 9, 0, 1, b'a', 0, 1, 3, 0x23, 0, 0], "topic_alias"); // alias 0
    check(V5, &[0x30, 3, 0, 0, 0], "protocol_error"); // neither topic nor alias
    check(V5, &[0x30, 6, 0, 1, b'a', 2, 0x11, 0], "protocol_error"); // session expiry here
    check(V5, &[0x30, 6, 0, 1, b'a', 2, 0x0B, 1], "protocol_error"); // a subscription id
    check(V5, &[0x30, 6, 0, 1, b'a', 2, 0x7F, 1], "malformed_packet"); // unknown property
    check(V5, &[0x30, 6, 0, 1, b'a', 2, 1, 2], "protocol_error"); // payload format 2
    check(V5, &[0x30, 8, 0, 1, b'a', 4, 1, 0, 1, 0], "protocol_error"); // twice
    check(V5, &[0x30, 8, 0, 1, b'a', 4, 8, 0, 1, b'#'], "protocol_error"); // response topic
    check(V5, &[0x30, 6, 0, 1, b'a', 2, 0x26, 0], "malformed_packet"); // cut short
    check(V5, &[0x30, 4, 0, 1, b'a', 9], "malformed_packet"); // section crosses the end
    check(V5, &[0x30, 7, 0, 4, 0xED, 0xA0, 0x80, 0, 0], "malformed_packet"); // a surrogate
    check(V5, &[0x40, 3, 0, 1, 0x01], "malformed_packet"); // no reason code of PUBACK
    check(V5, &[0x62, 3, 0, 1, 0x80], "malformed_packet"); // no reason code of PUBREL
    check(V5, &[0x40, 5, 0, 1, 0, 0, 0], "malformed_packet"); // bytes after the end
    check(V5, &[0x82, 7, 0, 1, 0, 0, 1, b'a', 3], "protocol_error"); // QoS 3
    check(V5, &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x30], "protocol_error"); // retain handling 3
    check(V5, &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x40], "malformed_packet"); // reserved
    check(V5, &[0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, b'a', 0], "protocol_error"); // subscription id 0
    check(V5, &[0x82, 11, 0, 1, 4, 0x0B, 1, 0x0B, 2, 0, 1, b'a', 0], "protocol_error"); // two
    check(V5, &[0xE0, 1, 0x8E], "protocol_error"); // a server's reason to disconnect
    check(V5, &[0xE0, 3, 0, 1, 0x1C], "malformed_packet"); // cut short
    check(V5, &[0xF0, 1, 0x18], "malformed_packet"); // AUTH without its section
    check(V5, &[0xF0, 2, 0x00, 0], "protocol_error"); // a server's AUTH
}

#[test]
fn bad_connects_are_named_and_answered_where_there_is_an_answer() {
    let check = |rest: &[u8], expected: &str| {
        let mut bytes = vec![0x10, rest.len() as u8];
        bytes.extend(rest);
        let frame = Bytes::from(bytes);
        let header = peek(&frame, MAX).unwrap().unwrap();
        let found = match hello(header, &frame) {
            Ok(hello) => format!("{} of {:?}", hello.client_id, hello.version),
            Err(BadHello::Level(version)) => format!("level, {version:?}"),
            Err(BadHello::Fields(version, bad)) => format!("{}, {version:?}", bad.as_str()),
            Err(BadHello::NotMqtt(_)) => "not MQTT".to_owned(),
        };
        assert_eq!(found, expected, "{rest:02x?}");
    };
    check(b"\0\x04MQTT\x04\x02\0\x3c\0\x01a", "a of V4");
    check(b"\0\x06MQIsdp\x03\x02\0\x3c\0\x01a", "a of V4");
    check(b"\0\x04MQTT\x05\x02\0\x3c\0\0\x01a", "a of V5");
    check(b"\0\x04MQTT\x03\x02\0\x3c\0\x01a", "level, V4");
    check(b"\0\x06MQIsdp\x04\x02\0\x3c\0\x01a", "level, V4");
    check(b"\0\x04MQTT\x06\x02\0\x3c\0\x01a", "level, V5");
    check(b"\0\x04HTTP\x04\x02\0\x3c\0\x01a", "not MQTT");
    check(b"\0\x04MQTT\x04\x03\0\x3c\0\x01a", "malformed_packet, V4"); // reserved flag
    check(b"\0\x04MQTT\x04\x42\0\x3c\0\x01a\0\x01b", "malformed_packet, V4"); // no user name
    check(b"\0\x04MQTT\x05\x42\0\x3c\0\0\x01a\0\x01b", "a of V5");
    check(b"\0\x04MQTT\x05\x0a\0\x3c\0\0\x01a", "malformed_packet, V5"); // QoS without a will
    check(b"\0\x04MQTT\x05\x1e\0\x3c\0\0\x01a", "malformed_packet, V5"); // will QoS 3
    check(b"\0\x04MQTT\x05\x02\0\x3c\0\0\x01a!", "malformed_packet, V5"); // a tail
    check(b"\0\x04MQTT\x05\x02\0\x3c\0\0\x02a", "malformed_packet, V5"); // cut short
    check(b"\0\x04MQTT\x05\x02\0\x3c\0\0\x01\0", "malformed_packet, V5"); // NUL
    check(b"\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\0\0\x01a", "protocol_error, V5"); // receive maximum 0
    check(b"\0\x04MQTT\x05\x02\0\x3c\x02\x17\x02\0\x01a", "protocol_error, V5");
    check(b"\0\x04MQTT\x05\x02\0\x3c\x04\x16\0\x01x\0\x01a", "protocol_error, V5"); // data, no method
}

#[test]
fn what_we_publish_a_client_reads() {
    let message = Outgoing {
        topic: "latest/vam-kenh/salinity",
        payload: "4,3 g/L mặn".as_bytes(),
        extra: Extra::default(),
        qos: 1,
        retain: true,
        again: true,
        id: 7,
    };
    let mut wire = BytesMut::new();
    publish(&mut wire, Version::V4, message);
    assert_eq!(wire.len(), publish_bytes(Version::V4, message));
    let Ok(v4::Packet::Publish(got)) = v4::Packet::read(&mut wire, MAX) else { panic!() };
    assert_eq!((got.topic.as_str(), got.pkid, got.dup, got.retain), (message.topic, 7, true, true));
    assert_eq!(got.payload, message.payload);

    let long = vec![b'x'; 20_000];
    let message = Outgoing {
        payload: &long,
        extra: Extra {
            passed_on: &[0x01, 1],
            expiry_s: Some(9),
            ids: &[1, 128, 268_435_455],
            alias: Some(3),
        },
        qos: 0,
        id: 0,
        again: false,
        ..message
    };
    publish(&mut wire, Version::V5, message);
    assert_eq!(wire.len(), publish_bytes(Version::V5, message));
    let Ok(v5::Packet::Publish(got)) = v5::Packet::read(&mut wire, None) else { panic!() };
    assert_eq!(got.qos, QoS5::AtMostOnce);
    let properties = got.properties.unwrap();
    assert_eq!(properties.message_expiry_interval, Some(9));
    assert_eq!(properties.payload_format_indicator, Some(1));
    assert_eq!(properties.subscription_identifiers, [1, 128, 268_435_455]);
    assert_eq!(properties.topic_alias, Some(3));
    assert_eq!(got.payload.len(), 20_000);
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V4), Just(Version::V5)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_never_panic(version in version(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(version, &bytes).ok();
    }

    /// A right first byte and length, so that the fields are reached.
    #[test]
    fn random_bodies_never_panic(
        version in version(),
        first in prop::sample::select(vec![0x10_u8, 0x30, 0x31, 0x32, 0x34, 0x3A, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0]),
        body in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..6], 0..120),
    ) {
        let mut bytes = vec![first, body.len() as u8];
        bytes.extend(body);
        swallow(version, &bytes).ok();
    }

    /// Whole CONNECTs of both versions with a few bytes changed.
    #[test]
    fn mutated_connects_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        five in any::<bool>(),
    ) {
        let mut wire = BytesMut::new();
        if five {
            let will = v5::LastWill::new("stations/a/state", "offline", QoS5::AtLeastOnce, true, None);
            let login = v5::Login { username: "a".into(), password: "key".into() };
            let connect = v5::Connect { keep_alive: 60, client_id: "a".into(), clean_start: true, properties: Some(v5::ConnectProperties { receive_maximum: Some(9), session_expiry_interval: Some(5), ..v5::ConnectProperties::new() }) };
            connect.write(&Some(will), &Some(login), &mut wire).unwrap();
        } else {
            let mut connect = v4::Connect::new("a");
            connect.set_login("a", "key");
            connect.last_will = Some(v4::LastWill::new("stations/a/state", "offline", rumqttc::QoS::AtLeastOnce, true));
            connect.write(&mut wire).unwrap();
        }
        prop_assert_eq!(swallow(Version::V4, &wire), Ok(1));
        for (at, to) in cuts {
            let at = at.index(wire.len());
            wire[at] = to;
        }
        swallow(Version::V4, &wire).ok();
    }

    #[test]
    fn mutated_packets_of_a_paho_client_never_panic(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        version in version(),
    ) {
        static VECTORS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| {
            let all = vectors().unwrap_or_default();
            all.iter().map(|v| unhex(v["packet_hex"].as_str().unwrap())).collect()
        });
        if VECTORS.is_empty() {
            return Ok(());
        }
        let mut bytes = VECTORS[which.index(VECTORS.len())].clone();
        for (at, to) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        swallow(version, &bytes).ok();
    }
}
