//! Another process holds the write lock of the embedded database's file for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use rusqlite::Connection;

use testkit::games::game;
use testkit::process::{Server, storefront};

/// The deadline of a write is ten seconds; the rest is for a busy machine.
const IN_TIME: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_and_every_write_is_refused_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.args(["serve", "--database-url", "embedded:games.db", "--max-in-flight", "4"]);
    let server = Arc::new(Server::spawn(&mut command, folder.path()));
    let create = async |server: &Server| {
        let sent = server.send(Method::POST, "/api/overview", Some(&game("a"))).await;
        sent.unwrap().status().as_u16()
    };
    assert_eq!(create(&server).await, 201);

    let other = Connection::open(folder.path().join("games.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // More writers than may be in flight: some wait for the lock, the others are refused at once.
    let writers = (0..12).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let begun = Instant::now();
            (create(&server).await, begun.elapsed())
        })
    });
    let writers = tokio::spawn(join_all(writers));
    let mut rounds = 0;
    while !writers.is_finished() {
        for path in ["/api/overview/1", "/api/overview", "/healthz", "/readyz", "/metrics"] {
            assert_eq!(server.status(path).await, 200, "{path}");
        }
        rounds += 1;
    }
    assert!(rounds > 1, "no read while the writers waited");
    for outcome in writers.await.unwrap() {
        let (status, elapsed) = outcome.unwrap();
        assert_eq!(status, 503);
        assert!(elapsed < IN_TIME, "{elapsed:?}");
    }
    server.has_logged("another process holds the database file").await;
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(create(&server).await, 201);
    assert_eq!(
        server.status("/api/overview/3").await,
        404,
        "what was refused did not happen later"
    );
}
