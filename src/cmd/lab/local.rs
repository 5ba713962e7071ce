//! The servers that `scripts/servers` started on this machine: what of them is registered, and faults.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use serde::Deserialize;

use crate::lab::databases::Registration;
use crate::lab::model::{DatabaseSize, DatabaseType, Fault, FaultAction};
use crate::lab::servers::ServerControl;

/// The server of each type in a local set.
const SINGLE: &str = "postgres";
const REPLICATED: &str = "replicated";
const REPLICA: &str = "replicated-replica";
const DISTRIBUTED: &str = "cassandra";

/// A set of servers of the script.
pub(super) struct LocalServers {
    script: PathBuf,
    folder: PathBuf,
    servers: Vec<LocalServer>,
}

/// What the script says of its set.
#[derive(Debug, Deserialize)]
struct Status {
    servers: Vec<LocalServer>,
}

#[derive(Debug, Deserialize)]
struct LocalServer {
    name: String,
    urls: std::collections::BTreeMap<String, String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    host: String,
    port: u16,
}

impl LocalServers {
    /// Asks the script which servers the folder lists. Blocks.
    ///
    /// # Errors
    /// If there is no such script, or the folder lists no server.
    pub(super) fn read(script: &Path, folder: &Path) -> anyhow::Result<Self> {
        let script = std::path::absolute(script)?;
        if !script.is_file() {
            bail!("--local needs {}: run the lab in the project's folder", script.display());
        }
        let output = Command::new(&script)
            .arg("--dir")
            .arg(folder)
            .args(["status", "--json"])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", script.display()))?;
        let status: Status = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "no servers are in {}: start them by scripts/servers --dir {0} up lab; it said: {}",
                folder.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })?;
        let local = Self { script, folder: folder.to_owned(), servers: status.servers };
        // A lab that was killed in a fault has left servers paused or stopped.
        for server in &local.servers {
            local.run("resume", &[&server.name]).map_err(anyhow::Error::msg)?;
            local.run("start", &[&server.name]).map_err(anyhow::Error::msg)?;
        }
        Ok(local)
    }

    /// What of the set can be registered, in all sizes.
    pub(super) fn registrations(&self) -> Vec<Registration> {
        let mut all = Vec::new();
        for (database_type, name) in [
            (DatabaseType::Single, SINGLE),
            (DatabaseType::Replicated, REPLICATED),
            (DatabaseType::Distributed, DISTRIBUTED),
        ] {
            let Some(url) = self.server(name).and_then(|server| server.urls.get(name)) else {
                continue;
            };
            let replica =
                (database_type == DatabaseType::Replicated).then(|| self.replica()).flatten();
            if database_type == DatabaseType::Replicated && replica.is_none() {
                continue;
            }
            let nodes = self.server(name).map_or(1, |server| server.nodes.len());
            for database_size in DatabaseSize::ALL {
                let url = match database_type {
                    DatabaseType::Distributed if usize::from(database_size.get()) > nodes => {
                        continue;
                    }
                    DatabaseType::Distributed => format!("{url}?replication={database_size}"),
                    _ => url.clone(),
                };
                all.push(Registration {
                    resource_id: format!("local-{}-{database_size}", database_type.name()),
                    database_type,
                    database_size,
                    connection_string: url,
                    replica: replica.clone(),
                    stand_in: None,
                });
            }
        }
        all
    }

    fn server(&self, name: &str) -> Option<&LocalServer> {
        self.servers.iter().find(|server| server.name == name)
    }

    fn replica(&self) -> Option<String> {
        let node = self.server(REPLICA)?.nodes.first()?;
        Some(format!("{}:{}", node.host, node.port))
    }

    /// The script's name of a fault's target.
    fn target(&self, target: &str) -> Result<String, String> {
        let (server, node) = match target {
            "sql" => (SINGLE, None),
            "sqlrep" => (REPLICATED, None),
            "sqlrep-replica" => (REPLICA, None),
            _ => match target.strip_prefix("spanner-").and_then(|node| node.parse().ok()) {
                Some(node) => (DISTRIBUTED, Some(node)),
                None => {
                    return Err(format!(
                        "`{target}` is no target of a fault: name sql, sqlrep, sqlrep-replica, spanner-1, \
                         spanner-2 or spanner-3."
                    ));
                }
            },
        };
        let nodes = self.server(server).map_or(0, |server| server.nodes.len());
        match node {
            _ if nodes == 0 => {
                Err(format!("`{target}` does not run: scripts/servers up {server} starts it."))
            }
            Some(node) if !(1..=nodes).contains(&node) => {
                Err(format!("`{target}` does not run: there are {nodes} nodes."))
            }
            // The script names a node only where there are several.
            Some(node) if nodes > 1 => Ok(format!("{server}:{node}")),
            _ => Ok(server.to_owned()),
        }
    }

    /// Runs a command of the script. Blocks.
    fn run(&self, command: &str, arguments: &[&str]) -> Result<(), String> {
        let mut child = Command::new(&self.script);
        child.arg("--dir").arg(&self.folder).arg(command).args(arguments).stdin(Stdio::null());
        let output =
            child.output().map_err(|error| format!("scripts/servers cannot be run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("scripts/servers {command} {} failed: {}", arguments.join(" "), said.trim()))
    }
}

/// [`LocalServers`], shared with the tasks that undo faults.
pub(super) struct LocalControl(pub(super) Arc<LocalServers>);

impl LocalControl {
    async fn run(&self, command: &'static str, arguments: Vec<String>) -> Result<(), String> {
        let servers = Arc::clone(&self.0);
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            servers.run(command, &arguments)
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())?
    }
}

