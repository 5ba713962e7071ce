//! The servers that `scripts/servers` started on this machine: what of them is registered, and faults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use rustix::process::Pid;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::processes;

use crate::db::storage::NewDatabase;
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
    /// As the script said it last: processes change when a server is restarted.
    servers: Mutex<Vec<LocalServer>>,
}

/// What the script says of its set.
#[derive(Debug, Deserialize)]
struct Status {
    servers: Vec<LocalServer>,
}

#[derive(Debug, Clone, Deserialize)]
struct LocalServer {
    name: String,
    urls: BTreeMap<String, String>,
    size: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
struct Node {
    name: String,
    pid: Option<i32>,
    start_time: Option<u64>,
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
        let local = Self { script, folder: folder.to_owned(), servers: Mutex::default() };
        local.refresh().map_err(|why| {
            let folder = folder.display();
            anyhow::anyhow!(
                "no servers are in {folder}: start them by scripts/servers --dir {folder} up lab ({why})"
            )
        })?;
        // A lab that was killed in a fault has left servers paused or stopped.
        // A list of its own: the lock must not be held while the list is read again.
        let known = local.servers().clone();
        for server in known {
            local.run("resume", &[&server.name]).map_err(anyhow::Error::msg)?;
            if server.nodes.iter().any(|node| node.pid.is_none()) {
                local.run("start", &[&server.name]).map_err(anyhow::Error::msg)?;
                local.refresh().map_err(anyhow::Error::msg)?;
            }
        }
        Ok(local)
    }

    /// Asks the script for the present processes. Blocks.
    fn refresh(&self) -> Result<(), String> {
        let output = self.command("status").arg("--json").output();
        let output = output.map_err(|error| format!("scripts/servers cannot be run: {error}"))?;
        let status: Status = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
        *self.servers() = status.servers;
        Ok(())
    }

