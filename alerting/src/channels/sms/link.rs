//! The bound connection to the SMSC: made before the first message needs it, watched, and mended with a growing
//! pause. Whoever sends waits for it a little; whoever finds it dead says so, and it is made anew.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rusmpp::pdus::{BindTransceiver, DeliverSmResp};
use rusmpp::types::COctetString;
use rusmpp::values::{InterfaceVersion, Npi, Ton};
use rusmpp::{Command, CommandStatus, Pdu};
use rusmppc::{Client, ConnectionBuilder, Event};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::SmsConfig;
use super::receipt::{self, Receipt};

/// TCP to the SMSC. A SYN is repeated after 1 and 3 seconds; a line that needs a third try is not one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A farewell that nobody answers must not hold up the shutdown.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(2);

/// The first pause before connecting again; doubled each time up to the configured longest.
const RECONNECT_FIRST: Duration = Duration::from_millis(250);

/// Receipts recorded at once: they share fsyncs, and 32 in 10 ms are more than any SMSC sends us.
const RECEIPTS_AT_ONCE: usize = 32;

/// The SMSC cannot be reached, or does not let us in.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No TCP connection.
    #[error("cannot connect to the SMSC")]
    Connect(#[source] std::io::Error),
    /// No answer in time.
    #[error("the SMSC does not answer within {0:?}")]
    Timeout(Duration),
    /// It said no to our name, our password or our version.
    #[error("the SMSC refuses the bind: {0:?}")]
    Refused(CommandStatus),
    /// The protocol broke down.
    #[error("the SMSC does not speak SMPP as we do")]
    Protocol(#[source] rusmppc::error::Error),
    /// A value cannot be written in SMPP.
    #[error("the {0} cannot be written in SMPP")]
    BadValue(&'static str),
}

/// A bound connection, as those who send see it.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) client: Client,
    /// The answer to one request.
    pub(super) answer_within: Duration,
    /// One permit per message that may stand unanswered.
    pub(super) window: Arc<Semaphore>,
    /// Cancelled by whoever finds the connection dead.
    pub(super) dead: CancellationToken,
}

/// A connection fresh from its bind.
pub(super) struct Session {
    pub(super) client: Client,
    events: Box<dyn Stream<Item = Event> + Send + Unpin>,
    /// Runs the connection; dropping it ends it.
    connection: JoinSet<()>,
}

/// The connection that is kept.
pub(super) struct Link {
    config: SmsConfig,
    bound: watch::Sender<Option<Bound>>,
}

impl Link {
    pub(super) fn new(config: SmsConfig) -> Self {
        Self { config, bound: watch::Sender::new(None) }
    }

    /// The bound connection; waits for one for so long.
    pub(super) async fn bound(&self, wait: Duration) -> Option<Bound> {
        let mut watch = self.bound.subscribe();
        let bound = timeout(wait, watch.wait_for(Option::is_some)).await.ok()?.ok()?;
        bound.clone()
    }

    /// Keeps the connection until `stop`, and hands over every receipt. A receipt is answered when its handler is
    /// done, so one that a power cut swallows is sent again by the SMSC.
    pub(super) async fn tend<F, Fut>(&self, on_receipt: F, stop: &CancellationToken)
    where
        F: Fn(Receipt) -> Fut,
        Fut: Future<Output = Handled>,
    {
        let mut failures = 0;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                made = connect(&self.config) => match made {
                    Ok(session) => {
                        failures = 0;
                        self.serve(session, &on_receipt, stop).await;
                    }
                    Err(error) => {
                        failures += 1;
                        report(&error, failures);
                    }
                },
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(self.pause(failures)) => {}
            }
        }
    }

    async fn serve<F, Fut>(&self, session: Session, on_receipt: &F, stop: &CancellationToken)
    where
        F: Fn(Receipt) -> Fut,
        Fut: Future<Output = Handled>,
    {
        let Session { client, events, connection: _connection } = session;
        let dead = CancellationToken::new();
        let window = Arc::new(Semaphore::new(self.config.window));
        tracing::info!(host = %self.config.host, port = self.config.port, "bound to the SMSC");
        metrics::gauge!("saltline_sms_link_up").set(1.0);
        self.bound.send_replace(Some(Bound {
            client: client.clone(),
            answer_within: self.config.answer_within,
            window,
            dead: dead.clone(),
        }));
        let pump = events
            .for_each_concurrent(RECEIPTS_AT_ONCE, |event| take(event, &client, &dead, on_receipt));
        let why = tokio::select! {
            () = pump => "hung up",
            () = client.closed() => "closed",
            () = dead.cancelled() => "dead",
            () = stop.cancelled() => {
                farewell(&client).await;
                "stopped"
            }
        };
        self.bound.send_replace(None);
        metrics::gauge!("saltline_sms_link_up").set(0.0);
        metrics::counter!("saltline_sms_link_lost_total", "why" => why).increment(1);
        tracing::warn!(why, "the connection to the SMSC ended");
    }

    fn pause(&self, failures: u32) -> Duration {
        RECONNECT_FIRST.saturating_mul(1 << failures.min(16)).min(self.config.reconnect_longest)
    }
}

