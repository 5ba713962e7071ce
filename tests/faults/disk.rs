//! The database's disk is full.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use crate::own_server::{OwnServer, script};
use crate::process::{Server, errors, game, output};
use crate::shop::{PATIENCE, answer, everything_works_again, is_unavailable, serve};
use crate::support::postgres::execute;

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_of_the_database_nobody_gets_a_false_yes() {
    let (folder, mount) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = with_tables_on_a_small_disk(mount.path()).await;
    let server = Arc::new(serve(folder.path(), &database.url));
    let clients = (0..8).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { fill(&server).await })
    });
    let told = futures::future::try_join_all(clients).await.unwrap().concat();
    assert!(told.len() > 100, "{} writes before the disk was full", told.len());
    all_there(&server, &told).await;
    assert!(server.log().contains("the disk of PostgreSQL is full"), "{}", server.log());
    assert_eq!(server.get("/readyz").await, "ready");

    // The operator makes room; no restart is needed.
    inside(&database, &["mount", "-o", "remount,size=64m"], mount.path());
    everything_works_again(&server).await;
    all_there(&server, &told).await;
}

/// Writes until refused; the places of what was acknowledged.
async fn fill(server: &Server) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let create = (Method::POST, "/api/overview", Some(large_game()));
        let answer = answer(server, PATIENCE, create).await;
        if answer.status() != 201 {
            is_unavailable(&answer);
            return told;
        }
        told.push(answer.headers()["location"].to_str().unwrap().to_owned());
    }
}

/// PostgreSQL does not compress a random text by much.
fn large_game() -> Value {
    let mut game = game("large");
    let text = std::iter::repeat_with(|| format!("{:016x}", rand::random::<u64>()));
    game["description"] = text.take(1_000).collect::<String>().into();
    game
}

async fn all_there(server: &Server, told: &[String]) {
    for path in told {
        assert_eq!(server.status(path).await, 200, "{path} was acknowledged");
    }
}

/// A server whose new tables are on a file system of 16 MB, which exists for it alone and goes
/// with it.
async fn with_tables_on_a_small_disk(mount: &Path) -> OwnServer {
    let database = tokio::task::spawn_blocking(in_a_namespace).await.unwrap();
    // PostgreSQL's user is another than root.
    std::fs::set_permissions(mount, PermissionsExt::from_mode(0o755)).unwrap();
    let owner = std::fs::metadata(format!("/proc/{}", database.id())).unwrap();
    let options = format!("size=16m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
    inside(&database, &["mount", "-t", "tmpfs", "-o", &options, "none"], mount);
    for sql in [
        &format!("CREATE TABLESPACE small LOCATION '{}'", mount.display()),
        "GRANT CREATE ON TABLESPACE small TO storefront",
        "ALTER DATABASE storefront SET default_tablespace = small",
    ] {
        execute(&database.admin, sql).await;
    }
    database
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A server in a mount namespace of its own.
fn in_a_namespace() -> OwnServer {
    let mut command = Command::new("unshare");
    // Other users than root may do this in a user namespace, as themselves: PostgreSQL refuses to
    // run as root.
    let user: &[_] = if is_root() { &[] } else { &["--map-current-user", "--keep-caps"] };
    command.arg("--mount").args(user).arg(script());
    OwnServer::start_by(command)
}

/// Runs a command, whose last argument is the path, in the server's namespace.
fn inside(database: &OwnServer, command: &[&str], path: &Path) {
    let mut enter = Command::new("nsenter");
    let user: &[_] = if is_root() { &[] } else { &["--user", "--preserve-credentials"] };
    enter.args(["--target", &database.id().to_string(), "--mount"]).args(user);
    let done = output(enter.args(command).arg(path));
    assert!(done.status.success(), "{command:?}: {}", errors(&done));
}
