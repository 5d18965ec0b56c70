//! A notice becomes an e-mail: plain text in UTF-8, marked as sent by a machine, named after the notice so that a
//! second copy can be told from a second message, threaded by its alert.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::{Error as SmtpError, response::Response};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::timeout;

use domain::Notice;

use super::EmailConfig;
use crate::channels::{Accepted, BadUrl, NotSent, Setback};

/// One whole e-mail: connect, secure, log in, send, answer. Three commands at their longest.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// The way out to a mail server.
pub(crate) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Email {
    pub(crate) fn new(config: &EmailConfig) -> Result<Self, BadUrl> {
        Ok(Self { transport: config.transport()?, from: config.from.clone() })
    }

    /// Hands the notice to the mail server.
    pub(crate) async fn send(&self, notice: &Notice) -> Result<Accepted, NotSent> {
        let message = compose(notice, &self.from)?;
        match timeout(SEND_TIMEOUT, self.transport.send(message)).await {
            Err(_) => Err(NotSent::later(Setback::Away, "no answer within 60 s")),
            Ok(Err(error)) => Err(not_sent(&error)),
            Ok(Ok(answer)) => Ok(Accepted { references: vec![reference(notice, &answer)] }),
        }
    }

    /// Says goodbye on all connections that are kept.
    pub(crate) async fn close(&self) {
        self.transport.shutdown().await;
    }
}

/// What the server called it (its queue's id stands in the text of its answer), or else its answer's code.
fn reference(notice: &Notice, answer: &Response) -> String {
    let text: String = answer.message().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if text.is_empty() { notice.id.to_string() } else { text }
}

/// What comes next after an SMTP error. A refused login is our configuration, not this notice's fault: it can be
/// mended while the notice waits. 421 closes the channel (RFC 5321 §3.8).
fn not_sent(error: &SmtpError) -> NotSent {
    let detail = chain(error);
    let Some(code) = error.status().map(u16::from) else {
        return match error.is_client() {
            true => NotSent::never(detail),
            false => NotSent::later(Setback::Away, detail),
        };
    };
    match code {
        421 | 454 | 530 | 534 | 535 | 538 => NotSent::later(Setback::Away, detail),
        _ if error.is_permanent() => NotSent::never(detail),
        _ => NotSent::later(Setback::Busy, detail),
    }
}

fn chain(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn compose(notice: &Notice, from: &Mailbox) -> Result<Message, NotSent> {
    let to: Mailbox = notice
        .address
        .parse()
        .map_err(|_| NotSent::never(format!("`{}` is not an e-mail address", notice.address)))?;
    let domain = from.email.domain();
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(notice.subject.clone())
        .date(SystemTime::UNIX_EPOCH + since_epoch(notice))
        .message_id(Some(format!("<{}@{domain}>", name(notice.id.as_str()))))
        .references(format!("<{}@{domain}>", name(notice.alert.as_str())))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .body(notice.body.clone())
        .map_err(|why| NotSent::never(format!("cannot be written as an e-mail: {why}")))
}

fn since_epoch(notice: &Notice) -> Duration {
    Duration::from_millis(u64::try_from(notice.made_at.as_millis()).unwrap_or(0))
}

/// Ids hold a-z, 0-9 and `. - _`. A dot may not stand at an end or beside another in a Message-ID (RFC 5322 §3.2.3);
/// `=` may, and stands in no id.
fn name(id: &str) -> String {
    id.replace('.', "=")
}

/// RFC 3834: sent by a machine, so that no other machine answers.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
