//! The loop of a folder whose files grow: look, read whole lines, commit, remember, wait.

use std::path::{Path, PathBuf};

use journal::JournalError;
use tokio_util::sync::CancellationToken;

use super::super::grow::{Fresh, Growing};
use super::super::outcome::Outcome;
use super::super::unpack::Unpacked;
use super::{Drop, blocking, failed};

impl Drop {
    /// Reads what loggers write on until told to stop.
    pub(super) async fn run_growing(mut self, stop: CancellationToken) -> Result<(), JournalError> {
        let (state, name) = (self.state.clone(), self.config.name.clone());
        self.growing = match blocking(move || Growing::open(&state, &name)).await {
            Ok(growing) => growing,
            Err(error) => {
                failed("remember");
                // Everything is read again: what is in history already is not stored twice.
                tracing::error!(folder = self.config.name, %error, "what was read is not known; all is read again");
                let (state, name) = (self.state.clone(), self.config.name.clone());
                blocking(move || Growing::anew(&state, &name)).await
            }
        };
        let heads: Vec<_> =
            self.growing.heads().map(|(name, head)| (name.to_owned(), head.to_owned())).collect();
        for (name, head) in heads {
            let pass = self.whose(&self.config.dir.join(&name), &name);
            self.note_header(pass.as_ref(), &name, head.as_bytes());
        }
        while !stop.is_cancelled() {
            for path in self.growing_files().await {
                // What is read of it is committed and remembered before the stop is heard.
                while !stop.is_cancelled() && self.read_on(&path).await? {}
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.every) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn growing_files(&mut self) -> Vec<PathBuf> {
        let (mut growing, config) = (std::mem::take(&mut self.growing), self.config.clone());
        let listed = blocking(move || {
            let files = growing.files(&config.dir);
            (growing, files)
        });
        let (growing, files) = listed.await;
        self.growing = growing;
        files.unwrap_or_else(|error| {
            failed("list");
            tracing::error!(folder = self.config.name, dir = %self.config.dir.display(), %error, "a folder cannot be listed");
            Vec::new()
        })
    }

    /// Reads, commits and remembers what is new in a file; returns whether there is more of it.
    async fn read_on(&mut self, path: &Path) -> Result<bool, JournalError> {
        let (growing, config) = (std::mem::take(&mut self.growing), self.config.clone());
        let looked = blocking({
            let path = path.to_owned();
            move || {
                let fresh = growing.look(&config.dir, &path, config.format);
                (growing, fresh)
            }
        });
        let (growing, fresh) = looked.await;
        self.growing = growing;
        let fresh = match fresh {
            Ok(Some(fresh)) => fresh,
            Ok(None) => return Ok(false),
            Err(error) => {
                failed("read");
                tracing::error!(folder = self.config.name, path = %path.display(), %error, "a file cannot be read");
                return Ok(false);
            }
        };
        let Fresh { after, bytes, lines_before, anew, more } = fresh;
        let folder = self.config.name.clone();
        if let Some(anew) = anew {
            let why = anew.as_str();
            metrics::counter!("saltline_drop_anew_total", "why" => why).increment(1);
            tracing::warn!(
                folder,
                file = after.name,
                why,
                "a growing file is read from its beginning"
            );
        }
        let mut outcome = Outcome::default();
        if !bytes.is_empty() {
            let unpacked = Unpacked { name: after.name.clone(), bytes };
            let place = self.config.dir.join(&after.name);
            self.store(&place, &unpacked, lines_before, &mut outcome).await?;
            let (stored, refused) =
                (outcome.stored, outcome.refused.len() as u64 + outcome.more_refused);
            tracing::debug!(folder, file = after.name, stored, refused, "read on");
        }
        let mut growing = std::mem::take(&mut self.growing);
        let remembered = blocking(move || {
            let remembered = growing.read(after);
            (growing, remembered)
        });
        let (growing, remembered) = remembered.await;
        self.growing = growing;
        if let Err(error) = remembered {
            failed("remember");
            tracing::error!(folder = self.config.name, %error, "how far a file was read cannot be remembered");
        }
        Ok(more)
    }
}
