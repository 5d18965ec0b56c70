//! Clients that we did not write: rumqttc in both versions, and TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::mqtt::{Config, TlsConfig};
use rumqttc::v5;
use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Packet, QoS};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::stand::*;

/// A certificate for `localhost` that signed itself, in a folder of its own.
pub struct Certificate {
    dir: tempfile::TempDir,
    der: rustls_pki_types::CertificateDer<'static>,
}

pub fn certificate() -> Certificate {
    let dir = tempfile::tempdir().unwrap();
    let der = write_pair(&dir);
    Certificate { dir, der }
}

fn write_pair(dir: &tempfile::TempDir) -> rustls_pki_types::CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

impl Certificate {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> TlsConfig {
        TlsConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
            crl: None,
        }
    }

    pub async fn try_connect(&self, to: SocketAddr) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(to).await.unwrap();
        Ok(Raw::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    pub async fn connect(&self, to: SocketAddr) -> Raw<TlsStream<TcpStream>> {
        self.try_connect(to).await.unwrap()
    }
}

#[tokio::test]
async fn over_tls_everything_is_the_same_and_the_certificate_can_be_renewed() {
    let mut files = certificate();
    let stand = stand_with(Config { tls: Some(files.config()), ..config() });
    let tls = stand.addresses.tls.unwrap();
    let mut older = files.connect(tls).await;
    older.hello4(&hello4("vam-kenh")).await;
    older.publish4("stations/vam-kenh/readings", 1, REPORT).await;
    assert_eq!(older.puback4().await, 1);

    files.der = write_pair(&files.dir);
    assert!(files.try_connect(tls).await.is_err());
    stand.reloader.reload().unwrap();
    let mut newer = files.connect(tls).await;
    newer.hello4(&hello4("xuan-hoa")).await;
    older.publish4("stations/vam-kenh/readings", 2, REPORT).await;
    assert_eq!(older.puback4().await, 2);

    // A file that cannot be used changes nothing.
    std::fs::write(files.path("key.pem"), "not a key").unwrap();
    stand.reloader.reload().unwrap_err();
    files.connect(tls).await.hello4(&hello4("all")).await;
}

#[tokio::test]
async fn rumqttc_publishes_subscribes_and_leaves_a_will_with_3_1_1() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    let mut options = MqttOptions::new("vam-kenh", "127.0.0.1", stand.addresses.plain.port());
    options.set_credentials("vam-kenh", KEY).set_keep_alive(Duration::from_secs(5));
    let will = LastWill::new("stations/vam-kenh/state", "offline", QoS::AtLeastOnce, true);
    options.set_last_will(will);
    let (client, mut events) = AsyncClient::new(options, 32);
    client.subscribe("stations/vam-kenh/#", QoS::AtLeastOnce).await.unwrap();
    client.publish("stations/vam-kenh/state", QoS::AtLeastOnce, true, "online").await.unwrap();
    for _ in 0..10 {
        let readings = "stations/vam-kenh/readings";
        client.publish(readings, QoS::AtLeastOnce, false, REPORT).await.unwrap();
    }
    let (mut acks, mut messages) = (0, 0);
    while acks < 11 || messages < 11 {
        match timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            Event::Incoming(Packet::PubAck(_)) => acks += 1,
            Event::Incoming(Packet::Publish(_)) => messages += 1,
            _ => (),
        }
    }
    assert_eq!(stand.journal.durable_end(), 10);
    drop(events);
    assert_eq!(board.message4().await.payload, "online");
    assert_eq!(board.message4().await.payload, "offline");
}

#[tokio::test]
async fn rumqttc_publishes_and_subscribes_with_5_0() {
    let stand = stand();
    let port = stand.addresses.plain.port();
    let mut options = v5::MqttOptions::new("vam-kenh", "127.0.0.1", port);
    options.set_credentials("vam-kenh", KEY);
    let (client, mut events) = v5::AsyncClient::new(options, 32);
    let at_least_once = v5::mqttbytes::QoS::AtLeastOnce;
    client.subscribe("stations/vam-kenh/readings", at_least_once).await.unwrap();
    for _ in 0..10 {
        let readings = "stations/vam-kenh/readings";
        client.publish(readings, at_least_once, false, REPORT).await.unwrap();
    }
    let (mut acks, mut messages) = (0, 0);
    while acks < 10 || messages < 10 {
        match timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            v5::Event::Incoming(v5::Incoming::PubAck(_)) => acks += 1,
            v5::Event::Incoming(v5::Incoming::Publish(_)) => messages += 1,
            _ => (),
        }
    }
    assert_eq!(stand.journal.durable_end(), 10);
}

/// Exactly once with a client that we did not write: it subscribes to its own words.
#[tokio::test]
async fn rumqttc_says_and_hears_everything_once_with_qos_2() {
    let stand = stand();
    let mut options = MqttOptions::new("vam-kenh", "127.0.0.1", stand.addresses.plain.port());
    options.set_credentials("vam-kenh", KEY);
    let (client, mut events) = AsyncClient::new(options, 64);
    client.subscribe("stations/vam-kenh/#", QoS::ExactlyOnce).await.unwrap();
    for number in 0..30 {
        let topic = "stations/vam-kenh/log";
        client.publish(topic, QoS::ExactlyOnce, false, format!("{number}")).await.unwrap();
    }
    let (mut completed, mut heard) = (0, Vec::new());
    while completed < 30 || heard.len() < 30 {
        match timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            Event::Incoming(Packet::PubComp(_)) => completed += 1,
            Event::Incoming(Packet::Publish(publish)) => heard.push(publish.payload),
            _ => (),
        }
    }
    let expected: Vec<_> = (0..30).map(|number| format!("{number}")).collect();
    assert_eq!(heard, expected);
}
