//! A database server of a test's own, which may be killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::process::{errors, output, printed};

/// The highest of the ports that a set of servers counts from its base.
const HIGHEST: u16 = 90;

/// No node keeps anything for another that is away, and none acknowledges what is not on its own disk.
/// By `periodic`, Cassandra's default, a node that is killed forgets what it acknowledged in the last
/// tenth of a second. With another node away at that time too few copies have it.
const OF_A_CLUSTER: [&str; 3] =
    ["hinted_handoff_enabled=false", "commitlog_sync=batch", "commitlog_sync_period=0ms"];

/// A server in a folder of its own, gone with the value.
pub struct OwnServer {
    /// What the script printed: a name and a value a line.
    lines: String,
    folder: tempfile::TempDir,
}

impl OwnServer {
    /// Starts what the script makes of these words; takes some seconds.
    pub fn start(what: &[&str]) -> Self {
        Self::start_by(Command::new(script()), what)
    }

    /// The same by a command that runs the script.
    pub fn start_by(mut command: Command, what: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.arg("--dir").arg(folder.path().join("servers"));
        command.args(["--port-base", &free_ports().to_string(), "up"]).args(what);
        // From here on whatever was started is ended with the value.
        let mut server = Self { lines: String::new(), folder };
        let up = output(&mut command);
        assert!(up.status.success(), "{}", errors(&up));
        server.lines = printed(&up);
        server
    }

    /// Three nodes of Cassandra; takes half a minute.
    pub async fn cluster() -> Arc<Self> {
        let settings = OF_A_CLUSTER.iter().flat_map(|setting| ["--yaml", setting]);
        let what: Vec<_> = ["cassandra", "--nodes", "3"].into_iter().chain(settings).collect();
        let start = move || Self::start(&what);
        Arc::new(tokio::task::spawn_blocking(start).await.unwrap())
    }

    /// What the script says of it under that name, such as `postgres`: its URL.
    pub fn value(&self, name: &str) -> &str {
        let of_name = |line| str::strip_prefix(line, name)?.strip_prefix(' ');
        self.lines.lines().find_map(of_name).expect("the script prints it")
    }

    /// Ends one as a crash would: `postgres`, or a node such as `cassandra:2`.
    pub fn kill(&self, name: &str) {
        self.script(&["stop", name, "--kill"]);
    }

    /// Ends one as it would like to be ended: the others know at once.
    pub fn stop(&self, name: &str) {
        self.script(&["stop", name]);
    }

    /// Starts one again, with its data.
    pub fn start_again(&self, name: &str) {
        self.script(&["start", name]);
    }

    /// The number of the process of `postgres`, its postmaster, or of a node.
    pub fn id(&self, name: &str) -> u32 {
        let status = output(&mut self.command(&["status"]));
        let (text, state) = (printed(&status), format!("state {name} running "));
        let id = text.lines().find_map(|line| line.strip_prefix(&state));
        id.unwrap_or_else(|| panic!("{text}")).parse().expect("a number")
    }

    /// Where the script keeps it: its `--dir`.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("servers")
    }

    fn script(&self, arguments: &[&str]) {
        let done = output(&mut self.command(arguments));
        assert!(done.status.success(), "{}", errors(&done));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.arg("--dir").arg(self.folder()).args(arguments);
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.command(&["down"]).output());
    }
}

/// Does something that takes long to a server.
pub async fn while_others_work(
    server: &Arc<OwnServer>,
    act: impl FnOnce(&OwnServer) + Send + 'static,
) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap();
}

/// The program that starts servers.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/servers")
}

/// The base of a range of ports of which none was taken a moment ago.
fn free_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below those that the system gives to clients.
    let draw = || rand::random_range(10_000..32_000);
    std::iter::repeat_with(draw)
        .find(|base| (*base..base + HIGHEST).all(is_free))
        .expect("the search does not end without a range")
}
