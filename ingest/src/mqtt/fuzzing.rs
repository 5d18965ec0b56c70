//! What reads a client's bytes, for the fuzzer.

use bytes::{Bytes, BytesMut};
use registry::Verifier;

use super::scram::ClientFirst;
use super::tree::Tree;
use super::wire::{
    self, Answering, BadHello, Extra, Hello, Outgoing, Packet, Publish, Refused, Version, Welcome,
};
use super::{der, share, topic};
use crate::upstream::Template;

pub use super::keep::fuzzing::sessions;
pub use super::talk::talk;

/// The largest packet, small so that a fuzzer gets above it.
const BYTES_MAX: usize = 1_024;

/// A stream from a client of 3.1 or 3.1.1.
pub fn mqtt_v3(bytes: &[u8]) {
    stream(Version::V4, bytes);
}

/// A stream from a client of 5.0.
pub fn mqtt_v5(bytes: &[u8]) {
    stream(Version::V5, bytes);
}

/// Packets as a connection reads them, CONNECT wherever it comes.
fn stream(version: Version, bytes: &[u8]) {
    let mut rest = Bytes::copy_from_slice(bytes);
    loop {
        let header = match wire::peek(&rest, BYTES_MAX) {
            Ok(Some(header)) if header.total() <= rest.len() => header,
            Ok(_) => return,
            Err(bad) => return said_bad(bad),
        };
        // A header says the same from its first whole byte on, however the packet is cut.
        for cut in 0..rest.len().min(6) {
            let early = wire::peek(&rest[..cut], BYTES_MAX);
            assert!(matches!(early, Ok(None)) || early == Ok(Some(header)), "cut at {cut}");
        }
        let frame = rest.split_to(header.total());
        if header.is_connect() {
            match wire::hello(header, &frame) {
                Ok(hello) => welcomed(&hello),
                Err(BadHello::Level(_) | BadHello::NotMqtt(_)) => (),
                Err(BadHello::Fields(_, bad)) => said_bad(bad),
            }
        } else {
            match wire::read(version, header, &frame) {
                Ok(packet) => answered(version, &packet),
                Err(bad) => return said_bad(bad),
            }
        }
    }
}

/// What ends a connection can be said.
fn said_bad(bad: wire::Bad) {
    let mut to = BytesMut::new();
    wire::disconnect(&mut to, bad.code(), &bad.to_string());
    is_whole(&to);
}

/// Both answers to a CONNECT are packets, whatever stood in it.
fn welcomed(hello: &Hello) {
    assert!(hello.will.as_ref().is_none_or(|will| will.qos <= 2));
    assert!(hello.receive_max != 0 && hello.packet_bytes_max != 0);
    let welcome = Welcome {
        session_expiry_s: Some(hello.session_expiry_s),
        assigned_client_id: Some(hello.client_id.clone()),
        server_keep_alive_s: Some(hello.keep_alive_s),
        ..Welcome::default()
    };
    for answer in [Ok(&welcome), Err((Refused::Login, &*hello.client_id))] {
        let mut to = BytesMut::new();
        wire::connack(&mut to, hello.version, answer);
        is_whole(&to);
    }
}

/// What a packet brings goes on or is answered, and reads back.
fn answered(version: Version, packet: &Packet<'_>) {
    let mut to = BytesMut::new();
    match packet {
        Packet::Publish(publish) => return passed_on(version, publish),
        Packet::PubAck(it) => said_back(version, Answering::Ack, *it),
        Packet::PubRec(it) => said_back(version, Answering::Rec, *it),
        Packet::PubRel(it) => said_back(version, Answering::Rel, *it),
        Packet::PubComp(it) => said_back(version, Answering::Comp, *it),
        Packet::Subscribe(subscribe) => {
            let codes: Vec<u8> = subscribe.filters.iter().map(|it| it.options.qos).collect();
            assert!(!codes.is_empty() && codes.iter().all(|&qos| qos <= 2));
            wire::suback(&mut to, version, subscribe.id, &codes);
        }
        Packet::Unsubscribe { id, filters } => {
            wire::unsuback(&mut to, version, *id, &vec![0; filters.len()]);
        }
        Packet::Auth(auth) => {
            let method = auth.method.as_deref().unwrap_or_default();
            wire::auth(&mut to, auth.code, method, &String::from_utf8_lossy(&auth.data));
        }
        Packet::Ping => wire::pingresp(&mut to),
        Packet::Disconnect { .. } => (),
    }
    if !to.is_empty() {
        is_whole(&to);
    }
}

