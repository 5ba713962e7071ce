//! Closing a connection without losing its last answer.
//!
//! If a socket is closed while its peer still sends, the kernel sends a reset, and the reset discards
//! an answer that the peer has not read yet: a refused upload would look like a dead server. So after
//! the last answer the socket is read for a short time, and what is read is discarded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A peer that sends more is cut after all.
const MAX_BYTES: u64 = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that is read on when it is dropped before its peer has closed it.
pub(super) struct Lingering {
    stream: Option<TcpStream>,
    has_ended: bool,
}

impl Lingering {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), has_ended: false }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take().filter(|_| !self.has_ended) else { return };
        // Without a runtime the process is ending, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(TIMEOUT, async move {
                let mut rest = stream.take(MAX_BYTES);
                drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
            }));
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, capacity) = (buffer.filled().len(), buffer.remaining());
        let read = ready!(self.stream()?.poll_read(context, buffer));
        self.has_ended |= read.is_err() || (capacity > 0 && buffer.filled().len() == before);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
