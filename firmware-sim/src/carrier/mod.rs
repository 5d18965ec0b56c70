//! The other side of the phone: a mail server and a short-message centre that take everything, answer as carriers do,
//! and say in one line of JSON what they were given. For demonstrations and tests; it keeps nothing and sends nothing on.

mod smtp; // takes e-mail
mod smpp; // takes short messages, sends receipts
mod message; // what was in a short message
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections to each server at once: an engine holds a handful; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Messages that may wait to be printed before the servers stop reading.
pub const HEARD_MAX: usize = 1_024;

/// What the carrier was given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Heard {
    /// A short message, all its parts joined.
    Sms {
        /// Whom it is for.
        to: String,
        /// Who it says it is from.
        from: String,
        /// What it says.
        text: String,
        /// In how many parts it came.
        parts: u8,
    },
    /// An e-mail.
    Email {
        /// Whom it is for, as the envelope says.
        to: Vec<String>,
        /// Who it is from, as the envelope says.
        from: String,
        /// Its subject, decoded.
        subject: String,
        /// Its text, decoded.
        body: String,
    },
}

/// The two servers.
#[derive(Debug)]
pub struct Carrier {
    /// Where e-mail comes in.
    pub smtp: TcpListener,
    /// Where short messages come in.
    pub smpp: TcpListener,
    /// How long after a submit its delivery receipt follows.
    pub receipt_after: Duration,
}

impl Carrier {
    /// Serves until told to stop; what comes in goes to `heard`.
    pub async fn serve(
        self,
        clock: Arc<dyn Clock>,
        heard: mpsc::Sender<Heard>,
        stop: CancellationToken,
    ) {
        let centre = Arc::new(smpp::Centre::new(self.receipt_after, clock, heard.clone()));
        let mail = accept(self.smtp, "smtp", &stop, |stream| smtp::serve(stream, heard.clone()));
        let sms = accept(self.smpp, "smpp", &stop, |stream| {
            let centre = Arc::clone(&centre);
            async move { centre.serve(stream).await }
        });
        tokio::join!(mail, sms);
    }
}

/// Accepts connections while there are permits, each in a task of its own, until told to stop.
async fn accept<F>(
    listener: TcpListener,
    what: &'static str,
    stop: &CancellationToken,
    serve: impl Fn(tokio::net::TcpStream) -> F,
) where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut sessions = JoinSet::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = sessions.join_next() => {}
            (accepted, permit) = next => match accepted {
                Ok((stream, peer)) => {
                    tracing::debug!(what, %peer, "connection");
                    let session = serve(stream);
                    sessions.spawn(async move {
                        let _held = permit;
                        if let Err(error) = session.await {
                            tracing::debug!(what, %peer, %error, "connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(what, %error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}
