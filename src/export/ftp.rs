//! A server that is reached over FTP, plain or with TLS: a connection for each batch, passive, each file under another
//! name until the server has said that it has all of it.

use std::future::Future;
use std::time::Duration;

use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream};
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpResult};

use super::config::Ftp;
use super::{Came, Page};

/// Sends pages, the first first.
pub(super) async fn put(to: &Ftp, pages: &[Page], patience: Duration) -> Came {
    let mut server = match within(patience, enter(to)).await {
        Ok(server) => server,
        Err(why) => return Came::away(0, why),
    };
    let mut made = Vec::new();
    for (done, page) in pages.iter().enumerate() {
        if let Err(failure) = within(patience, put_one(&mut server, page, &mut made)).await {
            return match failure {
                Failure::Answered(why) => Came::refused(done, why),
                failure => Came::away(done, failure),
            };
        }
    }
    // Everything is there; whether the server hears the farewell makes no difference.
    drop(within(patience, async { Ok(server.quit().await?) }).await);
    Came::all(pages.len())
}

/// Why a step did not end well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The server answered no.
    #[error("{0}")]
    Answered(String),
    /// The connection did not serve.
    #[error("{0}")]
    Lost(String),
    /// Nothing came in time.
    #[error("it took longer than {} s", .0.as_secs())]
    Late(Duration),
}

impl From<FtpError> for Failure {
    fn from(error: FtpError) -> Self {
        match error {
            FtpError::UnexpectedResponse(response) => Self::Answered(response.to_string()),
            error => Self::Lost(error.to_string()),
        }
    }
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(patience, step).await.unwrap_or(Err(Failure::Late(patience)))
}

async fn enter(to: &Ftp) -> Result<AsyncRustlsFtpStream, Failure> {
    let mut server = AsyncRustlsFtpStream::connect((to.host.as_str(), to.port)).await?;
    if let Some(tls) = &to.tls {
        let connector =
            ingest::upstream::connector(tls).map_err(|error| Failure::Lost(error.to_string()))?;
        server = server.into_secure(AsyncRustlsConnector::from(connector), &to.host).await?;
    }
    server.login(to.user.as_str(), to.password.as_str()).await?;
    server.transfer_type(FileType::Binary).await?;
    if !to.folder.is_empty() {
        server.cwd(&to.folder).await?;
    }
    Ok(server)
}

async fn put_one(
    server: &mut AsyncRustlsFtpStream,
    page: &Page,
    made: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut folder = String::new();
    for part in page.folder.split('/').filter(|part| !part.is_empty()) {
        folder = if folder.is_empty() { part.to_owned() } else { format!("{folder}/{part}") };
        if !made.contains(&folder) {
            // It may stand there already; if it does not, the file is refused.
            may_be_refused(server.mkdir(&folder).await)?;
            made.push(folder.clone());
        }
    }
    let (unfinished, path) = (page.unfinished(), page.path());
    server.put_file(&unfinished, &mut page.text.as_bytes()).await?;
    if server.rename(&unfinished, &path).await.is_ok() {
        return Ok(());
    }
    // Some servers rename over nothing that stands there: a slot that was corrected.
    may_be_refused(server.rm(&path).await)?;
    Ok(server.rename(&unfinished, &path).await?)
}

fn may_be_refused(answer: FtpResult<()>) -> Result<(), Failure> {
    match answer.map_err(Failure::from) {
        Ok(()) | Err(Failure::Answered(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}
