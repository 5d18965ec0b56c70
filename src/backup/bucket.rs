//! Backups in a bucket of an S3-compatible store, in the form of a folder of backups: the same names, the same contents.
//!
//! A bucket has no lock that dies with its holder, so nothing here needs one. Contents are named by their digest and
//! only added, so backups of several machines may be made at once. Only pruning takes away, and it gives notice first:
//! a content that no backup names is marked (`garbage/DIGEST`), and goes with a pruning [`NOTICE`] later if it still is.
//! A backup takes what is marked for gone: it takes the mark away and sends the content again. So a backup counts only
//! on what was not marked when it began, and has named it before it could go.
//!
//! Requests go through `ureq`, which is here already, on a thread that waits for them: backups are commands, and one
//! request at a time is all that they make.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::Clock;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::path::Path as Key;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};

use super::repository::{BACKUPS, MARK, OBJECTS};
use super::{BackupError, Pruned};
use crate::clock::SystemClock;

/// How long a content that no backup names stays after it was marked. A backup must be made within it: the first one of a
/// large province takes minutes.
const NOTICE: Duration = Duration::from_secs(24 * 3_600);

/// Contents up to this size go in one request; larger ones in pieces of it (S3 wants at least 5 MiB).
const PIECE: usize = 8 << 20;

/// An answer is at most so long: the largest content is a registry or a segment, packed.
const ANSWER_BYTES_MAX: u64 = 2 << 30;

/// One request may take so long: a piece over a line of 1 Mbit/s takes 67 s.
const REQUEST: Duration = Duration::from_secs(120);

/// Tries of one request after the first, with waits of 0.1 s and more between.
const RETRIES: usize = 3;

/// What is marked to go.
const GARBAGE: &str = "garbage";

/// Where a bucket is and who we are there. `Debug` shows no secret.
#[derive(Clone)]
pub struct BucketConfig {
    /// The service's URL; Amazon's own of the region where it is empty.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// May an endpoint be without TLS?
    pub allow_http: bool,
    /// Who.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// Of a temporary key.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketConfig").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A place below a bucket.
pub(super) struct Bucket {
    store: AmazonS3,
    /// As a person names it.
    url: String,
    prefix: Key,
    /// What is there; read when first asked for.
    there: Mutex<Option<There>>,
}

#[derive(Default)]
struct There {
    /// Contents that may be counted on.
    objects: HashSet<String>,
    /// Contents that were given notice.
    marked: HashSet<String>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Bucket {
    /// The place of `s3://bucket/prefix`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`BackupError::Bucket`] where the place or the configuration cannot be meant.
    pub(super) fn new(url: &str, config: &BucketConfig) -> Result<Self, BackupError> {
        let wrong = |source: Error| BackupError::bucket("use", url, source);
        let below = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, prefix) = below.split_once('/').unwrap_or((below, ""));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_allow_http(config.allow_http)
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(&config.secret_access_key)
            .with_retry(RetryConfig { max_retries: RETRIES, ..RetryConfig::default() })
            .with_http_connector(Connector);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = &config.session_token {
            builder = builder.with_token(token);
        }
        Ok(Self {
            store: builder.build().map_err(wrong)?,
            prefix: Key::parse(prefix.trim_end_matches('/')).map_err(|e| wrong(e.into()))?,
            url: url.to_owned(),
            there: Mutex::new(None),
        })
    }

