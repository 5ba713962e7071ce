//! A database server whose tables are on a small file system, which is mounted for it alone and is
//! gone with it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::db_server::{DbServer, script};
use crate::postgres::execute;
use crate::process::{output, stderr};

/// A server, and where its tables are in a mount namespace of its own.
pub struct SmallDisk {
    server: DbServer,
    name: &'static str,
    mount: PathBuf,
}

impl SmallDisk {
    /// PostgreSQL: its system tables are elsewhere, only those of the store are on the small disk.
    pub async fn of_postgres() -> Self {
        let disk = Self::of(&["postgres"], "postgres", "small").await;
        for sql in [
            &format!("CREATE TABLESPACE small LOCATION '{}'", disk.mount.display()),
            "GRANT CREATE ON TABLESPACE small TO storefront",
            "ALTER DATABASE storefront SET default_tablespace = small",
        ] {
            execute(disk.server.value("postgres-admin"), sql).await;
        }
        disk
    }

    /// Cassandra with little memory for recent writes, so that it writes its tables early.
    pub async fn of_cassandra() -> Self {
        let arguments = &[
            "cassandra",
            "--heap",
            "512M",
            "--yaml",
            "memtable_heap_space=8MiB",
            "--yaml",
            "memtable_offheap_space=8MiB",
        ];
        Self::of(arguments, "cassandra:1", "cassandra/1/data/storefront").await
    }

    /// As `--database-url` takes it.
    pub fn url(&self) -> &str {
        let backend = self.name.split(':').next().expect("a split has a first part");
        self.server.value(backend)
    }

    /// What an operator does: makes the disk larger, and starts a node of Cassandra again.
    pub async fn enlarge(&self) {
        let mut steps = vec![format!("mount -o remount,size=64m '{}'", self.mount.display())];
        if self.name.starts_with("cassandra") {
            let (script, folder) = (script(), self.server.folder());
            let servers = format!("'{}' --dir '{}'", script.display(), folder.display());
            steps.push(format!("{servers} stop {} --kill", self.name));
            steps.push(format!("{servers} start {}", self.name));
        }
        let steps = steps.join(" && ");
        tokio::task::block_in_place(|| inside(&self.server, self.name, &["sh", "-c", &steps]));
    }

    /// `scripts/servers up` with these arguments; the tables of server `name` are in the folder `tables`.
    async fn of(arguments: &'static [&'static str], name: &'static str, tables: &str) -> Self {
        let start = || start_in_namespace(arguments);
        let server = tokio::task::spawn_blocking(start).await.unwrap();
        let mount = server.folder().join(tables);
        mount_small(&server, name, &mount);
        Self { server, name, mount }
    }
}

/// Mounts an empty file system of 16 MB at that path, which belongs to the server's user.
fn mount_small(server: &DbServer, name: &str, path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    // PostgreSQL's user is another than root.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    let owner = std::fs::metadata(format!("/proc/{}", server.id(name))).unwrap();
    let options = format!("size=16m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
    let path = path.to_str().expect("a path that is text");
    inside(server, name, &["mount", "-t", "tmpfs", "-o", &options, "none", path]);
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A server in a mount namespace of its own.
fn start_in_namespace(arguments: &[&str]) -> DbServer {
    let mut command = Command::new("unshare");
    // Other users than root may do this in a user namespace, as themselves: PostgreSQL refuses to
    // run as root.
    let user: &[_] = if is_root() { &[] } else { &["--map-current-user", "--keep-caps"] };
    command.arg("--mount").args(user).arg(script());
    DbServer::start_by(command, arguments)
}

/// Runs a command in the server's namespace.
fn inside(server: &DbServer, name: &str, command: &[&str]) {
    let mut enter = Command::new("nsenter");
    let user: &[_] = if is_root() { &[] } else { &["--user", "--preserve-credentials"] };
    enter.args(["--target", &server.id(name).to_string(), "--mount"]).args(user);
    let done = output(enter.args(command));
    assert!(done.status.success(), "{command:?}: {}", stderr(&done));
}