/// The four small answers have one shape both ways.
fn said_back(version: Version, kind: Answering, it: wire::Answer) {
    for why in ["", "vì sao"] {
        let mut to = BytesMut::new();
        wire::answer(&mut to, version, kind, it.id, (it.code, why));
        let frame = to.freeze();
        let back = match read_one(version, &frame) {
            Packet::PubAck(back)
            | Packet::PubRec(back)
            | Packet::PubRel(back)
            | Packet::PubComp(back) => back,
            other => panic!("{other:?}"),
        };
        assert_eq!(back, it);
    }
}

/// A message that may come in goes out to clients of both versions, and reads as what it was.
fn passed_on(from: Version, publish: &Publish<'_>) {
    let known = if publish.topic.is_empty() { "latest/a/b" } else { publish.topic };
    for to in [Version::V4, Version::V5] {
        let message = Outgoing {
            topic: known,
            payload: &publish.payload,
            extra: Extra {
                passed_on: &publish.properties,
                expiry_s: publish.expiry_s,
                ids: &[],
                alias: publish.alias,
            },
            qos: publish.qos,
            retain: publish.retain,
            again: publish.qos != 0,
            id: publish.id,
        };
        let mut wire = BytesMut::new();
        wire::publish(&mut wire, to, message);
        assert_eq!(wire.len(), wire::publish_bytes(to, message));
        let frame = wire.freeze();
        let Packet::Publish(back) = read_one(to, &frame) else { panic!("not a publish") };
        assert_eq!((back.topic, &back.payload), (known, &publish.payload));
        assert_eq!((back.qos, back.retain, back.id), (publish.qos, publish.retain, publish.id));
        if from == Version::V5 && to == Version::V5 {
            assert_eq!(back.properties, publish.properties);
            assert_eq!((back.alias, back.expiry_s), (publish.alias, publish.expiry_s));
            assert_eq!(back.is_text, publish.is_text);
        }
    }
}

fn read_one(version: Version, frame: &Bytes) -> Packet<'_> {
    let header = wire::peek(frame, usize::MAX).expect("our header").expect("a whole one");
    assert_eq!(header.total(), frame.len());
    wire::read(version, header, frame).expect("what we write reads back")
}

/// One packet, whose length is the one that it says.
fn is_whole(packet: &[u8]) {
    let mut length = 0;
    let mut at = 1;
    loop {
        length |= usize::from(packet[at] & 0x7F) << (7 * (at - 1));
        at += 1;
        if packet[at - 1] & 0x80 == 0 {
            break;
        }
    }
    assert_eq!(packet.len(), at + length);
}

/// A topic and filters, a line each: the tree finds what a scan finds, and forgets all of it again.
pub fn filters(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let name = lines.next().unwrap_or_default();
    let filters: Vec<&str> = lines.filter(|it| topic::is_filter(it)).take(64).collect();
    for filter in &filters {
        assert!(topic::covers(filter, filter));
        if let Some(Ok((group, inner))) = share::parts(filter) {
            assert_eq!(format!("$share/{group}/{inner}"), **filter);
            assert!(topic::is_filter(inner));
        }
    }
    if let Ok(template) = Template::parse(name) {
        assert_eq!(Template::parse(&template.to_string()).as_ref(), Ok(&template));
        drop(filters.iter().map(|it| template.station(it)).collect::<Vec<_>>());
    }
    if !topic::is_name(name) {
        return;
    }
    let mut tree = Tree::default();
    filters.iter().enumerate().for_each(|(id, filter)| tree.place(filter).push(id));
    let mut found = Vec::new();
    tree.matching(name, &mut |id| found.push(*id));
    found.sort_unstable();
    let covering = (0..filters.len()).filter(|&id| topic::covers(filters[id], name));
    assert_eq!(found, covering.collect::<Vec<_>>());
    filters.iter().for_each(|filter| tree.retain(filter, |_| false));
    tree.matching(name, &mut |_| panic!("a filter stays"));
}

/// Who a client says it is: its words of SCRAM, the first up to a NUL and then the last; and a certificate's subject.
pub fn login(bytes: &[u8]) {
    if let Some(name) = der::common_name(bytes) {
        assert!(name.len() <= 255);
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (first, last) = bytes.split_at(end);
    let Ok(first) = ClientFirst::read(first) else { return };
    assert!(!first.user.is_empty() && !first.user.contains('\0'));
    let challenge = first.challenge("ours", &[7; 16], 4_096);
    let nobody = Verifier::of_nobody("vam-kenh");
    let proved = challenge.check(last.get(1..).unwrap_or_default(), std::iter::once(&nobody));
    assert!(proved.is_err(), "nobody has no key");
}
