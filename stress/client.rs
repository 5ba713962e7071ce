//! The HTTP client of the load clients: a server on this machine, and persistent connections to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Pause after a failed connect, so that a stopped server is not flooded with attempts.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// The server under load.
pub(crate) struct Server {
    authority: String,
    reconnects: AtomicU64,
}

impl Server {
    /// The server at a base address; an error unless the address is on this machine.
    pub(crate) fn at(base: &str) -> anyhow::Result<Arc<Self>> {
        let uri: hyper::Uri =
            base.parse().with_context(|| format!("--base {base} is no address"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        ensure!(local, "--base {base} is not on this machine: load goes to 127.0.0.1 only");
        match uri.authority() {
            Some(authority) if uri.port().is_some() => {
                let authority = authority.to_string();
                Ok(Arc::new(Self { authority, reconnects: AtomicU64::new(0) }))
            }
            _ => bail!("--base {base} names no port: write it as http://127.0.0.1:PORT"),
        }
    }

    /// How many connections were opened again because the server had closed them.
    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, &'static str> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|_| "connect")?;
        stream.set_nodelay(true).map_err(|_| "connect")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| "connect")?;
        // A request on a broken connection fails by itself, so its end needs no handling here.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// One connection with at most one request in flight. The error is a word: `connect`, or `broken`
/// if a request had been sent.
pub(crate) struct Connection {
    server: Arc<Server>,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection that is not open yet.
    pub(crate) fn to(server: &Arc<Server>) -> Self {
        Self { server: Arc::clone(server), kept: None }
    }

    /// Opens it, again if the server has closed it; does nothing if it is open.
    pub(crate) async fn open(&mut self) -> Result<(), &'static str> {
        if let Some(sender) = &mut self.kept {
            if sender.ready().await.is_ok() {
                return Ok(());
            }
            self.kept = None;
            self.server.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        match self.server.connect().await {
            Ok(sender) => self.kept = Some(sender),
            Err(what) => {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                return Err(what);
            }
        }
        Ok(())
    }

    /// Sends one request, with a JSON body unless `body` is empty, and reads the whole answer. The
    /// connection must be open.
    pub(crate) async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<(u16, Bytes), &'static str> {
        let request = self.request(method, path, body.into());
        self.send(request).await
    }

    /// Sends a request, whose host is set, and reads the whole answer. The connection must be open.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), &'static str> {
        let mut sender = self.kept.take().ok_or("connect")?;
        let response = sender.send_request(request).await.map_err(|_| "broken")?;
        let status = response.status().as_u16();
        let answer = response.into_body().collect().await.map_err(|_| "broken")?.to_bytes();
        self.kept = Some(sender);
        Ok((status, answer))
    }

    /// A request to this server, with a JSON body unless `body` is empty.
    pub(crate) fn request(&self, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let is_empty = body.is_empty();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("ids and digits make a path");
        let host = self.server.authority.parse().expect("it was parsed as an authority");
        request.headers_mut().insert(header::HOST, host);
        if !is_empty {
            let json = header::HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        request
    }
}
