//! A database server whose tables are on a small file system, which exists for it alone and goes
//! with it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::own_server::{OwnServer, script, while_others_work};
use crate::process::{errors, output};
use crate::support::postgres::execute;

/// Where the server's tables are, in a mount namespace of the server's own.
pub struct SmallDisk {
    server: Arc<OwnServer>,
    name: &'static str,
    mount: PathBuf,
}

impl SmallDisk {
    /// PostgreSQL; its first tables have room, and those of the store have not.
    pub async fn of_postgres() -> Self {
        let disk = Self::of(vec!["postgres"], "postgres", "small").await;
        for sql in [
            &format!("CREATE TABLESPACE small LOCATION '{}'", disk.mount.display()),
            "GRANT CREATE ON TABLESPACE small TO storefront",
            "ALTER DATABASE storefront SET default_tablespace = small",
        ] {
            execute(disk.server.value("postgres-admin"), sql).await;
        }
        disk
    }

    /// Cassandra, which writes what it has in memory into its tables early.
    pub async fn of_cassandra() -> Self {
        let what = vec![
            "cassandra",
            "--heap",
            "512M",
            "--yaml",
            "memtable_heap_space=8MiB",
            "--yaml",
            "memtable_offheap_space=8MiB",
        ];
        Self::of(what, "cassandra:1", "cassandra/1/data/storefront").await
    }

    /// As the program takes it.
    pub fn url(&self) -> &str {
        let backend = self.name.split(':').next().expect("a split has a first part");
        self.server.value(backend)
    }

    /// What an operator does: the disk is larger, and a node of Cassandra is started again.
    pub async fn make_room(&self) {
        let mut steps = vec![format!("mount -o remount,size=64m '{}'", self.mount.display())];
        if self.name.starts_with("cassandra") {
            let (script, folder) = (script(), self.server.folder());
            let servers = format!("'{}' --dir '{}'", script.display(), folder.display());
            let acts = [format!("stop {} --kill", self.name), format!("start {}", self.name)];
            steps.extend(acts.map(|act| format!("{servers} {act}")));
        }
        let steps = steps.join(" && ");
        let name = self.name;
        while_others_work(&self.server, move |it| inside(it, name, &["sh", "-c", &steps])).await;
    }

    /// What the script makes of these words, and where in its folder that server has its tables.
    async fn of(what: Vec<&'static str>, name: &'static str, tables: &str) -> Self {
        let server = tokio::task::spawn_blocking(move || in_a_namespace(&what)).await.unwrap();
        let mount = server.folder().join(tables);
        put_under(&server, name, &mount);
        Self { server: Arc::new(server), name, mount }
    }
}

/// Mounts an empty file system of 16 MB at that path, which belongs to the server's user.
fn put_under(server: &OwnServer, name: &str, path: &Path) {
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
fn in_a_namespace(what: &[&str]) -> OwnServer {
    let mut command = Command::new("unshare");
    // Other users than root may do this in a user namespace, as themselves: PostgreSQL refuses to
    // run as root.
    let user: &[_] = if is_root() { &[] } else { &["--map-current-user", "--keep-caps"] };
    command.arg("--mount").args(user).arg(script());
    OwnServer::start_by(command, what)
}

/// Runs a command in the server's namespace.
fn inside(server: &OwnServer, name: &str, command: &[&str]) {
    let mut enter = Command::new("nsenter");
    let user: &[_] = if is_root() { &[] } else { &["--user", "--preserve-credentials"] };
    enter.args(["--target", &server.id(name).to_string(), "--mount"]).args(user);
    let done = output(enter.args(command));
    assert!(done.status.success(), "{command:?}: {}", errors(&done));
}
