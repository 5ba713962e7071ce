//! A streaming replica beside the database: a client reads its own writes, however far the
//! replica lags.
//!
//! One test, because replay is paused for the whole replica.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use testkit::games::game;
use testkit::postgres::{NEWEST, OwnSchema, REPLICA, address, execute};
use testkit::process::{Server, output, stderr, storefront};
use testkit::wait::TIMEOUT;

const REPLICA_ADMIN: &str = "STOREFRONT_TEST_POSTGRES_REPLICA_ADMIN";
const POSITION: &str = "storefront-position";

/// Replay stands still until this is dropped.
struct Paused;

impl Paused {
    async fn begin() -> Self {
        execute(&address(REPLICA_ADMIN), "SELECT pg_wal_replay_pause()").await;
        Self
    }

    async fn end(self) {
        execute(&address(REPLICA_ADMIN), "SELECT pg_wal_replay_resume()").await;
        std::mem::forget(self);
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let resumed = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let resume = "SELECT pg_wal_replay_resume()";
            runtime.expect("a runtime").block_on(execute(&address(REPLICA_ADMIN), resume));
        });
        drop(resumed.join());
    }
}

/// The developer of game 1 as a client sees it who brings this header.
async fn developer(server: &Server, header: Option<(&str, &str)>) -> Option<String> {
    let mut request = server.client.get(format!("{}/api/overview/1", server.base));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    if answer.status() == StatusCode::NOT_FOUND {
        return None;
    }
    let games: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    games[0]["developer"].as_str().map(str::to_owned)
}

async fn write(server: &Server, method: reqwest::Method, path: &str, body: &Value) -> Response {
    let answer = server.send(method, path, Some(body)).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer
}

fn position(answer: &Response) -> String {
    answer.headers()[POSITION].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_own_writes_however_far_the_replica_lags() {
    let schema = OwnSchema::create(NEWEST).await;
    let (folder, replica) = (tempfile::tempdir().unwrap(), schema.url_at(&address(REPLICA)));
    let mut command = storefront(folder.path());
    command.args(["serve", "--database-url", &schema.url(), "--replica-url", &replica]);
    let server = Server::spawn(&mut command, folder.path());

    let created = write(&server, reqwest::Method::POST, "/api/overview", &game("A")).await;
    let seen = position(&created);
    assert_eq!(developer(&server, Some((POSITION, &seen))).await.as_deref(), Some("developer"));
    let begun = std::time::Instant::now();
    while developer(&server, None).await.is_none() {
        assert!(begun.elapsed() < TIMEOUT, "the replica never has the game");
    }

    let paused = Paused::begin().await;
    let change = serde_json::json!({"developer": "new"});
    let changed = write(&server, reqwest::Method::PUT, "/api/overview/1", &change).await;
    let seen = position(&changed);
    let cookie = changed.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    for header in [(POSITION, seen.as_str()), ("cookie", cookie), (POSITION, "nonsense")] {
        assert_eq!(developer(&server, Some(header)).await.as_deref(), Some("new"), "{header:?}");
    }
    let old = Some("developer".to_owned());
    assert_eq!(developer(&server, None).await, old, "it brought nothing: the replica answers");
    assert_eq!(developer(&server, Some((POSITION, "0/1"))).await, old, "nor anything recent");

    paused.end().await;
    let begun = std::time::Instant::now();
    while developer(&server, None).await.as_deref() != Some("new") {
        assert!(begun.elapsed() < TIMEOUT, "the replica never catches up");
    }
    let removed = server.send(reqwest::Method::DELETE, "/api/overview/1", None).await.unwrap();
    let seen = position(&removed);
    assert_eq!(developer(&server, Some((POSITION, &seen))).await, None);
}

#[tokio::test]
async fn a_server_that_is_not_a_replica_is_refused_and_an_unavailable_replica_is_not_needed() {
    let schema = OwnSchema::create(NEWEST).await;
    let folder = tempfile::tempdir().unwrap();
    let with = |replica: &str| {
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", &schema.url(), "--replica-url", replica]);
        command
    };
    let refused = output(with(&schema.url()).env("STOREFRONT_LISTEN", "127.0.0.1:0"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is not a replica"), "{}", stderr(&refused));

    let server = Server::spawn(&mut with("postgres://u:p@127.0.0.1:1/d"), folder.path());
    let created = write(&server, reqwest::Method::POST, "/api/overview", &game("A")).await;
    let seen = position(&created);
    for header in [None, Some((POSITION, seen.as_str()))] {
        assert_eq!(developer(&server, header).await.as_deref(), Some("developer"));
    }
}
