//! Listening, and graceful shutdown.
//!
//! Built on hyper itself, because axum's own `serve` has no deadline for a request's head and no
//! bound on connections: clients that send a byte a second would hold all of them for ever.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::lingering_close::Lingering;
use super::metrics::ServerMetrics;
use crate::config::serve::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Layer;
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};

const BACKLOG: i32 = 4_096;
/// A failed accept is nearly always a lack of file descriptors: retrying at once would only spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
const OVERLOADED: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "retry-after: 1\r\n",
    "access-control-allow-origin: *\r\n",
    "content-length: 0\r\n",
    "connection: close\r\n\r\n",
);

type Service = TowerToHyperService<NormalizePath<Router>>;

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    connections: Connections,
    shutdown_timeout: Duration,
}

/// Accepts connections, and serves each in a task of its own.
struct Connections {
    http: http1::Builder,
    service: Service,
    slots: Arc<Semaphore>,
    /// Ends the connections that are left at the end of the shutdown.
    cut: CancellationToken,
    metrics: ServerMetrics,
    /// How long a peer may leave sent bytes unacknowledged.
    user_timeout: Duration,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// Every request was answered.
    Drained,
    /// The time was over, or a second signal came; this many connections were cut.
    Cut(usize),
}

impl Server {
    /// Binds the address. A path with a trailing slash is served as the path without it.
    ///
    /// # Errors
    /// If the address is in use or not one of this machine.
    pub fn bind(
        address: SocketAddr,
        router: Router,
        limits: &Limits,
        metrics: ServerMetrics,
    ) -> io::Result<Self> {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        let router = NormalizePathLayer::trim_trailing_slash().layer(router);
        Ok(Self {
            listener: listen(address)?,
            connections: Connections {
                http,
                service: TowerToHyperService::new(router),
                slots: Arc::new(Semaphore::new(limits.max_connections)),
                cut: CancellationToken::new(),
                metrics,
                user_timeout: limits.header_timeout + limits.body_timeout,
            },
            shutdown_timeout: limits.shutdown_timeout,
        })
    }

    /// The address, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// If the operating system fails.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` ends. Then accepts no further connections, lets every request under way
    /// end, and cuts the connections that are left when the time is over or `now` ends.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        now: impl Future<Output = ()>,
    ) -> ShutdownOutcome {
        let graceful = GracefulShutdown::new();
        tokio::select! {
            () = stop => {}
            () = self.connections.accept(&self.listener, &graceful) => {}
        }
        // Closed before draining, so that new connections are refused and reach another server.
        drop(self.listener);
        let open = graceful.count();
        tracing::info!(connections = open, "draining");
        tokio::select! {
            () = graceful.shutdown() => ShutdownOutcome::Drained,
            () = tokio::time::sleep(self.shutdown_timeout) => self.connections.cut(),
            () = now => self.connections.cut(),
        }
    }
}

impl Connections {
    async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.admit(stream, graceful),
                Err(error) if is_peer_gone(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, graceful: &GracefulShutdown) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.metrics.shed.inc();
            // Not awaited: a client that does not read must not stop others from being accepted.
            drop(stream.try_write(OVERLOADED.as_bytes()));
            return;
        };
        if let Err(error) = self.prepare(&stream) {
            tracing::debug!(%error, "connection lost before its first request");
            return;
        }
        let slot = ConnectionSlot::new(slot, self.metrics.connections.clone());
        let connection =
            self.http.serve_connection(TokioIo::new(Lingering::new(stream)), self.service.clone());
        let connection = graceful.watch(connection);
        let cut = self.cut.clone();
        tokio::spawn(async move {
            let _slot = slot;
            if let Some(Err(error)) = cut.run_until_cancelled(connection).await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }

    /// The kernel cuts a peer that stops reading; no timeout of HTTP covers writing an answer.
    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        SockRef::from(stream).set_tcp_user_timeout(Some(self.user_timeout))
    }

    fn cut(&self) -> ShutdownOutcome {
        self.cut.cancel();
        ShutdownOutcome::Cut(usize::try_from(self.metrics.connections.get()).unwrap_or_default())
    }
}

/// One of the connections that are allowed at once, given back when it ends in any way.
struct ConnectionSlot {
    _permit: OwnedSemaphorePermit,
    connections: Gauge,
}

impl ConnectionSlot {
    fn new(permit: OwnedSemaphorePermit, connections: Gauge) -> Self {
        connections.inc();
        Self { _permit: permit, connections }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The peer left before it was accepted, which is no failure of the listener.
fn is_peer_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
