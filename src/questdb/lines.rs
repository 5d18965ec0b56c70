//! Readings on their way: one row each, in the line protocol of QuestDB's own client, a batch in one request.

use domain::{Flag, Timestamp};
use questdb::ErrorCode;
use questdb::ingress::{
    Buffer, CertificateAuthority, Protocol, Sender, SenderBuilder, TimestampMicros,
};

use super::config::{Config, Login};
use super::http::shortened;
use super::trouble::Trouble;

/// Times that a designated timestamp can have: 1970 to 9999.
const TIMES: std::ops::Range<i64> = 0..253_402_300_800_000;

/// One reading and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) station: &'a str,
    pub(super) parameter: &'a str,
    pub(super) taken_at: Timestamp,
    pub(super) received_at: Timestamp,
    pub(super) position: u64,
    pub(super) value: Option<f64>,
    pub(super) flag: Flag,
}

/// Gathers a batch and sends it.
pub(super) struct Lines {
    sender: Sender,
    batch: Buffer,
    table: String,
}

impl Lines {
    /// Asks QuestDB which version of the protocol it speaks.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) fn connect(config: &Config) -> Result<Self, Trouble> {
        let sender = sender(config).map_err(|error| trouble(&error))?;
        Ok(Self { batch: sender.new_buffer(), sender, table: config.table.clone() })
    }

    /// Readings in the batch.
    pub(super) fn len(&self) -> usize {
        self.batch.row_count()
    }

    /// Adds one reading; false where QuestDB cannot keep such a one, which is counted.
    ///
    /// # Errors
    /// [`Trouble::Refused`] where the client does not take a name.
    pub(super) fn add(&mut self, line: &Line<'_>) -> Result<bool, Trouble> {
        let why = match line.value {
            Some(value) if !value.is_finite() => Some("not_finite"),
            _ if !TIMES.contains(&line.taken_at.as_millis()) => Some("time"),
            _ => None,
        };
        if let Some(why) = why {
            metrics::counter!("saltline_questdb_left_out_total", "reason" => why).increment(1);
            tracing::warn!(
                station = line.station, parameter = line.parameter, taken_at = %line.taken_at, why,
                "a reading is not in QuestDB, which cannot keep it"
            );
            return Ok(false);
        }
        self.put(line).map_err(|error| trouble(&error))?;
        Ok(true)
    }

    fn put(&mut self, line: &Line<'_>) -> questdb::Result<()> {
        let batch = &mut self.batch;
        batch.table(self.table.as_str())?;
        batch.symbol("station", line.station)?.symbol("parameter", line.parameter)?;
        if let Some(value) = line.value {
            batch.column_f64("value", value)?;
        }
        let micros = |at: Timestamp| TimestampMicros::new(at.as_millis().saturating_mul(1_000));
        batch
            .column_i64("flag", i64::from(line.flag.number()))?
            .column_ts("received_at", micros(line.received_at))?
            .column_i64("position", i64::try_from(line.position).unwrap_or(i64::MAX))?
            .at(micros(line.taken_at))
    }

    /// Sends the batch in one transaction and returns how many readings it had. It stays where that fails.
    ///
    /// # Errors
    /// [`Trouble::Away`], [`Trouble::Timeout`], [`Trouble::Login`], [`Trouble::Refused`].
    pub(super) fn send(&mut self) -> Result<usize, Trouble> {
        let readings = self.len();
        if 0 < readings {
            let began = std::time::Instant::now();
            self.sender
                .flush_and_keep_with_flags(&self.batch, true)
                .map_err(|error| trouble(&error))?;
            metrics::histogram!("saltline_questdb_batch_seconds")
                .record(began.elapsed().as_secs_f64());
            metrics::counter!("saltline_questdb_sent_total").increment(readings as u64);
            self.batch.clear();
        }
        Ok(readings)
    }

    /// Forgets the batch.
    pub(super) fn clear(&mut self) {
        self.batch.clear();
    }
}

fn sender(config: &Config) -> questdb::Result<Sender> {
    let protocol = if config.tls.is_some() { Protocol::Https } else { Protocol::Http };
    let mut sender = SenderBuilder::new(protocol, config.host.as_str(), config.port)
        .user_agent(concat!("saltline/", env!("CARGO_PKG_VERSION")))?
        .request_timeout(config.timeout)?
        // Tried again by the follower, which counts it.
        .retry_timeout(std::time::Duration::ZERO)?;
    sender = match &config.login {
        Login::Open => sender,
        Login::Password { user, password } => sender.username(user)?.password(password)?,
        Login::Token(token) => sender.token(token)?,
    };
    sender = match &config.tls {
        None => sender,
        Some(tls) => match &tls.authorities {
            Some(path) => sender.tls_roots(path)?,
            None => sender.tls_ca(CertificateAuthority::OsRoots)?,
        },
    };
    sender.build()
}

fn trouble(error: &questdb::Error) -> Trouble {
    let words = shortened(error.msg());
    match error.code() {
        ErrorCode::AuthError => Trouble::Login,
        // The client tells a timeout from a broken connection in its words alone.
        ErrorCode::SocketError if words.contains("timeout") => Trouble::Timeout,
        ErrorCode::SocketError | ErrorCode::CouldNotResolveAddr | ErrorCode::TlsError => {
            Trouble::Away(words)
        }
        ErrorCode::ProtocolVersionError | ErrorCode::HttpNotSupported => Trouble::Answer(words),
        _ => Trouble::Refused(words),
    }
}
