//! A broker of a few lines for tests: speaks MQTT 3.1.1 and 5, writes down what it is told, and misbehaves on request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the broker does with one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledges it.
    Ack,
    /// Takes it, says nothing, and closes the connection.
    Hangup,
    /// MQTT 5: answers with a reason.
    Reason(v5::PubAckReason),
}

/// One publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub client: String,
    pub topic: String,
    pub retain: bool,
    pub payload: String,
    pub answer: Answer,
    pub v5: bool,
}

impl Said {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap()
    }
    pub fn seq(&self) -> u64 {
        self.json()["seq"].as_u64().unwrap()
    }
    pub fn time(&self) -> String {
        self.json()["time"].as_str().unwrap().to_owned()
    }
}

/// A login with its will.
#[derive(Debug, Clone, PartialEq)]
pub struct Knock {
    pub client: String,
    pub user: String,
    pub key: String,
    pub will: (String, String, bool),
}

#[derive(Debug, Default)]
pub struct Book {
    pub said: Vec<Said>,
    pub knocks: Vec<Knock>,
    /// Answers to the next readings; acknowledged when empty.
    pub script: VecDeque<Answer>,
    /// Client, topic and payload that it is told with its next packet.
    pub tell: Vec<(String, String, String)>,
    /// Only this key is right; any where empty.
    pub key: String,
}

pub struct Broker {
    pub at: SocketAddr,
    pub book: Arc<Mutex<Book>>,
    _serving: JoinSet<()>,
}

impl Broker {
    pub async fn open(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::open_with(script, None).await
    }

