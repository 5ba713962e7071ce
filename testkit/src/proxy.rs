//! A TCP proxy before a database, which fails on purpose.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards them.
    Pass,
    /// Resets every connection, old and new.
    Cut,
    /// Forwards them so much later.
    Delay(Duration),
    /// Keeps connections open and forwards nothing. Afterwards older connections continue, and what
    /// was sent meanwhile is forwarded; connections that were opened meanwhile are reset.
    Freeze,
    /// Keeps connections open and drops what is sent. Older connections stay silent for ever;
    /// connections that were opened meanwhile are reset afterwards.
    Swallow,
}

/// Listens on a free port; ends with the value.
pub struct Proxy {
    /// Where the program connects in place of the database.
    pub address: SocketAddr,
    state: watch::Sender<State>,
    /// What the program has sent that is frozen, of all connections together.
    frozen: watch::Sender<Vec<u8>>,
    listening: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// How often it was cut. A connection that is older than the last cut is reset, however short
    /// the cut was.
    cuts: u64,
    /// How often it began to swallow. A connection that is older forwards nothing any more.
    swallows: u64,
}

impl Proxy {
    /// A proxy that forwards everything to the server.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (state, watched) = watch::channel(State { mode: Mode::Pass, cuts: 0, swallows: 0 });
        let frozen = watch::Sender::new(Vec::new());
        let kept = frozen.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, watched.clone(), kept.clone()));
            }
        });
        Self { address, state, frozen, listening }
    }

    /// A proxy before the server of a database, and the database's URL by the proxy, without any setting.
    ///
    /// The driver of Cassandra takes the port that it was told for that of every node, and a node's
    /// address from the node: with one node on this machine, whatever is sent goes by the proxy. The
    /// longer timeout that keyspaces of tests have is left out, so that the program has the shipped one.
    pub async fn before(url: &str) -> (String, Self) {
        let mut by_proxy: Url = url.parse().expect("a URL");
        let usual = if by_proxy.scheme() == "cassandra" { 9042 } else { 5432 };
        let real = (by_proxy.host_str().expect("a host"), by_proxy.port().unwrap_or(usual));
        let mut addresses = real.to_socket_addrs().expect("an address");
        let proxy = Self::to(addresses.next().expect("an address")).await;
        by_proxy.set_ip_host(proxy.address.ip()).expect("a URL with a host");
        by_proxy.set_port(Some(proxy.address.port())).expect("a URL with a host");
        if by_proxy.scheme() == "cassandra" {
            by_proxy.set_query(None);
        }
        (by_proxy.to_string(), proxy)
    }

    /// Changes the mode, for connections that are open too.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.cuts += u64::from(mode == Mode::Cut);
            state.swallows += u64::from(mode == Mode::Swallow);
        });
    }

    /// Waits until the program has sent these bytes, which are frozen.
    pub async fn holds(&self, bytes: &[u8]) {
        let is_there = |frozen: &Vec<u8>| frozen.windows(bytes.len()).any(|part| part == bytes);
        let held = self.frozen.subscribe().wait_for(is_there).await.map(drop);
        held.expect("the proxy listens");
    }

    /// Ends a fault.
    pub fn restore(&self) {
        self.set(Mode::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    mut state: watch::Receiver<State>,
    frozen: watch::Sender<Vec<u8>>,
) {
    let start = *state.borrow();
    if matches!(start.mode, Mode::Cut | Mode::Freeze | Mode::Swallow) {
        // Nothing is read, so what is sent stays in the socket. An error is the end of the proxy.
        drop(state.wait_for(|now| now.mode == Mode::Cut || now.mode != start.mode).await);
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return reset(&client) };
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = forward(from_client, to_server, state.clone(), Some(&frozen)) => false,
            _ = forward(from_server, to_client, state.clone(), None) => false,
            _ = state.wait_for(|now| now.cuts > start.cuts) => true,
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

/// Forwards one direction until its end; keeps what is frozen meanwhile.
async fn forward(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    frozen: Option<&watch::Sender<Vec<u8>>>,
) -> io::Result<()> {
    let swallows = state.borrow().swallows;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let now = *state.borrow();
        if length == 0 {
            let is_from_server = frozen.is_none();
            if is_from_server && now.swallows != swallows {
                // That the server closes the connection is swallowed too; the program may still close it.
                std::future::pending::<()>().await;
            }
            return Ok(());
        }
        match now.mode {
            Mode::Delay(by) => tokio::time::sleep(by).await,
            Mode::Freeze => {
                if let Some(frozen) = frozen {
                    frozen.send_modify(|all| all.extend_from_slice(&buffer[..length]));
                }
                drop(state.wait_for(|now| now.mode != Mode::Freeze).await);
            }
            Mode::Pass | Mode::Cut | Mode::Swallow => {}
        }
        if now.swallows == swallows {
            to.write_all(&buffer[..length]).await?;
        }
    }
}

/// Makes the other side get a reset, not an orderly end, when the stream is dropped.
fn reset(stream: &TcpStream) {
    // It may be broken already.
    drop(socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}
