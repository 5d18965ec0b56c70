//! A mail server for tests: takes e-mails into memory, answers RCPT as it is told, and speaks STARTTLS when it has a
//! certificate. Dropping it hangs up on everybody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What happened at the server.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) mails: Vec<String>,
    pub(crate) connections: usize,
    pub(crate) secured: usize,
    /// Answers to the next RCPTs; 250 when empty.
    pub(crate) answers: VecDeque<&'static str>,
}

/// The mail server.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
    tasks: JoinSet<()>,
}

impl Smtp {
    pub(crate) async fn start() -> Self {
        Self::start_at(0, Arc::default(), None).await
    }

    /// Goes away, and gives back its port.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn start_at(
        port: u16,
        seen: Arc<Mutex<Seen>>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let all = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                all.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&all), tls.clone()));
            }
        });
        Self { port, seen, tasks }
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.lock().unwrap().mails.clone()
    }

    pub(crate) fn answer(&self, answer: &'static str) {
        self.seen.lock().unwrap().answers.push_back(answer);
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>, tls: Option<TlsAcceptor>) {
    let mut wire: BufStream<Box<dyn Wire>> = BufStream::new(Box::new(stream));
    let mut offer_tls = tls.is_some();
    say(&mut wire, "220 sink ESMTP").await;
    let mut line = String::new();
    loop {
        line.clear();
        if wire.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        match line.trim().split(' ').next().unwrap().to_ascii_uppercase().as_str() {
            "EHLO" if offer_tls => say(&mut wire, "250-sink\r\n250 STARTTLS").await,
            "EHLO" => say(&mut wire, "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN").await,
            "STARTTLS" => {
                say(&mut wire, "220 go").await;
                let tls = tls.clone().unwrap();
                let Ok(secure) = tls.accept(wire.into_inner()).await else { return };
                wire = BufStream::new(Box::new(secure));
                seen.lock().unwrap().secured += 1;
                offer_tls = false;
            }
            // "\0user\0right", and nothing else.
            "AUTH" if line.contains("AHVzZXIAcmlnaHQ=") => say(&mut wire, "235 welcome").await,
            "AUTH" => say(&mut wire, "535 wrong").await,
            "RCPT" => {
                let answer = seen.lock().unwrap().answers.pop_front();
                say(&mut wire, answer.unwrap_or("250 ok")).await;
            }
            "DATA" => {
                say(&mut wire, "354 go").await;
                let mail = take(&mut wire).await;
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.mails.push(mail);
                    seen.mails.len()
                };
                say(&mut wire, &format!("250 2.0.0 queued as {number}")).await;
            }
            "QUIT" => return say(&mut wire, "221 bye").await,
            _ => say(&mut wire, "250 ok").await,
        }
    }
}

async fn take(wire: &mut BufStream<Box<dyn Wire>>) -> String {
    let mut mail = String::new();
    let mut line = String::new();
    while wire.read_line(&mut line).await.unwrap_or(0) != 0 && line != ".\r\n" {
        mail.push_str(&line);
        line.clear();
    }
    mail
}

async fn say(wire: &mut BufStream<Box<dyn Wire>>, text: &str) {
    // The other side may be gone; the next read will notice.
    if wire.write_all(format!("{text}\r\n").as_bytes()).await.is_ok() {
        wire.flush().await.ok();
    }
}