    pub async fn open_with(
        script: impl IntoIterator<Item = Answer>,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let book =
            Arc::new(Mutex::new(Book { script: script.into_iter().collect(), ..Book::default() }));
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&book);
        serving.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (book, tls) = (Arc::clone(&shared), tls.clone());
                sessions.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, book).await;
                            }
                        }
                        None => {
                            serve(stream, book).await;
                        }
                    }
                });
            }
        });
        Self { at, book, _serving: serving }
    }

    pub fn readings(&self) -> Vec<Said> {
        let book = self.book.lock().unwrap();
        book.said.iter().filter(|s| s.topic.ends_with("/readings")).cloned().collect()
    }

    pub fn acked(&self) -> Vec<Said> {
        self.readings().into_iter().filter(|s| s.answer == Answer::Ack).collect()
    }

    /// Waits for a state, not for a time.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..3_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came to that: {:?}", self.book.lock().unwrap());
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    book: Arc<Mutex<Book>>,
) -> Option<()> {
    let mut inbox = BytesMut::new();
    // The protocol level stands in the ninth byte of a short CONNECT, or the tenth of a longer one.
    while inbox.len() < 12 {
        if stream.read_buf(&mut inbox).await.ok()? == 0 {
            return None;
        }
    }
    let head = if inbox[1] & 0x80 == 0 { 2 } else { 3 };
    let is_v5 = inbox[head + 6] == 5;
    let mut client = String::new();
    loop {
        let mut out = BytesMut::new();
        let hangup = if is_v5 {
            let packet = match v5::Packet::read(&mut inbox, None) {
                Ok(packet) => Some(packet),
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => None,
                Err(_) => return None,
            };
            packet.map(|packet| answer_v5(packet, &book, &mut client, &mut out))
        } else {
            let packet = match v4::Packet::read(&mut inbox, 1 << 20) {
                Ok(packet) => Some(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => None,
                Err(_) => return None,
            };
            packet.map(|packet| answer_v4(packet, &book, &mut client, &mut out))
        };
        match hangup {
            Some(hangup) => {
                stream.write_all(&out).await.ok()?;
                stream.flush().await.ok()?;
                if hangup {
                    return None;
                }
            }
            None => {
                if stream.read_buf(&mut inbox).await.ok()? == 0 {
                    return None;
                }
            }
        }
    }
}

fn answer_v4(
    packet: v4::Packet,
    book: &Mutex<Book>,
    client: &mut String,
    out: &mut BytesMut,
) -> bool {
    let mut book = book.lock().unwrap();
    match packet {
        v4::Packet::Connect(connect) => {
            let login = connect.login.unwrap_or(v4::Login::new("", ""));
            let right = book.key.is_empty() || book.key == login.password;
            client.clone_from(&connect.client_id);
            if let Some(will) = connect.last_will {
                let message = String::from_utf8_lossy(&will.message).into_owned();
                book.knocks.push(Knock {
                    client: connect.client_id,
                    user: login.username,
                    key: login.password,
                    will: (will.topic, message, will.retain),
                });
            }
            let code = if right {
                v4::ConnectReturnCode::Success
            } else {
                v4::ConnectReturnCode::NotAuthorized
            };
            v4::ConnAck::new(code, false).write(out).unwrap();
            !right
        }
        v4::Packet::Publish(publish) => {
            let answer = book.note(client, publish.topic, publish.retain, &publish.payload, false);
            if answer == Answer::Ack {
                v4::PubAck::new(publish.pkid).write(out).unwrap();
            }
            if let Some((topic, payload)) = book.told(client) {
                let mut told =
                    v4::Publish::new(topic, rumqttc::mqttbytes::QoS::AtLeastOnce, payload);
                told.pkid = 1;
                told.write(out).unwrap();
            }
            answer == Answer::Hangup
        }
        v4::Packet::PingReq => {
            v4::PingResp.write(out).unwrap();
            false
        }
        _ => false,
    }
}

fn answer_v5(
    packet: v5::Packet,
    book: &Mutex<Book>,
    client: &mut String,
    out: &mut BytesMut,
) -> bool {
    let mut book = book.lock().unwrap();
    match packet {
        v5::Packet::Connect(connect, will, login) => {
            let login = login.unwrap_or(v5::Login::new("", ""));
            client.clone_from(&connect.client_id);
            if let Some(will) = will {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                book.knocks.push(Knock {
                    client: connect.client_id,
                    user: login.username,
                    key: login.password,
                    will: (text(&will.topic), text(&will.message), will.retain),
                });
            }
            let code = v5::ConnectReturnCode::Success;
            v5::ConnAck { session_present: false, code, properties: None }.write(out).unwrap();
            false
        }
        v5::Packet::Publish(publish) => {
            let topic = String::from_utf8_lossy(&publish.topic).into_owned();
            let answer = book.note(client, topic, publish.retain, &publish.payload, true);
            let reason = match answer {
                Answer::Ack => v5::PubAckReason::Success,
                Answer::Reason(reason) => reason,
                Answer::Hangup => return true,
            };
            v5::PubAck { pkid: publish.pkid, reason, properties: None }.write(out).unwrap();
            if let Some((topic, payload)) = book.told(client) {
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                let mut told = v5::Publish::new(topic, qos, payload, None);
                told.pkid = 1;
                told.write(out).unwrap();
            }
            false
        }
        v5::Packet::PingReq(_) => {
            v5::PingResp::write(out).unwrap();
            false
        }
        _ => false,
    }
}

impl Book {
    fn told(&mut self, client: &str) -> Option<(String, String)> {
        let at = self.tell.iter().position(|(to, ..)| to == client)?;
        let (_, topic, payload) = self.tell.remove(at);
        Some((topic, payload))
    }

    fn note(
        &mut self,
        client: &str,
        topic: String,
        retain: bool,
        payload: &[u8],
        v5: bool,
    ) -> Answer {
        let scripted = topic.ends_with("/readings").then(|| self.script.pop_front()).flatten();
        let answer = scripted.unwrap_or(Answer::Ack);
        let payload = String::from_utf8_lossy(payload).into_owned();
        self.said.push(Said { client: client.to_owned(), topic, retain, payload, answer, v5 });
        answer
    }
}
