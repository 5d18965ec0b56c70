//! A socket or a serial port. A serial port is opened anew by its path each time, so that one that was pulled out and
//! put in again is found.

use std::io;
use std::time::Duration;

use serial2_tokio::{CharSize, FlowControl, SerialPort, Settings, StopBits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Parity, Place, Serial};

/// From the first packet to the connection: a gateway on a mobile network answers within a few seconds.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub(super) trait Port: AsyncRead + AsyncWrite + Send + Unpin {
    /// Holds the line at rest's opposite (a break), or lets it go.
    fn hold(&self, held: bool) -> io::Result<()>;
}

impl Port for TcpStream {
    fn hold(&self, _: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a socket has no break"))
    }
}

impl Port for SerialPort {
    fn hold(&self, held: bool) -> io::Result<()> {
        self.set_break(held)
    }
}

/// Opens the port.
pub(super) async fn open(place: &Place, serial: &Serial) -> io::Result<Box<dyn Port>> {
    match place {
        Place::Socket { host, port } => {
            let connect = TcpStream::connect((host.as_str(), *port));
            let stream = timeout(OPEN_MAX, connect).await.map_err(io::Error::from)??;
            // A question is a dozen bytes that somebody waits for.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Place::Serial(path) => {
            let serial = *serial;
            let port = SerialPort::open(path, move |settings: Settings| set(settings, &serial))?;
            port.discard_buffers()?;
            Ok(Box::new(port))
        }
    }
}

fn set(mut settings: Settings, serial: &Serial) -> io::Result<Settings> {
    settings.set_raw();
    settings.set_baud_rate(serial.baud)?;
    settings.set_char_size(if serial.data_bits == 7 { CharSize::Bits7 } else { CharSize::Bits8 });
    settings.set_flow_control(FlowControl::None);
    settings.set_parity(match serial.parity {
        Parity::None => serial2_tokio::Parity::None,
        Parity::Even => serial2_tokio::Parity::Even,
        Parity::Odd => serial2_tokio::Parity::Odd,
    });
    settings.set_stop_bits(if serial.stop_bits == 2 { StopBits::Two } else { StopBits::One });
    Ok(settings)
}
