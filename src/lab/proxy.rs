//! A TCP proxy between the driver and a database server, which can disconnect it or delay its traffic.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// What a delayed packet waits, in each direction.
pub(super) const DELAY: Duration = Duration::from_millis(50);
const CHUNK: usize = 16 * 1024;
/// Chunks of one direction that are under way: more would only buffer what the reader does not take.
const IN_FLIGHT: usize = 256;

/// What the proxy does to its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Passes everything on.
    Pass,
    /// Resets every connection, and new ones at once.
    Cut,
    /// Passes everything on later by [`DELAY`].
    Delay,
}

/// A proxy that runs until it is dropped; its connections end with it.
pub(super) struct Proxy {
    address: SocketAddr,
    traffic: watch::Sender<Traffic>,
    _accept: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of a server, `HOST:PORT`.
    ///
    /// # Errors
    /// If there is no free port.
    pub(super) async fn start(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (traffic, changes) = watch::channel(Traffic::Pass);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server.clone(), changes.clone()));
            }
        });
        Ok(Self { address, traffic, _accept: AbortOnDropHandle::new(accept) })
    }

    /// Where it listens.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does to all connections, from now on.
    pub(super) fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }
}

/// Serves one connection until either side ends it, it is cut, or the proxy is gone.
async fn serve(client: TcpStream, server: String, mut traffic: watch::Receiver<Traffic>) {
    let reset = |stream: &TcpStream| {
        // A reset, not an orderly end: the peer shall notice at once. It closes in any case.
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    };
    if *traffic.borrow() == Traffic::Cut {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(server).await else { return reset(&client) };
    for stream in [&client, &server] {
        // Nagle's algorithm would add a delay of its own; without it the connection works too.
        let _ = stream.set_nodelay(true);
        reset(stream);
    }
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let delays = traffic.clone();
    tokio::select! {
        () = pass(from_client, to_server, delays.clone()) => {}
        () = pass(from_server, to_client, delays) => {}
        // Also where the proxy was dropped.
        _ = traffic.wait_for(|traffic| *traffic == Traffic::Cut) => {}
    }
}

/// Passes one direction on. A chunk waits from when it was read, so that chunks are delayed, not slowed down.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, traffic: watch::Receiver<Traffic>) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let delayed = *traffic.borrow() == Traffic::Delay;
            let due = Instant::now() + if delayed { DELAY } else { Duration::ZERO };
            if sender.send((due, buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    // The writer ends after what was read before the end.
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn exchange(stream: &mut TcpStream) -> io::Result<Duration> {
        let begun = Instant::now();
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"ping");
        Ok(begun.elapsed())
    }

    #[tokio::test]
    async fn traffic_passes_is_delayed_and_is_cut() {
        let proxy = Proxy::start(echo().await.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        exchange(&mut stream).await.unwrap();
        proxy.set(Traffic::Delay);
        assert!(exchange(&mut stream).await.unwrap() >= 2 * DELAY);
        proxy.set(Traffic::Cut);
        assert!(exchange(&mut stream).await.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(exchange(&mut refused).await.is_err());
        proxy.set(Traffic::Pass);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        exchange(&mut again).await.unwrap();
    }

    #[tokio::test]
    async fn connections_end_with_the_proxy() {
        let proxy = Proxy::start(echo().await.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        exchange(&mut stream).await.unwrap();
        drop(proxy);
        let mut buffer = [0; 1];
        assert!(!matches!(stream.read(&mut buffer).await, Ok(1..)));
    }
}
