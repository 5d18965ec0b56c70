//! `carrier`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use firmware_sim::carrier::{Carrier, HEARD_MAX};
use firmware_sim::clock::MachineClock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::words::duration;
use super::{Fault, print, stop_signal};

/// Prints {"ready":true,"smtp":…,"smpp":…} when it serves, then one line of JSON for each message. Any password is
/// right. Neither server speaks TLS.
#[derive(Debug, Args)]
pub struct CarrierArgs {
    /// Where the mail server listens; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    smtp: String,
    /// Where the short-message centre listens; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    smpp: String,
    /// How long after a message its delivery receipt follows.
    #[arg(long, default_value = "1s", value_parser = duration)]
    receipt_after: Duration,
    /// End when stdin closes.
    #[arg(long)]
    with_parent: bool,
}

pub async fn carrier(args: CarrierArgs) -> Result<ExitCode, Fault> {
    let smtp = TcpListener::bind(&args.smtp).await?;
    let smpp = TcpListener::bind(&args.smpp).await?;
    let ready = json!({
        "ready": true,
        "smtp": smtp.local_addr()?.to_string(),
        "smpp": smpp.local_addr()?.to_string(),
    });
    let stop = stop_signal(args.with_parent)?;
    let (tx, mut heard) = mpsc::channel(HEARD_MAX);
    let carrier = Carrier { smtp, smpp, receipt_after: args.receipt_after };
    print(&ready)?;
    let printing = async {
        while let Some(message) = heard.recv().await {
            if let Err(error) = print(&message) {
                tracing::error!(%error, "cannot print: stopping");
                stop.cancel();
                break;
            }
        }
    };
    tokio::join!(carrier.serve(Arc::new(MachineClock), tx, stop.clone()), printing);
    Ok(ExitCode::SUCCESS)
}
