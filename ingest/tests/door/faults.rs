use std::time::Duration;

use ingest::mqtt::{Config, Keep};
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::stand::*;

const READINGS: &str = "stations/vam-kenh/readings";

#[tokio::test]
async fn a_report_of_a_megabyte_is_refused_and_the_next_client_does_not_notice() {
    let stand = stand();
    let huge = "x".repeat(1_000_000);
    let mut five = stand.v5("vam-kenh").await;
    // The door closes in the middle of it; writing on may fail.
    five.stream.write_all(&publish5(READINGS, 1, &huge)).await.ok();
    assert_eq!(five.disconnected5().await, Code::PacketTooLarge);
    let mut four = stand.v4("xuan-hoa").await;
    four.stream.write_all(&publish4("stations/xuan-hoa/readings", 1, &huge, false)).await.ok();
    assert_eq!(four.next4().await, None);
    let mut good = stand.v4("vam-kenh").await;
    good.publish4(READINGS, 1, REPORT).await;
    assert_eq!(good.puback4().await, 1);
}

#[tokio::test]
async fn bad_packets_end_their_own_connection_with_the_right_code() {
    let stand = stand();
    for (bytes, code) in [
        (&b"\x32\x05\0\x01a\0\0\0"[..], Code::MalformedPacket),
        (b"\x30\x04\0\x01#\0", Code::TopicNameInvalid),
        (b"\x30\x07\0\x01a\x03\x23\0\0", Code::TopicAliasInvalid),
        (b"\x30\x07\0\x01a\x03\x23\0\x11", Code::TopicAliasInvalid),
        (b"\x30\x06\0\0\x03\x23\0\x01", Code::ProtocolError),
        (b"\xF0\x00", Code::ProtocolError),
        (b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0", Code::ProtocolError),
        (b"\x80\x02\0\x01", Code::MalformedPacket),
        (b"\x30\xff\xff\xff\xff\x7f", Code::MalformedPacket),
    ] {
        let mut raw = stand.v5("all").await;
        raw.send(bytes).await;
        assert_eq!(raw.disconnected5().await, code, "{bytes:02x?}");
        assert_eq!(raw.next5().await, None);
        let mut raw = stand.v4("all").await;
        raw.send(bytes).await;
        // Some of these are whole packets only in 5.0, and half ones in 3.1.1.
        raw.stream.write_all(&[0xFF; 600]).await.ok();
        assert_eq!(raw.next4().await, None, "{bytes:02x?}");
    }
}

#[tokio::test]
async fn what_is_not_a_connect_gets_no_answer() {
    let config = Config { connect_deadline: Duration::from_millis(300), ..config() };
    let stand = stand_with(config);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xC0\x00",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x10\xff\xff\xff\x7f",
        b"\x10",
        b"",
    ] {
        let mut raw = stand.socket().await;
        raw.send(bytes).await;
        assert_eq!(raw.next4().await, None, "{bytes:02x?}");
    }
}

/// Half-open in both ways: nothing said at all, and a TLS handshake that never ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_half_open_handshakes_keep_nobody_out() {
    let files = super::peers::certificate();
    let stand = stand_with(Config { tls: Some(files.config()), ..config() });
    let mut half_open = Vec::new();
    for number in 0..400 {
        let tls = number % 2 == 0;
        let address = if tls { stand.addresses.tls.unwrap() } else { stand.addresses.plain };
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(if tls { b"\x16\x03\x01" } else { b"\x10\x20\0\x04MQ" }).await.unwrap();
        half_open.push(stream);
    }
    let start = Instant::now();
    let mut client = stand.v4("vam-kenh").await;
    client.publish4(READINGS, 1, REPORT).await;
    assert_eq!(client.puback4().await, 1);
    let mut over_tls = files.connect(stand.addresses.tls.unwrap()).await;
    over_tls.hello4(&hello4("xuan-hoa")).await;
    over_tls.publish4("stations/xuan-hoa/readings", 2, REPORT).await;
    assert_eq!(over_tls.puback4().await, 2);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_half_open_handshake_ends_at_its_deadline() {
    let files = super::peers::certificate();
    let deadline = Duration::from_millis(200);
    let stand = stand_with(Config {
        tls: Some(files.config()),
        tls_handshake_deadline: deadline,
        connect_deadline: deadline,
        ..config()
    });
    for address in [stand.addresses.tls.unwrap(), stand.addresses.plain] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        let read = timeout(PATIENCE, stream.read(&mut byte)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_dropped_and_costs_the_others_nothing() {
    let stand = stand_with(Config { write_deadline: Duration::from_millis(500), ..config() });
    let mut stuck = stand.v4("all").await;
    stuck.send(b"\x82\x0d\0\x01\0\x08latest/#\0").await;
    let mut board = stand.v4("board").await;
    board.subscribe4("latest/#").await;
    let payload = "x".repeat(100_000);
    for number in 0..200_u32 {
        stand.publisher.publish("latest/a/ph", payload.as_bytes(), Keep::Passing);
        let message = board.message4().await;
        assert_eq!(message.payload.len(), payload.len(), "{number}");
        let id = message.pkid;
        board.send(&[0x40, 2, (id >> 8) as u8, id as u8]).await;
    }
    // It takes not a byte, so after the deadline it is gone; what was in the kernel can still be read.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stuck.stream.read_to_end(&mut rest)).await.unwrap();
    assert!(read.is_err() || rest.len() < 200 * payload.len());
}

#[tokio::test]
async fn a_flood_of_pings_without_reading_is_bounded() {
    let stand = stand_with(Config { write_deadline: Duration::from_millis(300), ..config() });
    let mut flood = stand.v4("all").await;
    let pings = [0xC0, 0].repeat(32 * 1024);
    let pouring = async { while flood.stream.write_all(&pings).await.is_ok() {} };
    timeout(PATIENCE, pouring).await.expect("the door drops a client that takes nothing");
    stand.v4("vam-kenh").await.nothing_before_ping4().await;
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let stand = stand_with(Config { connections_per_address_max: 2, ..config() });
    let first = stand.v4("vam-kenh").await;
    let _second = stand.v4("xuan-hoa").await;
    assert_eq!(stand.socket().await.next4().await, None);
    drop(first);
    let connect = b"\x10\x1b\0\x04MQTT\x04\xc2\0\x3c\0\x03all\0\x03all\0\x05a-key";
    let again = async {
        loop {
            let mut raw = stand.socket().await;
            raw.stream.write_all(connect).await.ok();
            if raw.next4().await.is_some() {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("the place is given back");
}