    fn servers(&self) -> MutexGuard<'_, Vec<LocalServer>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(&self.script);
        script.arg("--dir").arg(&self.folder).arg(command).stdin(Stdio::null());
        script
    }

    /// What of the set can be registered, in all sizes.
    pub(super) fn registrations(&self) -> Vec<Registration> {
        let mut all = Vec::new();
        for (database_type, name) in [
            (DatabaseType::Single, SINGLE),
            (DatabaseType::Replicated, REPLICATED),
            (DatabaseType::Distributed, DISTRIBUTED),
        ] {
            let Some(url) = self.server(name).and_then(|server| server.urls.get(name).cloned())
            else {
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

    fn server(&self, name: &str) -> Option<LocalServer> {
        self.servers().iter().find(|server| server.name == name).cloned()
    }

    fn replica(&self) -> Option<String> {
        let server = self.server(REPLICA)?;
        let node = server.nodes.first()?;
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

    /// The processes of a server or node: the one that the script has started, and all that it has started.
    fn processes(&self, target: &str) -> Result<Vec<Pid>, String> {
        let find = || {
            let servers = self.servers();
            let node =
                servers.iter().flat_map(|server| &server.nodes).find(|node| node.name == target)?;
            let (pid, started) = (node.pid?, node.start_time?);
            // Otherwise it has ended, and its id may be another program's.
            (processes::start_time(pid)? == started).then_some(pid)
        };
        let found = find().or_else(|| {
            self.refresh().ok()?;
            find()
        });
        let pid = found.ok_or_else(|| format!("`{target}` does not run."))?;
        Ok(processes::tree(pid))
    }

    /// Runs a command of the script. Blocks.
    fn run(&self, command: &str, arguments: &[&str]) -> Result<(), String> {
        let output = self.command(command).args(arguments).output();
        let output = output.map_err(|error| format!("scripts/servers cannot be run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("scripts/servers {command} {} failed: {}", arguments.join(" "), said.trim()))
    }
}

/// [`LocalServers`], shared with the tasks that undo faults.
#[derive(Clone)]
pub(super) struct LocalControl {
    servers: Arc<LocalServers>,
    /// The tasks of faults, each of which undoes its own.
    faults: TaskTracker,
}

impl LocalControl {
    pub(super) fn of(servers: Arc<LocalServers>) -> Self {
        let faults = TaskTracker::new();
        // Closed, so that it can be waited for; it takes tasks all the same.
        faults.close();
        Self { servers, faults }
    }

    async fn refresh(&self) -> Result<(), String> {
        let servers = Arc::clone(&self.servers);
        let refreshed = tokio::task::spawn_blocking(move || servers.refresh());
        refreshed.await.map_err(|error| error.to_string())?
    }

    async fn run(&self, command: &'static str, arguments: Vec<String>) -> Result<(), String> {
        let servers = Arc::clone(&self.servers);
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            servers.run(command, &arguments)
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())?
    }
}

impl LocalControl {
    /// Kills a server, and starts it again after that time or when `cancelled`, whatever has failed.
    async fn kill(
        self,
        target: String,
        duration: Duration,
        cancelled: CancellationToken,
    ) -> Result<(), String> {
        let killed = self.run("stop", vec![target.clone(), "--kill".to_owned()]).await;
        if killed.is_ok() {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = cancelled.cancelled() => {}
            }
        }
        let started = self.run("start", vec![target]).await;
        killed.and(started)
    }

    /// Pauses a server, until that time is over or `cancelled`.
    async fn pause(
        self,
        target: String,
        duration: Duration,
        cancelled: CancellationToken,
    ) -> Result<(), String> {
        // By signals of its own: on a machine that a run keeps busy the script takes seconds to start.
        let (servers, name) = (Arc::clone(&self.servers), target.clone());
        let processes = tokio::task::spawn_blocking(move || servers.processes(&name));
        let paused = processes::Paused::of(processes.await.map_err(|error| error.to_string())??);
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = cancelled.cancelled() => {}
        }
        drop(paused);
        // Also continues what the server may have started in between.
        self.run("resume", vec![target]).await
    }
}

#[async_trait]
impl ServerControl for LocalControl {
    fn check(&self, fault: &Fault) -> Result<(), String> {
        let is_cassandra = self.servers.target(&fault.target)?.starts_with(DISTRIBUTED);
        match fault.action {
            FaultAction::Cut | FaultAction::Delay if is_cassandra => {
                // Its nodes tell each other's addresses to the driver, which would go around a proxy.
                Err("`cut` and `delay` are not possible for Cassandra: use pause or kill."
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    fn controls(&self, database: &NewDatabase) -> bool {
        let is_registered = |one: &Registration| {
            (&one.resource_id, &one.connection_string)
                == (&database.resource_id, &database.connection_string)
        };
        self.servers.registrations().iter().any(is_registered)
    }

    async fn inject(
        &self,
        fault: &Fault,
        duration: Duration,
        cancelled: &CancellationToken,
    ) -> Result<(), String> {
        self.check(fault)?;
        let target = self.servers.target(&fault.target)?;
        // A task of its own, which undoes the fault also if this future is dropped.
        let cancelled = cancelled.child_token();
        let _cancel = cancelled.clone().drop_guard();
        let control = self.clone();
        let fault = match fault.action {
            FaultAction::Kill => self.faults.spawn(control.kill(target, duration, cancelled)),
            FaultAction::Pause => self.faults.spawn(control.pause(target, duration, cancelled)),
            FaultAction::Cut | FaultAction::Delay => {
                return Err("`cut` and `delay` are done by a proxy.".to_owned());
            }
        };
        fault.await.map_err(|error| error.to_string())?
    }

    async fn undone(&self) {
        self.faults.wait().await;
    }

    async fn set_size(&self, database: DatabaseType, size: DatabaseSize) -> Result<(), String> {
        let server = match database {
            DatabaseType::Single => SINGLE,
            DatabaseType::Replicated => REPLICATED,
            DatabaseType::Distributed => return Ok(()),
        };
        // Another lab may have changed it.
        self.refresh().await?;
        let Some(known) = self.servers.server(server) else { return Ok(()) };
        let name = ["small", "medium", "large"][usize::from(size.get()) - 1];
        if known.size.as_deref() == Some(name) {
            return Ok(());
        }
        self.run("size", vec![server.to_owned(), name.to_owned()]).await?;
        self.refresh().await
    }
}
