//! An HTTP/1.1 client by hand: what it sends and what it got are bytes, so nothing is repaired,
//! decoded or sorted on the way.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer by then is a failure; far above any limit of the server that tests set.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A request as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body of a known length.
    pub(crate) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut request = self.header("content-length", &body.len().to_string());
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        Self { body: Some(body), ..request }
    }

    /// Everything up to the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: store\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        (head + "\r\n").into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone().unwrap_or_default()].concat()
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }
}

/// An answer as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    status_line: String,
    /// In the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    /// Without chunk sizes; compressed if it was.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The one header of that name; several are a failure.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        first
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.golden()))
    }

    /// Fails unless the status, the type and the body are these.
    #[track_caller]
    pub(crate) fn is_text(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"));
    }

    /// Fails unless it is a problem of that status as RFC 9457 has it; gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.golden());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["type", "title", "status", "detail"]);
        assert_eq!((&body["type"], &body["status"]), (&"about:blank".into(), &status.into()));
        assert_eq!(body["title"], self.status_line.splitn(3, ' ').nth(2).unwrap_or_default());
        body["detail"].as_str().expect("a text").to_owned()
    }

    /// Status line, headers and body, without what differs from run to run.
    pub(crate) fn golden(&self) -> String {
        let mut text = self.status_line.clone() + "\n";
        for (name, value) in &self.headers {
            let value =
                if matches!(name.as_str(), "date" | "x-request-id") { "[…]" } else { value };
            text.push_str(&format!("{name}: {value}\n"));
        }
        text + "\n" + &String::from_utf8_lossy(&self.body)
    }
}

/// A connection that is kept open between requests.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read but not yet part of an answer.
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Fails if the server has closed.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> Response {
        // A server may answer and close before it has read everything.
        let _refused = self.send(&request.bytes()).await;
        self.answer_to(request.method()).await
    }

    /// The next answer. The method decides whether it has a body.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Response {
        while find(&self.buffer, b"\r\n\r\n").is_none() {
            assert!(self.read().await, "closed within a head: {:?}", lossy(&self.buffer));
        }
        let end = find(&self.buffer, b"\r\n\r\n").expect("a whole head") + 4;
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let status_line = lines.next().unwrap_or_default();
        let status = status_line[9..12].parse().expect("three digits");
        let headers = lines
            .map(|line| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect::<Option<Vec<_>>>()
            .expect("name: value");
        let mut response = Response { status, status_line, headers, body: Vec::new() };
        if method != "HEAD" && !matches!(status, 100..200 | 204 | 304) {
            response.body = self.body(&response).await;
        }
        response
    }

    async fn body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("transfer-encoding") == Some("chunked") {
            return self.chunks().await;
        }
        let length = response.header("content-length").expect("a length or chunks");
        self.take(length.parse().expect("a number")).await
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            while find(&self.buffer, b"\r\n").is_none() {
                assert!(self.read().await, "closed within a chunk's size");
            }
            let end = find(&self.buffer, b"\r\n").expect("a whole line");
            let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let size = usize::from_str_radix(lossy(&line).trim(), 16).expect("a chunk's size");
            body.extend(self.take(size).await);
            assert_eq!(self.take(2).await, b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.read().await, "closed within a body");
        }
        self.buffer.drain(..length).collect()
    }

    /// All bytes until the server closes.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.read().await {}
        self.buffer
    }

    /// Reads something; false at the end, however the server made it.
    async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer);
        let read = tokio::time::timeout(TIMEOUT, read).await.expect("the server says nothing");
        matches!(read, Ok(1..))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
