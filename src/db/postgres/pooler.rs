//! Whether a connection leads to the server itself or to a pooler, such as pgbouncer.
//!
//! At the start of a connection the other side names a process and a key, which a request to cancel
//! repeats. PostgreSQL names the process that serves the connection. A pooler that lends its server
//! connections to one client after another has to name something of its own, or a request to cancel
//! would reach whoever uses that process by then. So the two are compared: the process that was
//! named, and the one that answers a statement. Found out by a simple query, before any other
//! statement, because in transaction mode a named statement or a setting would stay behind on a
//! connection that others use.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Whether a pooler is in between. A session that a pooler gives to one client alone counts as well:
/// the two kinds cannot be told apart while nobody else is connected.
pub(super) async fn is_pooled(client: &Client) -> Result<bool, Error> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    let answering = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
        _ => None,
    });
    Ok(answering.is_none() || answering != named_process(client).await)
}

/// The process that the other side named at the start. The driver shows it only in the request to
/// cancel, which is therefore written into memory.
async fn named_process(client: &Client) -> Option<i32> {
    let (stream, mut written) = tokio::io::duplex(64);
    // The answer to a request for TLS, if the driver sends one first; otherwise it is never read.
    written.write_all(b"S").await.ok()?;
    client.cancel_token().cancel_query_raw(stream, Memory).await.ok()?;
    let mut bytes = Vec::new();
    written.read_to_end(&mut bytes).await.ok()?;
    // Four numbers of four bytes: length, code, process and key.
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *bytes.last_chunk::<16>()?;
    Some(i32::from_be_bytes([a, b, c, d]))
}

/// In place of TLS, for a stream that goes nowhere.
struct Memory;

impl TlsConnect<DuplexStream> for Memory {
    type Stream = MemoryStream;
    type Error = Infallible;
    type Future = Ready<Result<MemoryStream, Infallible>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(MemoryStream(stream)))
    }
}

struct MemoryStream(DuplexStream);

impl TlsStream for MemoryStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
