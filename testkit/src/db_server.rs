//! A database server for one test, which the test may stop or kill.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::process::{output, stderr, stdout};

/// The highest of the ports that a set of servers counts from its base.
const HIGHEST_PORT: u16 = 90;

/// No node keeps hints for another that is away, and none acknowledges what is not on its own disk.
/// With `periodic`, Cassandra's default, a node that is killed loses what it acknowledged in the last
/// tenth of a second. With another node away at that time too few replicas have it.
const CLUSTER_SETTINGS: [&str; 3] =
    ["hinted_handoff_enabled=false", "commitlog_sync=batch", "commitlog_sync_period=0ms"];

/// A set of servers of `scripts/servers` in a folder of its own, removed with the value.
pub struct DbServer {
    /// What the script printed: a name and a value a line.
    lines: String,
    folder: tempfile::TempDir,
}

impl DbServer {
    /// `scripts/servers up` with these arguments; takes some seconds.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_by(Command::new(script()), arguments)
    }

    /// The same by a command that runs the script.
    pub fn start_by(mut command: Command, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.arg("--dir").arg(folder.path().join("servers"));
        command.args(["--port-base", &free_ports().to_string(), "up"]).args(arguments);
        // Made before the script runs, so that a server that starts only half is removed too.
        let mut server = Self { lines: String::new(), folder };
        let up = output(&mut command);
        assert!(up.status.success(), "{}", stderr(&up));
        server.lines = stdout(&up);
        server
    }

    /// The same, on a thread of its own, so that the runtime of the test goes on.
    pub async fn spawn(arguments: Vec<&'static str>) -> Arc<Self> {
        let start = move || Self::start(&arguments);
        Arc::new(tokio::task::spawn_blocking(start).await.unwrap())
    }

    /// Three nodes of Cassandra; takes half a minute.
    pub async fn cluster() -> Arc<Self> {
        let settings = CLUSTER_SETTINGS.iter().flat_map(|setting| ["--yaml", setting]);
        Self::spawn(["cassandra", "--nodes", "3"].into_iter().chain(settings).collect()).await
    }

    /// The value that the script printed under that name, such as `postgres`: its URL.
    pub fn value(&self, name: &str) -> &str {
        let of_name = |line| str::strip_prefix(line, name)?.strip_prefix(' ');
        self.lines.lines().find_map(of_name).expect("the script prints it")
    }

    /// Ends a server as a crash would: `postgres`, or a node such as `cassandra:2`.
    pub async fn kill(&self, name: &str) {
        self.run(&["stop", name, "--kill"]).await;
    }

    /// Shuts a server down in order: other nodes know at once.
    pub async fn stop(&self, name: &str) {
        self.run(&["stop", name]).await;
    }

    /// Starts a server again, with its data.
    pub async fn start_again(&self, name: &str) {
        self.run(&["start", name]).await;
    }

    /// The id of the process: the postmaster of `postgres`, or a node.
    pub fn id(&self, name: &str) -> u32 {
        let status = output(&mut self.command(&["status"]));
        let (text, state) = (stdout(&status), format!("state {name} running "));
        let id = text.lines().find_map(|line| line.strip_prefix(&state));
        id.unwrap_or_else(|| panic!("{text}")).parse().expect("a number")
    }

    /// The script's `--dir`.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("servers")
    }

    /// Runs the script on a thread of its own, because it takes seconds and the test goes on meanwhile.
    async fn run(&self, arguments: &[&str]) {
        let mut command = self.command(arguments);
        let done = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.arg("--dir").arg(self.folder()).args(arguments);
        command
    }
}

impl Drop for DbServer {
    fn drop(&mut self) {
        drop(self.command(&["down"]).output());
    }
}

/// The program that starts servers.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/servers")
}

/// The base of a range of ports of which none was taken a moment ago.
fn free_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below those that the system gives to clients.
    let draw = || rand::random_range(10_000..32_000);
    std::iter::repeat_with(draw)
        .find(|base| (*base..base + HIGHEST_PORT).all(is_free))
        .expect("the search does not end without a range")
}
