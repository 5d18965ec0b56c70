//! An SMSC for tests, on the codec alone: takes SMS into memory, answers as it is told, reports when asked. Dropping
//! it hangs up on everybody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use rusmpp::pdus::{BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::EsmClass;
use rusmpp::{Command, CommandStatus, Pdu};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::codec::Framed;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

/// What happened at the SMSC.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) taken: Vec<SubmitSm>,
    pub(crate) binds: usize,
    /// Answers to the next submits; ESME_ROK when empty.
    pub(crate) answers: VecDeque<CommandStatus>,
    /// Answers to our receipts.
    pub(crate) acknowledged: Vec<CommandStatus>,
    /// Submits that are swallowed without an answer.
    pub(crate) swallow: usize,
}

/// The SMSC: message ids are 0x0000000A, 0x0000000B, …
pub(crate) struct Smsc {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
    reports: broadcast::Sender<String>,
    tasks: JoinSet<()>,
}

impl Smsc {
    pub(crate) async fn start() -> Self {
        Self::start_at(0, Arc::default()).await
    }

    /// Goes away, and gives back its port.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn start_at(port: u16, seen: Arc<Mutex<Seen>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let reports = broadcast::Sender::new(16);
        let mut tasks = JoinSet::new();
        let (all, report) = (Arc::clone(&seen), reports.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let serve = serve(stream, Arc::clone(&all), report.subscribe());
                // Its log would show what ours must not.
                connections.spawn(serve.with_subscriber(NoSubscriber::default()));
            }
        });
        Self { port, seen, reports, tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("smpp://saltline:secret@127.0.0.1:{}", self.port)
    }

    pub(crate) fn taken(&self) -> Vec<SubmitSm> {
        self.seen.lock().unwrap().taken.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let text =
            |sm: &SubmitSm| String::from_utf8_lossy(sm.short_message().as_ref()).into_owned();
        self.taken().iter().map(text).collect()
    }

    pub(crate) fn answer(&self, status: CommandStatus) {
        self.seen.lock().unwrap().answers.push_back(status);
    }

    /// Reports on a message, in the words of appendix B.
    pub(crate) fn report(&self, id: &str, stat: &str) {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2603120500 done date:2603120501 stat:{stat} err:000 text:CANH BAO"
        );
        self.reports.send(text).unwrap();
    }
}

async fn serve(
    stream: TcpStream,
    seen: Arc<Mutex<Seen>>,
    mut reports: broadcast::Receiver<String>,
) {
    let mut wire = Framed::new(stream, CommandCodec::new());
    let mut number = 2;
    loop {
        let answer = tokio::select! {
            command = wire.next() => match command {
                Some(Ok(command)) => answer(&command, &seen),
                _ => return,
            },
            Ok(text) = reports.recv() => {
                number += 2;
                Some(deliver(&text, number))
            }
        };
        if let Some(answer) = answer
            && wire.send(&answer).await.is_err()
        {
            return;
        }
    }
}

fn answer(command: &Command, seen: &Mutex<Seen>) -> Option<Command> {
    let mut seen = seen.lock().unwrap();
    let reply = |status, pdu: Pdu| {
        Some(Command::builder().status(status).sequence_number(command.sequence_number()).pdu(pdu))
    };
    match command.pdu()? {
        Pdu::BindTransceiver(bind) if bind.password.as_str() == "secret" => {
            seen.binds += 1;
            reply(CommandStatus::EsmeRok, BindTransceiverResp::default().into())
        }
        Pdu::BindTransceiver(_) => {
            reply(CommandStatus::EsmeRbindfail, BindTransceiverResp::default().into())
        }
        Pdu::SubmitSm(_) if 0 < seen.swallow => {
            seen.swallow -= 1;
            None
        }
        Pdu::SubmitSm(message) => {
            let status = seen.answers.pop_front().unwrap_or(CommandStatus::EsmeRok);
            let mut id = String::new();
            if status == CommandStatus::EsmeRok {
                seen.taken.push(message.clone());
                id = format!("{:08X}", 9 + seen.taken.len());
            }
            let id = COctetString::from_string(id).unwrap();
            reply(status, SubmitSmResp::builder().message_id(id).build().into())
        }
        Pdu::DeliverSmResp(_) => {
            seen.acknowledged.push(command.status());
            None
        }
        Pdu::EnquireLink => reply(CommandStatus::EsmeRok, Pdu::EnquireLinkResp),
        Pdu::Unbind => reply(CommandStatus::EsmeRok, Pdu::UnbindResp),
        _ => None,
    }
}

fn deliver(text: &str, number: u32) -> Command {
    let deliver = DeliverSm::builder()
        .esm_class(EsmClass::from(0x04))
        .short_message(OctetString::from_string(text.to_owned()).unwrap())
        .build();
    Command::builder().status(CommandStatus::EsmeRok).sequence_number(number).pdu(deliver)
}