/// Undoes a fault when it is dropped, also where the run was stopped or failed.
struct Undo {
    servers: Arc<LocalServers>,
    command: &'static str,
    target: String,
}

impl Drop for Undo {
    fn drop(&mut self) {
        let (servers, command) = (Arc::clone(&self.servers), self.command);
        let target = std::mem::take(&mut self.target);
        // A thread: the runtime may be ending.
        std::thread::spawn(move || {
            if let Err(why) = servers.run(command, &[&target]) {
                tracing::error!(target, why, "a fault could not be undone");
            }
        });
    }
}

#[async_trait]
impl ServerControl for LocalControl {
    fn check(&self, fault: &Fault) -> Result<(), String> {
        let is_cassandra = self.0.target(&fault.target)?.starts_with(DISTRIBUTED);
        match fault.action {
            FaultAction::Cut | FaultAction::Delay if is_cassandra => {
                // Its nodes tell each other's addresses to the driver, which would go around a proxy.
                Err("`cut` and `delay` are not possible for Cassandra: use pause or kill."
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    async fn inject(&self, fault: &Fault, duration: Duration) -> Result<(), String> {
        self.check(fault)?;
        let target = self.0.target(&fault.target)?;
        let (begin, arguments, end) = match fault.action {
            FaultAction::Kill => ("stop", vec![target.clone(), "--kill".to_owned()], "start"),
            _ => ("pause", vec![target.clone()], "resume"),
        };
        // Before the fault: an error in the middle of it is undone too.
        let _undo = Undo { servers: Arc::clone(&self.0), command: end, target };
        self.run(begin, arguments).await?;
        tokio::time::sleep(duration).await;
        Ok(())
    }

    async fn set_size(&self, database: DatabaseType, size: DatabaseSize) -> Result<(), String> {
        let server = match database {
            DatabaseType::Single => SINGLE,
            DatabaseType::Replicated => REPLICATED,
            DatabaseType::Distributed => return Ok(()),
        };
        if self.0.server(server).is_none() {
            return Ok(());
        }
        let name = ["small", "medium", "large"][usize::from(size.get()) - 1];
        self.run("size", vec![server.to_owned(), name.to_owned()]).await
    }
}
