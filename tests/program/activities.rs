//! `storefront activities` in a terminal, and `storefront worker` apart from the servers.

use std::path::Path;
use std::process::{Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::database::OwnDatabase;
use testkit::process::{
    Server, client, free_address, output, program, signal, stderr, stdout, storefront, wait,
};
use testkit::wait::{eventually, until};

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
        signal(worker.id(), "TERM");
        assert!(wait(&mut worker).success());
        // The worker gave its lease up, and nothing is applied without one.
        let id = send(&server, insert(2)).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(state(&server, &id).await, "queued", "{backend}");
    }
}

/// A real Pushgateway, which runs as long as the value.
struct Pushgateway {
    child: std::process::Child,
    address: std::net::SocketAddr,
}

impl Pushgateway {
    async fn start(folder: &Path) -> Self {
        until("a Pushgateway on a free port", async || {
            let mut started = Self::on_a_free_port(folder);
            let is_ready = until("it listens or ends", async || {
                let ended = started.child.try_wait().unwrap().is_some();
                let listens = std::net::TcpStream::connect(started.address).is_ok();
                (ended || listens).then_some(!ended)
            })
            .await;
            is_ready.then_some(started)
        })
        .await
    }

    fn on_a_free_port(folder: &Path) -> Self {
        let address = free_address();
        let path = std::env::var_os("STOREFRONT_TEST_PUSHGATEWAY");
        let path = path.unwrap_or_else(|| "prometheus-pushgateway".into());
        let mut command = program(Path::new(&path), folder);
        command.arg(format!("--web.listen-address={address}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| {
            panic!(
                "{}: {e}; set STOREFRONT_TEST_PUSHGATEWAY to what `scripts/debian \
                 prometheus-pushgateway prometheus-pushgateway` prints, or run `scripts/test`",
                path.display()
            )
        });
        Self { child, address }
    }

    /// The values of a metric, with the labels that tell them apart.
    async fn values(&self, name: &str) -> Vec<String> {
        let url = format!("http://{}/metrics", self.address);
        let client = client().build().unwrap();
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_pushes_its_counts_under_its_own_instance() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start(folder.path()).await;
    let address = gateway.address.to_string();
    for setting in ["STOREFRONT_PUSHGATEWAY", "PUSHGATEWAY_PROMETHEUS_HOST"] {
        let own = tempfile::tempdir_in(folder.path()).unwrap();
        let mut serve = storefront(own.path());
        serve.args(["serve", "--database-url", "embedded:games.db"]).env(setting, &address);
        serve.args(["--listen", &free_address().to_string()]);
        let server = Server::spawn(&mut serve, own.path());
        send(&server, insert(1)).await;
        let invalid = server.send(Method::POST, "/api/activities", Some(&json!({}))).await.unwrap();
        assert_eq!(invalid.status(), 400);
        // The last counts are pushed at its end.
        server.signal("TERM");
        assert!(server.end().0.success());
    }
    for (name, job) in [
        ("valid_payload_count_total", "job=\"valid_payload_schema\""),
        ("invalid_payload_count_total", "job=\"invalid_payload_schema\""),
    ] {
        let values = gateway.values(name).await;
        assert_eq!(values.len(), 2, "{values:?}");
        assert!(values.iter().all(|value| value.contains(job) && value.ends_with(" 1")));
        assert!(values.iter().all(|value| value.contains("instance=\"")), "{values:?}");
    }
}
