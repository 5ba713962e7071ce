//! `storefront activities` in a terminal, and `storefront worker` apart from the servers.

use std::path::Path;
use std::process::{Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::database::OwnDatabase;
use testkit::process::{Server, output, stderr, stdout, storefront, wait};
use testkit::wait::eventually;

fn insert(n: i64) -> Value {
    json!({ "operation": "insert", "table": "a table", "col_names": ["n", "text"],
            "col_types": ["INTEGER", "TEXT"], "col_values": [n, format!("line\n{n}")] })
}

fn delete_from_missing() -> Value {
    let value = json!({ "col_names": ["n"], "col_types": ["INTEGER"], "col_values": [1] });
    json!({ "operation": "delete", "table": "missing", "value_to_delete": value })
}

/// Sends a message; its id.
async fn send(server: &Server, activity: Value) -> String {
    let message = json!({ "activities": [activity] });
    let answer = server.send(Method::POST, "/api/activities", Some(&message)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

async fn state(server: &Server, id: &str) -> String {
    let found: Value =
        serde_json::from_str(&server.get(&format!("/api/activities/{id}")).await).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

fn command(folder: &Path, words: &[&str]) -> Output {
    let mut command = storefront(folder);
    command.arg("activities").args(words).args(["--database-url", "embedded:games.db"]);
    output(&mut command)
}

/// What a command that must succeed printed.
fn printed(folder: &Path, words: &[&str]) -> String {
    let done = command(folder, words);
    assert!(done.status.success(), "{words:?}: {}", stderr(&done));
    stdout(&done)
}

#[tokio::test]
async fn messages_and_tables_are_shown_in_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let applied = send(&server, insert(7)).await;
    let rejected = send(&server, delete_from_missing()).await;
    for id in [&applied, &rejected] {
        eventually("it ends", async || state(&server, id).await != "queued").await;
    }
    let tables = printed(folder.path(), &["tables"]);
    let lines: Vec<_> = tables.lines().collect();
    assert!(lines[0].starts_with("table    rows  last applied"), "{tables}");
    assert!(lines[1].starts_with("a table  1     2"), "{tables}");
    assert!(lines[1].ends_with("n INTEGER, text TEXT"), "{tables}");
    // Nothing that a message holds can change the terminal.
    assert_eq!(printed(folder.path(), &["rows", "a table"]), "n  text\n7  line\\n7\n");
    let row: Value =
        serde_json::from_str(&printed(folder.path(), &["rows", "a table", "--json"])).unwrap();
    assert_eq!(row, json!({ "n": 7, "text": "line\n7" }));
    let listed = printed(folder.path(), &["list", "--state", "rejected", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["id"], &listed["activity"]), (&json!(rejected), &json!(0)));
    let shown = printed(folder.path(), &["show", &applied]);
    assert!(shown.contains("state        applied\n"), "{shown}");
    assert!(printed(folder.path(), &["rejections"]).contains("missing_table \"missing\"  1"));
    let retried = printed(folder.path(), &["retry", &rejected, "--json"]);
    let retried: Value = serde_json::from_str(&retried).unwrap();
    assert_eq!(retried["retry_of"], rejected);
    let id = retried["id"].as_str().unwrap();
    eventually("it ends", async || state(&server, id).await == "rejected").await;
    printed(folder.path(), &["discard", id]);
    for (words, said) in [
        (["show", id], "there is no message"),
        (["retry", "1"], "`1` is no id of a message"),
        (["rows", "none"], "there is no table `none`"),
    ] {
        let refused = command(folder.path(), &words);
        assert!(!refused.status.success());
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
}

#[test]
fn the_embedded_store_has_no_worker_apart() {
    let folder = tempfile::tempdir().unwrap();
    let refused = output(storefront(folder.path()).arg("worker"));
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("its server applies the messages"), "{}", stderr(&refused));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_apart_applies_what_a_server_accepts() {
    for backend in ["postgres", "cassandra"] {
        let database = OwnDatabase::on(backend).await;
        database.migrate();
        let folder = database.folder();
        let mut serve = storefront(folder);
        serve.args(["serve", "--no-activities-worker", "--database-url", database.url()]);
        let server = Server::spawn(&mut serve, folder);
        let id = send(&server, insert(1)).await;
        let mut worker = storefront(folder);
        worker.args(["worker", "--database-url", database.url()]);
        let log = std::fs::File::create(folder.join("worker.log")).unwrap();
        let mut worker = worker.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        eventually("it is applied", async || state(&server, &id).await == "applied").await;
        testkit::process::signal(worker.id(), "TERM");
        assert!(wait(&mut worker).success());
        // The worker gave its lease up, and nothing is applied without one.
        let id = send(&server, insert(2)).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(state(&server, &id).await, "queued", "{backend}");
    }
}
