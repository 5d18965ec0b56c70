//! Sockets and pseudo-terminals with slaves behind them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::bus::{Bus, Talk};
use super::frame::Framing;
use crate::dice::Dice;
use crate::pty::SerialLink;

/// Connections at once: a thousand masters, and those that come again.
const CONNECTIONS_MAX: usize = 4_096;

/// Modbus TCP: each connection is a device of its own with all units.
pub async fn serve_tcp(listener: TcpListener, bus: Arc<Bus>, stop: CancellationToken) {
    accept(listener, Framing::Tcp, bus, stop).await;
}

/// RTU through a gateway: each connection is a line of its own with all slaves.
pub async fn serve_rtu(listener: TcpListener, bus: Arc<Bus>, stop: CancellationToken) {
    accept(listener, Framing::Rtu, bus, stop).await;
}

async fn accept(listener: TcpListener, framing: Framing, bus: Arc<Bus>, stop: CancellationToken) {
    let mut talks = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = talks.join_next() => {}
            accepted = listener.accept(), if talks.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    number += 1;
                    stream.set_nodelay(true).ok();
                    let (bus, stop) = (bus.clone(), stop.clone());
                    talks.spawn(async move {
                        if let Err(error) = talk(stream, framing, &bus, number, &stop).await {
                            tracing::debug!(%peer, %error, "master gone");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    framing: Framing,
    bus: &Bus,
    number: u64,
    stop: &CancellationToken,
) -> io::Result<()> {
    let dice = Dice(bus.seed.wrapping_mul(1_000_003).wrapping_add(number));
    let talk = Talk { bus, framing, stream, dice, going: Vec::new(), held: HashMap::new() };
    talk.run(stop).await
}

/// RTU on a serial line, until told to stop or the line breaks.
///
/// # Errors
/// Where the line breaks.
pub async fn serve_pty(
    mut link: SerialLink,
    bus: Arc<Bus>,
    stop: CancellationToken,
) -> io::Result<()> {
    talk(&mut link, Framing::Rtu, &bus, 0, &stop).await
}