/// What became of a receipt at our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handled {
    /// It is recorded, or concerns nobody: the SMSC may forget it.
    Done,
    /// It could not be recorded: the SMSC shall send it again.
    Again,
}

async fn take<F, Fut>(event: Event, client: &Client, dead: &CancellationToken, on_receipt: &F)
where
    F: Fn(Receipt) -> Fut,
    Fut: Future<Output = Handled>,
{
    let command = match event {
        Event::Incoming(command) => command,
        Event::Error(error) => {
            tracing::warn!(%error, "the connection to the SMSC broke");
            dead.cancel();
            return;
        }
    };
    let number = command.sequence_number();
    let answered = match command.pdu() {
        Some(Pdu::DeliverSm(deliver)) => {
            let status = match receipt::read(deliver) {
                Some(receipt) => status(on_receipt(receipt).await),
                None => {
                    metrics::counter!("saltline_sms_incoming_total", "what" => "message")
                        .increment(1);
                    tracing::info!("an SMS from a phone is not read by anybody");
                    CommandStatus::EsmeRok
                }
            };
            client.status(status).deliver_sm_resp(number, DeliverSmResp::default()).await
        }
        Some(Pdu::Unbind) => {
            let answered = client.unbind_resp(number).await;
            dead.cancel();
            answered
        }
        _ => return,
    };
    if let Err(error) = answered {
        tracing::warn!(%error, "an answer to the SMSC could not be sent");
    }
}

const fn status(handled: Handled) -> CommandStatus {
    match handled {
        Handled::Done => CommandStatus::EsmeRok,
        Handled::Again => CommandStatus::EsmeRxTAppn,
    }
}

async fn farewell(client: &Client) {
    match timeout(UNBIND_TIMEOUT, client.unbind()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the SMSC did not take our farewell"),
        Err(_) => tracing::debug!("the SMSC did not answer our farewell"),
    }
}

fn report(error: &LinkError, failures: u32) {
    let why = match error {
        LinkError::Connect(_) => "connect",
        LinkError::Timeout(_) => "timeout",
        LinkError::Refused(_) => "refused",
        LinkError::Protocol(_) => "protocol",
        LinkError::BadValue(_) => "bad_value",
    };
    metrics::counter!("saltline_sms_link_failures_total", "why" => why).increment(1);
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, failures, "no connection to the SMSC");
}

/// Connects and binds as a transceiver.
pub(super) async fn connect(config: &SmsConfig) -> Result<Session, LinkError> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((config.host.as_str(), config.port)))
        .await
        .map_err(|_| LinkError::Timeout(CONNECT_TIMEOUT))?
        .map_err(LinkError::Connect)?;
    stream.set_nodelay(true).map_err(LinkError::Connect)?;
    let (client, events, connection) = ConnectionBuilder::new()
        .enquire_link_interval(config.enquire_every)
        .enquire_link_response_timeout(config.answer_within)
        .response_timeout(config.answer_within)
        // Otherwise the client takes version 5.0 only, and our carriers speak 3.4.
        .disable_interface_version_check()
        .no_spawn()
        .connected(stream);
    let mut tasks = JoinSet::new();
    // At debug level the codec logs every PDU whole: the bind with its password, the SMS with its number. What goes
    // wrong comes out as an event, and is logged by us.
    tasks.spawn(connection.with_subscriber(NoSubscriber::default()));
    let bound = timeout(config.answer_within, client.bind_transceiver(bind(config)?)).await;
    match bound {
        Ok(Ok(_)) => Ok(Session { client, events: Box::new(events), connection: tasks }),
        Ok(Err(rusmppc::error::Error::UnexpectedResponse { response })) => {
            Err(LinkError::Refused(command_status(&response)))
        }
        Ok(Err(error)) => Err(LinkError::Protocol(error)),
        Err(_) => Err(LinkError::Timeout(config.answer_within)),
    }
}

fn command_status(command: &Command) -> CommandStatus {
    command.status()
}

fn bind(config: &SmsConfig) -> Result<BindTransceiver, LinkError> {
    Ok(BindTransceiver::builder()
        .system_id(c_string(&config.system_id, "system_id")?)
        .password(c_string(config.password.reveal(), "password")?)
        .system_type(c_string(&config.system_type, "system_type")?)
        .interface_version(InterfaceVersion::Smpp3_4)
        .addr_ton(Ton::Unknown)
        .addr_npi(Npi::Unknown)
        .address_range(COctetString::empty())
        .build())
}

/// A text as SMPP's zero-ended string.
pub(super) fn c_string<const MIN: usize, const MAX: usize>(
    text: &str,
    what: &'static str,
) -> Result<COctetString<MIN, MAX>, LinkError> {
    COctetString::from_string(text.to_owned()).map_err(|_| LinkError::BadValue(what))
}
