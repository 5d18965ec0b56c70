//! A broker that does what a test says: the packets of MQTT 3.1.1 and 5 with rumqttc's codec, both written by hand.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use ingest::upstream::Version;
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as bytes5, v5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::stand::PATIENCE;

pub struct Broker {
    listener: TcpListener,
    version: Version,
}

/// What the client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Connect {
        client_id: String,
        clean: bool,
        login: Option<(String, String)>,
    },
    Subscribe {
        filters: Vec<String>,
        qos: u8,
    },
    PubAck(u16),
    Ping,
    Disconnect,
    /// The connection is closed.
    End,
}

pub struct Link {
    stream: TcpStream,
    read: BytesMut,
    version: Version,
}

impl Broker {
    pub async fn bind(version: Version) -> (Self, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        (Self { listener, version }, at)
    }

    /// The next connection, before anything is said on it.
    pub async fn accept(&self) -> Link {
        let accepted = timeout(PATIENCE, self.listener.accept()).await.expect("a connection");
        Link { stream: accepted.unwrap().0, read: BytesMut::new(), version: self.version }
    }

    /// The next connection, let in and subscribed.
    pub async fn welcome(&self, session_present: bool) -> Link {
        let mut link = self.accept().await;
        assert!(matches!(link.hear().await, Heard::Connect { clean: false, .. }));
        link.connack(session_present).await;
        let Heard::Subscribe { filters, qos } = link.hear().await else { panic!("SUBSCRIBE") };
        assert_eq!(qos, 1);
        link.suback(&vec![1; filters.len()]).await;
        link
    }
}

impl Link {
    pub async fn hear(&mut self) -> Heard {
        timeout(PATIENCE, self.next()).await.expect("a packet")
    }

    async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.read() {
                return heard;
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return Heard::End,
                Ok(_) => (),
            }
        }
    }

    fn read(&mut self) -> Option<Heard> {
        // DISCONNECT and PINGREQ are the same in both, and the codec of 5 does not know an empty DISCONNECT.
        if self.read.starts_with(&[0xE0, 0]) {
            drop(self.read.split_to(2));
            return Some(Heard::Disconnect);
        }
        match self.version {
            Version::V311 => match v4::Packet::read(&mut self.read, 1 << 20) {
                Ok(v4::Packet::Connect(it)) => Some(Heard::Connect {
                    client_id: it.client_id,
                    clean: it.clean_session,
                    login: it.login.map(|it| (it.username, it.password)),
                }),
                Ok(v4::Packet::Subscribe(it)) => Some(Heard::Subscribe {
                    qos: it.filters[0].qos as u8,
                    filters: it.filters.into_iter().map(|it| it.path).collect(),
                }),
                Ok(v4::Packet::PubAck(it)) => Some(Heard::PubAck(it.pkid)),
                Ok(v4::Packet::PingReq) => Some(Heard::Ping),
                Ok(other) => panic!("{other:?}"),
                Err(mqttbytes::Error::InsufficientBytes(_)) => None,
                Err(error) => panic!("{error}"),
            },
            Version::V5 => match v5::Packet::read(&mut self.read, None) {
                Ok(v5::Packet::Connect(it, _, login)) => {
                    let properties = it.properties.unwrap();
                    assert_eq!(properties.session_expiry_interval, Some(3_600));
                    assert_eq!(properties.max_packet_size, Some(16 * 1024));
                    Some(Heard::Connect {
                        client_id: it.client_id,
                        clean: it.clean_start,
                        login: login.map(|it| (it.username, it.password)),
                    })
                }
                Ok(v5::Packet::Subscribe(it)) => Some(Heard::Subscribe {
                    qos: it.filters[0].qos as u8,
                    filters: it.filters.into_iter().map(|it| it.path).collect(),
                }),
                Ok(v5::Packet::PubAck(it)) => Some(Heard::PubAck(it.pkid)),
                Ok(v5::Packet::PingReq(_)) => Some(Heard::Ping),
                Ok(other) => panic!("{other:?}"),
                Err(bytes5::Error::InsufficientBytes(_)) => None,
                Err(error) => panic!("{error}"),
            },
        }
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        // The client may have hung up already, which is what some tests want.
        self.stream.write_all(bytes).await.ok();
    }

    pub async fn connack(&mut self, session_present: bool) {
        let flag = u8::from(session_present);
        match self.version {
            Version::V311 => self.say(&[0x20, 2, flag, 0]).await,
            Version::V5 => self.say(&[0x20, 3, flag, 0, 0]).await,
        }
    }

    pub async fn suback(&mut self, codes: &[u8]) {
        let properties: &[u8] = if self.version == Version::V5 { &[0] } else { &[] };
        let length = u8::try_from(2 + properties.len() + codes.len()).unwrap();
        self.say(&[&[0x90, length, 0, 1][..], properties, codes].concat()).await;
    }

    pub async fn publish(&mut self, topic: &str, payload: impl Into<Bytes>, id: u16, qos: u8) {
        self.say(&publish(self.version, topic, payload, id, qos)).await;
    }
}

pub fn publish(
    version: Version,
    topic: &str,
    payload: impl Into<Bytes>,
    id: u16,
    qos: u8,
) -> BytesMut {
    let mut out = BytesMut::new();
    match version {
        Version::V311 => {
            let qos = mqttbytes::qos(qos).unwrap();
            let mut publish = v4::Publish::from_bytes(topic, qos, payload.into());
            publish.pkid = id;
            publish.write(&mut out).unwrap();
        }
        Version::V5 => {
            let qos = bytes5::qos(qos).unwrap();
            let mut publish = v5::Publish::new(topic, qos, payload.into(), None);
            publish.pkid = id;
            publish.write(&mut out).unwrap();
        }
    }
    out
}
