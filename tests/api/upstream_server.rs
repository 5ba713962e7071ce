//! A upstream service to proxy to: a socket that answers each request with the bytes it was given.

use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a request.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Sends these bytes and then nothing more, the connection open.
    SayAndHang(Vec<u8>),
}

pub(crate) struct UpstreamServer {
    pub(crate) url: Url,
    asked: Arc<Mutex<Vec<String>>>,
}

impl UpstreamServer {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = url_of(&listener);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, asked }
    }

    pub(crate) async fn answering(status: &str, content_type: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             set-cookie: theirs=1\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self::start(Manner::Say([head.as_bytes(), body].concat())).await
    }

    /// The first lines of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// A URL of a port where nothing listens.
pub(crate) async fn closed_port() -> Url {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    url_of(&listener)
}

fn url_of(listener: &TcpListener) -> Url {
    let address = listener.local_addr().expect("an address");
    format!("http://{address}").parse().expect("a URL")
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    asked.lock().expect("no panic").push(line);
    let (Manner::Say(bytes) | Manner::SayAndHang(bytes)) = &manner;
    // The client may close before it has read everything.
    let _gone = stream.write_all(bytes).await;
    if matches!(manner, Manner::SayAndHang(_)) {
        std::future::pending::<()>().await;
    }
}
