//! What a line has on its way to the disk. It is a few reports at most: while the disk does not take them, the line waits
//! too, and nothing piles up.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::intake::{Batch, Intake};

/// Reports on their way to the disk.
const COMMITS_MAX: usize = 4;

/// What is on its way to the disk when the engine stops may take so long.
const STOP_MAX: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Commits {
    line: String,
    intake: Intake,
    most: usize,
    running: JoinSet<()>,
}

impl Commits {
    pub(crate) fn new(line: &str, intake: &Intake) -> Self {
        let (line, intake) = (line.to_owned(), intake.clone());
        Self { line, intake, most: COMMITS_MAX, running: JoinSet::new() }
    }

    /// One after the other: what was heard first is in the journal first.
    pub(crate) fn in_order(self) -> Self {
        Self { most: 1, ..self }
    }

    /// Commits this; `durable` runs when it is on disk, and only then.
    pub(crate) async fn keep(&mut self, batch: Batch, durable: impl FnOnce() + Send + 'static) {
        if batch.is_empty() {
            return;
        }
        while self.most <= self.running.len() {
            self.running.join_next().await;
        }
        while self.running.try_join_next().is_some() {}
        let commit = self.intake.commit(batch);
        let line = self.line.clone();
        self.running.spawn(async move {
            match commit.await {
                Ok(_proof) => durable(),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(line, error, "a reading is not kept");
                }
            }
        });
    }

    /// Commits this and waits for it: is it on disk?
    pub(crate) async fn kept(
        &mut self,
        batch: Batch,
        durable: impl FnOnce() + Send + 'static,
    ) -> bool {
        let (told, hears) = oneshot::channel();
        self.keep(batch, move || {
            durable();
            // Whoever waited may have been stopped.
            told.send(()).ok();
        })
        .await;
        hears.await.is_ok()
    }

    /// Waits for all of it, within 10 s.
    pub(crate) async fn finish(&mut self) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout(STOP_MAX, all).await.is_err() {
            tracing::warn!(line = self.line, "stopped before the last readings were on disk");
        }
    }
}
