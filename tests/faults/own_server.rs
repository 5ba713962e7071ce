//! A PostgreSQL server of a test's own, which may be killed.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::process::{errors, output, printed};

/// The highest of the ports that a set of servers counts from its base.
const HIGHEST: u16 = 90;

/// A server in a folder of its own, gone with the value.
pub struct OwnServer {
    /// As `--database-url` takes it.
    pub url: String,
    /// The same for the administrator.
    pub admin: String,
    folder: tempfile::TempDir,
}

impl OwnServer {
    /// Starts one; takes some seconds.
    pub fn start() -> Self {
        Self::start_by(Command::new(script()))
    }

    /// The same by a command that runs the script.
    pub fn start_by(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.arg("--dir").arg(folder.path().join("servers"));
        command.args(["--port-base", &free_ports().to_string(), "up", "postgres"]);
        // From here on whatever was started is ended with the value.
        let mut server = Self { url: String::new(), admin: String::new(), folder };
        let up = output(&mut command);
        assert!(up.status.success(), "{}", errors(&up));
        let lines = printed(&up);
        let value = |name: &str| {
            let line = lines.lines().find_map(|line| line.strip_prefix(name));
            line.expect("the server's address").trim().to_owned()
        };
        (server.url, server.admin) = (value("postgres "), value("postgres-admin "));
        server
    }

    /// Ends it as a crash would.
    pub fn kill(&self) {
        self.script(&["stop", "postgres", "--kill"]);
    }

    /// Starts it again, with its data.
    pub fn start_again(&self) {
        self.script(&["start", "postgres"]);
    }

    /// The postmaster's number.
    pub fn id(&self) -> u32 {
        let status = output(&mut self.command(&["status"]));
        let text = printed(&status);
        let id = text.lines().find_map(|line| line.strip_prefix("state postgres running "));
        id.unwrap_or_else(|| panic!("{text}")).parse().expect("a number")
    }

    fn script(&self, arguments: &[&str]) {
        let done = output(&mut self.command(arguments));
        assert!(done.status.success(), "{}", errors(&done));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.arg("--dir").arg(self.folder.path().join("servers")).args(arguments);
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.command(&["down"]).output());
    }
}

/// The program that starts servers.
pub fn script() -> std::path::PathBuf {
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
