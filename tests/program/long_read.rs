//! A read that stays open for long on the embedded database's file, as a backup or another program has.

use reqwest::Method;
use rusqlite::Connection;

use testkit::games::game_with;
use testkit::process::{Server, storefront};
use testkit::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_grows_with_a_warning_and_is_copied_when_the_read_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.args(["serve", "--database-url", "embedded:games.db"]);
    let server = Server::spawn(&mut command, folder.path());
    let reader = Connection::open(folder.path().join("games.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM overviews").unwrap();
    let large = game_with(serde_json::json!({ "description": "d".repeat(60_000) }));
    // 15 pages each, until there is more than a checkpoint leaves.
    for _ in 0..400 {
        let answer = server.send(Method::POST, "/api/overview", Some(&large)).await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    eventually("the blocked pages are counted", async || {
        server.metric("storefront_wal_blocked_pages").await >= 4_000.0
    })
    .await;
    server.has_logged("a read that stays open").await;
    assert_eq!(server.metric("storefront_writer_held_seconds_count").await, 0.0);

    reader.execute_batch("COMMIT").unwrap();
    eventually("the log is copied", async || {
        server.metric("storefront_wal_blocked_pages").await == 0.0
    })
    .await;
    drop(reader);
    server.signal("TERM");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
    assert!(!folder.path().join("games.db-wal").exists());
}