    /// A small content; `None` where there is none of this name.
    pub(super) fn get(&self, name: &str) -> Result<Option<Bytes>, BackupError> {
        let key = self.key(name);
        let got = self.wait(async { self.store.get(&key).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// Puts a small content in place, durably when it returns.
    pub(super) fn put(&self, name: &str, content: Vec<u8>) -> Result<(), BackupError> {
        let key = self.key(name);
        let put = self.wait(self.store.put(&key, PutPayload::from(content)));
        put.map(drop).map_err(|error| self.failed("write", name, error))
    }

    /// Puts a file in place, in pieces where it is large: it is there as a whole or not at all.
    pub(super) fn put_file(&self, name: &str, file: &mut File) -> Result<(), BackupError> {
        let unread = |error: std::io::Error| BackupError::bucket("write", name, error);
        file.rewind().map_err(unread)?;
        let mut first = piece(file).map_err(unread)?;
        if first.len() < PIECE {
            return self.put(name, first);
        }
        let key = self.key(name);
        let failed = |error| self.failed("write", name, error);
        let mut upload = self.wait(self.store.put_multipart(&key)).map_err(failed)?;
        while !first.is_empty() {
            let sent = self.wait(upload.put_part(PutPayload::from(first)));
            if let Err(error) = sent {
                // What is left of it the store clears up by its own rules where this fails too.
                drop(self.wait(upload.abort()));
                return Err(failed(error));
            }
            first = piece(file).map_err(unread)?;
        }
        self.wait(upload.complete()).map(drop).map_err(failed)
    }

    /// The names in a folder, with sizes and, in seconds, how long ago each was written.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<(String, u64, u64)>, BackupError> {
        let key = self.key(folder);
        let listed = self.wait(self.store.list(Some(&key)).try_collect::<Vec<_>>());
        let listed = listed.map_err(|error| self.failed("list", folder, error))?;
        let now = SystemClock.now().as_millis() / 1_000;
        let age = |at: i64| u64::try_from(now.saturating_sub(at)).unwrap_or(0);
        let entry = |meta: object_store::ObjectMeta| {
            let name = meta.location.filename()?.to_owned();
            Some((name, meta.size, age(meta.last_modified.timestamp())))
        };
        Ok(listed.into_iter().filter_map(entry).collect())
    }

    /// Takes something away; what is not there is no error. It may be asked for twice, so it is tried again, also where the
    /// store let go of the connection: a request to delete is a POST, which nobody repeats by himself.
    pub(super) fn delete(&self, name: &str) -> Result<(), BackupError> {
        let key = self.key(name);
        let mut tries = 0;
        loop {
            match self.wait(self.store.delete(&key)) {
                Ok(()) | Err(Error::NotFound { .. }) => return Ok(()),
                Err(error @ Error::Generic { .. }) if tries < RETRIES => {
                    tries += 1;
                    tracing::warn!(%name, %error, tries, "cannot delete; trying again");
                }
                Err(error) => return Err(self.failed("delete", name, error)),
            }
        }
    }

    /// Is the content there, and to stay?
    pub(super) fn has(&self, digest: &str) -> Result<bool, BackupError> {
        self.with(|there| there.objects.contains(digest))
    }

    /// Puts a content in place. One that was given notice is no longer.
    pub(super) fn keep(&self, digest: &str, content: &mut File) -> Result<(), BackupError> {
        if self.with(|there| there.marked.contains(digest))? {
            self.delete(&notice(digest))?;
        }
        self.put_file(&object(digest), content)?;
        self.with(|there| there.objects.insert(digest.to_owned())).map(drop)
    }

    /// Of these contents the first that is not there, as the store says it now.
    pub(super) fn missing<'a>(
        &self,
        mut digests: impl Iterator<Item = &'a str>,
    ) -> Result<Option<&'a str>, BackupError> {
        let listed = self.list(OBJECTS)?;
        let there: HashSet<&str> = listed.iter().map(|(name, ..)| name.as_str()).collect();
        Ok(digests.find(|digest| !there.contains(digest)))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut There) -> T) -> Result<T, BackupError> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        if there.is_none() {
            // The marks last: what is marked between the two stays for a day.
            let mut objects: HashSet<String> = self.names(OBJECTS)?.collect();
            let marked: HashSet<String> = self.names(GARBAGE)?.collect();
            objects.retain(|digest| !marked.contains(digest));
            *there = Some(There { objects, marked });
        }
        Ok(ask(there.get_or_insert_default()))
    }

    fn names(&self, folder: &str) -> Result<impl Iterator<Item = String> + use<>, BackupError> {
        Ok(self.list(folder)?.into_iter().map(|(name, ..)| name))
    }

    /// Marks what no backup needs, and takes away what was marked long enough ago and still is not needed.
    pub(super) fn sweep(
        &self,
        needed: &HashSet<&str>,
        pruned: &mut Pruned,
    ) -> Result<(), BackupError> {
        let marked: HashMap<String, u64> =
            self.list(GARBAGE)?.into_iter().map(|(name, _, age)| (name, age)).collect();
        for (digest, size, _) in self.list(OBJECTS)? {
            let mark = notice(&digest);
            match (needed.contains(digest.as_str()), marked.get(&digest)) {
                (true, Some(_)) => self.delete(&mark)?,
                (false, None) => self.put(&mark, Vec::new())?,
                // Asked again, at the last moment: a backup may have taken the mark away since.
                (false, Some(&age)) if NOTICE.as_secs() <= age && self.get(&mark)?.is_some() => {
                    self.delete(&object(&digest))?;
                    self.delete(&mark)?;
                    pruned.objects += 1;
                    pruned.bytes += size;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Is anything there at all?
    pub(super) fn is_empty(&self) -> Result<bool, BackupError> {
        let listed = self.wait(async { self.store.list(Some(&self.prefix)).try_next().await });
        let first = listed.map_err(|error| self.failed("list", MARK, error))?;
        Ok(first.is_none())
    }

    fn key(&self, name: &str) -> Key {
        match self.prefix.as_ref() {
            "" => Key::from(name),
            prefix => Key::from(format!("{prefix}/{name}")),
        }
    }

    /// Waits for a request on a thread of its own, with a runtime of its own: a command may have one on this thread.
    fn wait<T: Send>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        let waited = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime =
                runtime.map_err(|error| Error::Generic { store: "S3", source: Box::new(error) })?;
            runtime.block_on(request)
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(waited);
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn failed(&self, act: &'static str, name: &str, error: Error) -> BackupError {
        let place = format!("{}/{name}", self.url.trim_end_matches('/'));
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                BackupError::Key { act, place }
            }
            error => BackupError::bucket(act, &place, error),
        }
    }
}

/// Where a content is or would be.
pub(super) fn object(digest: &str) -> String {
    format!("{OBJECTS}/{}/{digest}", digest.get(..2).unwrap_or("00"))
}

/// Where the mark of a content is or would be.
fn notice(digest: &str) -> String {
    format!("{GARBAGE}/{digest}")
}

/// Where a backup is or would be.
pub(super) fn named(name: &str) -> String {
    format!("{BACKUPS}/{name}.json")
}

fn piece(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

/// Requests over `ureq`.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let tls = crate::questdb::system_trust();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(REQUEST))
            .tls_config(tls)
            .build();
        Ok(HttpClient::new(Requests(agent.into())))
    }
}

#[derive(Debug)]
struct Requests(ureq::Agent);

impl Requests {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // Of a payload only the stream gives the bytes.
        let body = HttpResponseBody::new(body).bytes().await?;
        let answer = if body.is_empty() && !matches!(parts.method.as_str(), "PUT" | "POST") {
            self.0.run(ureq::http::Request::from_parts(parts, ()))
        } else {
            self.0.run(ureq::http::Request::from_parts(parts, &body[..]))
        };
        let (parts, mut body) = answer.map_err(trouble)?.into_parts();
        let content = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let content = HttpResponseBody::from(content.map_err(trouble)?);
        Ok(HttpResponse::from_parts(parts, content))
    }
}

impl HttpService for Requests {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        // Blocking, on a thread that has nothing else to do.
        Box::pin(self.answer(request))
    }
}

fn trouble(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
