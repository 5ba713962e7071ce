//! A full disk and a file that cannot be written: every write gets its error, none is acknowledged falsely,
//! reads go on, and writes work again when the disk does.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use tokio::task::JoinHandle;

use testkit::games::{game, game_with};
use testkit::process::{Server, program, storefront};
use testkit::workload::{self, Acknowledged, Direct, Progress};

/// Runs the server in a mount namespace of its own, where `disk` is a file system of some MB that
/// exists for it alone and goes with it. The test reaches it through the process's root.
fn on_a_small_disk(folder: &Path, megabytes: u32) -> Server {
    let mut command = program(Path::new("unshare"), folder);
    // Other users than root may do this in a user namespace of their own.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    command.args(if is_root { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    command.args(["sh", "-c", "mount -t tmpfs -o size=$0m none disk && exec \"$@\""]);
    command.arg(megabytes.to_string());
    command.arg(testkit::process::binary());
    command.args(["serve", "--database-url", "embedded:disk/games.db"]);
    Server::spawn(&mut command, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_is_acknowledged_falsely_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let server = Arc::new(on_a_small_disk(folder.path(), 6));
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..4)
        .map(|number| {
            let (sender, progress) = (Direct(Arc::clone(&server)), Arc::clone(&progress));
            tokio::spawn(async move { workload::client(&sender, &progress, number, 0).await })
        })
        .collect();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { fill(&server).await })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    testkit::wait::eventually("writes of all clients are refused", async || {
        progress.unknown() >= 8 || writers.iter().any(JoinHandle::is_finished)
    })
    .await;
    progress.stop();
    let mut told = Acknowledged::default();
    for writer in writers {
        told.add(writer.await.expect("a client got only correct answers"));
    }
    assert!(acknowledged.len() > 1_000, "{} writes before the disk was full", acknowledged.len());
    for path in &acknowledged {
        assert_eq!(server.status(path).await, 200, "{path} was acknowledged");
    }
    server.has_logged("the disk of the database is full").await;
    told.verify(&server).await;
    assert_eq!(server.get("/readyz").await, "ready");

    // The operator enlarges the disk; no restart is needed.
    enlarge(&server, folder.path());
    let answer = server.send(Method::POST, "/api/overview", Some(&game("after"))).await.unwrap();
    assert_eq!(answer.status(), 201);
    for path in &acknowledged {
        assert_eq!(server.status(path).await, 200, "{path} was acknowledged");
    }
    told.verify(&server).await;
}

fn enlarge(server: &Server, folder: &Path) {
    let root = format!("/proc/{}/root", server.id());
    let disk = format!("{root}{}", folder.join("disk").display());
    let bigger = Command::new("nsenter")
        .args([
            &format!("--mount=/proc/{}/ns/mnt", server.id()),
            "mount",
            "-o",
            "remount,size=200m",
        ])
        .arg(folder.join("disk"))
        .status();
    assert!(bigger.is_ok_and(|status| status.success()), "{disk}");
}

/// The log finds room and the file does not: what is answered is in the log, and is copied later.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_finds_the_disk_full_is_made_later() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    // Room for a log of 8,000 pages, at which the second checkpoint begins, and half as large a file.
    let server = on_a_small_disk(folder.path(), 54);
    let large = game_with(serde_json::json!({ "description": "d".repeat(60_000) }));
    let create = async || server.send(Method::POST, "/api/overview", Some(&large)).await.unwrap();
    let mut acknowledged = 0;
    while create().await.status() == 201 {
        acknowledged += 1;
    }
    server.has_logged("checkpoint failed").await;
    let failures = server.metric("storefront_checkpoint_failures_total").await;
    testkit::wait::eventually("another try", async || {
        server.metric("storefront_checkpoint_failures_total").await > failures
    })
    .await;
    assert_eq!(server.log().matches("checkpoint failed").count(), 1);
    let made = server.metric("storefront_checkpoint_seconds_count").await;

    enlarge(&server, folder.path());
    testkit::wait::eventually("a checkpoint", async || {
        server.metric("storefront_checkpoint_seconds_count").await > made
    })
    .await;
    assert_eq!(create().await.status(), 201);
    assert!(acknowledged > 300, "{acknowledged}");
    for id in 1..=acknowledged {
        assert_eq!(server.status(&format!("/api/overview/{id}")).await, 200, "{id}");
    }
}

/// Writes until refused; the places of what was acknowledged.
async fn fill(server: &Server) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let answer = server.send(Method::POST, "/api/overview", Some(&game("a"))).await.unwrap();
        if answer.status() != 201 {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
            return acknowledged;
        }
        acknowledged.push(answer.headers()["location"].to_str().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_read_only_file_reads_go_on_and_every_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("games.db");
    let mut seed = storefront(folder.path());
    seed.args(["seed", "--rows", "50", "--database-url", "embedded:games.db"]);
    assert!(testkit::process::output(&mut seed).status.success());
    let server = Arc::new(without_permission(folder.path(), &file));
    let answers: Vec<_> = (0..40)
        .map(|n| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let (method, path) = match n % 3 {
                    0 => (Method::POST, "/api/overview"),
                    1 => (Method::PUT, "/api/overview/7"),
                    _ => (Method::DELETE, "/api/overview/7"),
                };
                let body = (n % 3 < 2).then(|| game("refused"));
                server.send(method, path, body.as_ref()).await.unwrap().status().as_u16()
            })
        })
        .collect();
    for answer in answers {
        assert_eq!(answer.await.unwrap(), 503);
    }
    assert!(!server.get("/api/overview/7").await.contains("refused"));
    assert_eq!(server.status("/api/overview/51").await, 404);
    server.has_logged("cannot be written").await;
}

/// Root may write any file, so as root the server runs as the user `nobody`.
fn without_permission(folder: &Path, file: &Path) -> Server {
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(file, 0o444);
    set(&folder.join("games-activities.db"), 0o444);
    set(folder, 0o777);
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        // The program's own folder may be closed to others.
        let copy = folder.join("storefront");
        std::fs::copy(testkit::process::binary(), &copy).unwrap();
        let mut command = program(Path::new("setpriv"), folder);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        command
    } else {
        storefront(folder)
    };
    command.args(["serve", "--database-url", "embedded:games.db"]);
    Server::spawn(&mut command, folder)
}
