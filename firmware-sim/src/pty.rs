//! A serial line that is not there: one end of a pseudo-terminal, and a link that leads to the other, as
//! `/dev/serial/by-id/…` leads to a port.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serial2::SerialPort;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module. Dropping it is pulling the plug: the path is gone.
#[derive(Debug)]
pub struct SerialLink {
    near: AsyncFd<File>,
    /// Held open, so that the line does not end when a master closes it.
    _far: SerialPort,
    link: PathBuf,
}

impl SerialLink {
    /// Makes a pair, and lets `link` lead to the far end.
    ///
    /// # Errors
    /// Where the system gives no pseudo-terminal, or the link cannot be made.
    pub fn new(link: &Path) -> io::Result<Self> {
        let (near, far) = SerialPort::pair()?;
        let target = std::fs::read_link(format!("/proc/self/fd/{}", far.as_raw_fd()))?;
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(target, link)?;
        #[expect(deprecated, reason = "its successor is `unsafe`; a `File` keeps its descriptor")]
        let near = AsyncFd::new(File::from(OwnedFd::from(near)))?;
        Ok(Self { near, _far: far, link: link.to_owned() })
    }
}

impl Drop for SerialLink {
    fn drop(&mut self) {
        std::fs::remove_file(&self.link).ok();
    }
}

impl AsyncRead for SerialLink {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.near.poll_read_ready(cx))?;
            let room = into.initialize_unfilled();
            if let Ok(read) = guard.try_io(|near| near.get_ref().read(room)) {
                into.advance(read?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for SerialLink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.near.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|near| near.get_ref().write(bytes)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
