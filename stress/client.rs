//! What the load clients share: a server on this machine, and kept-alive connections to it.

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

/// After a failed connect, so that a server that is gone is not hammered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// Where the load goes.
pub(crate) struct Server {
    authority: String,
    reconnects: AtomicU64,
}

impl Server {
    /// The server of a base address, refused unless it is this machine's own.
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

    /// Connections that the server had closed and that were opened again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, &'static str> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|_| "connect")?;
        stream.set_nodelay(true).map_err(|_| "connect")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| "connect")?;
        // How a connection ends is seen by the request on it.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// One connection, one request under way at a time. What goes wrong is a word: `connect`, or
/// `broken` once a request was sent.
pub(crate) struct Connection {
    server: Arc<Server>,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Not open yet.
    pub(crate) fn to(server: &Arc<Server>) -> Self {
        Self { server: Arc::clone(server), kept: None }
    }

    /// Makes sure that it is open, anew where the server closed it.
    pub(crate) async fn stand(&mut self) -> Result<(), &'static str> {
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

    /// Sends one request, which is JSON unless it is empty, and reads its whole answer. The
    /// connection must stand.
    pub(crate) async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> Result<(u16, Bytes), &'static str> {
        let mut sender = self.kept.take().ok_or("connect")?;
        let request = self.request(method, path, body);
        let response = sender.send_request(request).await.map_err(|_| "broken")?;
        let status = response.status().as_u16();
        let answer = response.into_body().collect().await.map_err(|_| "broken")?.to_bytes();
        self.kept = Some(sender);
        Ok((status, answer))
    }

    fn request(&self, method: Method, path: &str, body: &'static str) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from_static(body.as_bytes())));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("ids and digits make a path");
        let host = self.server.authority.parse().expect("it was parsed as an authority");
        request.headers_mut().insert(header::HOST, host);
        if !body.is_empty() {
            let json = header::HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        request
    }
}
