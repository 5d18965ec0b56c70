//! Every line there is. Each is a task of its own, so that a sick one costs only itself.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::line::watched;

use super::ask::Ask;
use super::config::Config;
use super::listen::Listen;

/// See the module.
pub struct Loggers {
    lines: Vec<(Arc<Config>, Intake)>,
}

impl Loggers {
    /// Lines of this configuration; nothing is opened yet. The metrics recorder has to stand.
    #[must_use]
    pub fn new(lines: Vec<Config>, intake: &Intake) -> Self {
        let line = |config| (Arc::new(config), intake.clone());
        Self { lines: lines.into_iter().map(line).collect() }
    }

    /// Listens and asks until told to stop; then what was heard is committed, within 10 s.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for (config, intake) in self.lines {
            running.spawn(line(config, intake, stop.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the loggers ended by a bug");
            }
        }
    }
}

async fn line(config: Arc<Config>, intake: Intake, stop: CancellationToken) {
    let bug = || {
        metrics::counter!("saltline_serial_opens_total", "line" => config.name.clone(), "outcome" => "bug")
            .increment(1);
    };
    let begin = || {
        let (config, intake, stop) = (config.clone(), intake.clone(), stop.clone());
        async move {
            let seed = RandomState::new().build_hasher().finish();
            match config.loggers.first().filter(|logger| logger.profile.streams()).cloned() {
                Some(logger) => Listen::new(config, logger, &intake, seed).run(&stop).await,
                None => Ask::new(config, &intake, seed).run(&stop).await,
            }
        }
    };
    watched(&config.name, &stop, bug, begin).await;
}
