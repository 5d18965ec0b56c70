//! A line that is played on a pseudo-terminal: where, and until when.

use std::io;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use clap::Args;
use firmware_sim::modbus::SerialLink;
use firmware_sim::serial::plugged;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::words::some_time;
use super::{Fault, print, stop_signal};

/// Of every line on a pseudo-terminal.
#[derive(Debug, Args)]
pub struct PtyArgs {
    /// A link to make to a pseudo-terminal with the line behind it.
    #[arg(long, value_name = "PATH")]
    pty: PathBuf,
    /// Unplug the port after so long, and plug it in again after as long.
    #[arg(long, value_parser = some_time)]
    unplug: Option<Duration>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End when stdin closes.
    #[arg(long)]
    with_parent: bool,
}

impl PtyArgs {
    /// Serves the line until told to stop, and says {"ready":true,"pty":…} when it does.
    pub async fn played<F: Future<Output = io::Result<()>>>(
        self,
        serve: impl Fn(SerialLink, CancellationToken) -> F,
    ) -> Result<(), Fault> {
        let stop = stop_signal(self.with_parent)?;
        let (ready, told) = (json!({ "ready": true, "pty": self.pty }), Once::new());
        plugged(self.pty, self.unplug, stop, |port, up| {
            // The link leads somewhere now.
            told.call_once(|| drop(print(&ready)));
            let serving = serve(port, up);
            async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the line broke");
                }
            }
        })
        .await;
        Ok(())
    }
}
