//! The embedded database's file is deleted or replaced under a running server, and who may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::Method;

use testkit::games::game;
use testkit::process::Server;

async fn create(server: &Server) -> u16 {
    let answer = server.send(Method::POST, "/api/overview", Some(&game("a"))).await;
    answer.unwrap().status().as_u16()
}

fn remove(folder: &Path) {
    fs::remove_file(folder.join("games.db")).unwrap();
}

fn remove_log(folder: &Path) {
    fs::remove_file(folder.join("games.db-wal")).unwrap();
}

/// What `cp` of a backup to another name and `mv` make.
fn replace(folder: &Path) {
    fs::copy(folder.join("games.db"), folder.join("copy.db")).unwrap();
    fs::rename(folder.join("copy.db"), folder.join("games.db")).unwrap();
}

fn move_away(folder: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (format!("games.db{suffix}"), format!("old.db{suffix}"));
        fs::rename(folder.join(from), folder.join(to)).unwrap();
    }
}

#[tokio::test]
async fn once_the_file_is_gone_nothing_is_acknowledged_and_nothing_is_read() {
    for lose in [remove, remove_log, replace, move_away] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        assert_eq!(create(&server).await, 201);
        assert_eq!(server.status("/api/overview/1").await, 200);
        lose(folder.path());
        for _ in 0..20 {
            assert_eq!(create(&server).await, 503);
        }
        for path in ["/api/overview/1", "/api/overview", "/readyz"] {
            assert_eq!(server.status(path).await, 503, "{path}");
        }
        assert_eq!(server.status("/healthz").await, 200);
        let line = "no request is answered until a restart";
        server.has_logged(line).await;
        assert_eq!(server.log().matches(line).count(), 1, "{}", server.log());
        server.signal("TERM");
        assert!(server.end().0.success());
    }
}

#[tokio::test]
async fn a_server_that_is_only_read_is_not_ready_once_its_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.status("/readyz").await, 200);
    remove(folder.path());
    assert_eq!(server.status("/readyz").await, 503);
    assert_eq!(server.status("/api/overview/1").await, 503);
}

#[tokio::test]
async fn new_files_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(create(&server).await, 201);
    for name in ["games.db", "games.db-wal", "games.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
