//! `storefront lab` as its users meet it: the program itself, over HTTP, on embedded stand-ins and on real
//! servers.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod crash;
mod events;
mod faults;
mod leases;
mod parameters;
mod runs;
mod servers;
mod workers;

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::process::{Server, storefront};
use testkit::wait::until;

/// A lab that runs in a folder; killed when it is dropped.
struct Lab {
    server: Server,
}

impl Lab {
    /// On the store `lab.db` of the folder, with few rows, so that stand-ins are ready soon.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = storefront(folder);
        command.args(["lab", "--listen", "127.0.0.1:0", "--lab-data", "lab.db", "--rows", "500"]);
        Self { server: Server::spawn(command.args(arguments), folder) }
    }

    /// Sends a request with a JSON body; gives the status and the JSON answer.
    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self.server.send(method, path, Some(&body)).await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.server.get(path).await).expect("JSON")
    }

    /// Starts a run of five seconds; gives the ids of its jobs.
    async fn run(&self, changes: Value) -> Vec<String> {
        let (status, answer) = self.post("/run", run_body(changes)).await;
        assert_eq!(status, 200, "{answer}");
        serde_json::from_value(answer["job_ids"].clone()).expect("ids")
    }

    /// The job once it has ended.
    async fn ended(&self, id: &str) -> Value {
        until("the end of a job", async || {
            let job = self.get(&format!("/jobs/{id}")).await;
            let state = job["state"].as_str().unwrap().to_owned();
            matches!(state.as_str(), "finished" | "stopped" | "failed").then_some(job)
        })
        .await
    }

    /// Waits until that many windows of a job are there.
    async fn windows(&self, id: &str, count: usize) -> Vec<Value> {
        until("windows", async || {
            let windows = self.get(&format!("/jobs/{id}/transactions")).await;
            let windows = windows.as_array().unwrap().clone();
            (windows.len() >= count).then_some(windows)
        })
        .await
    }
}

/// The body of a run of five seconds at the lowest rates, with changes.
fn run_body(changes: Value) -> Value {
    let mut body = json!({
        "read_pattern": 1, "write_pattern": 1, "intensity": 1,
        "sql_size": 1, "sql_rep_size": 1, "spanner_size": 1, "seconds": 5,
    });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// That what is counted in a window adds up.
fn adds_up(window: &Value) {
    for side in ["read", "write"] {
        let count = |name: &str| window[side][name].as_u64().unwrap();
        let parts = count("ok") + count("failed") + count("unsent") + count("pending");
        assert_eq!(count("offered"), parts, "{window}");
        assert_eq!(count("offered"), count("count"), "{window}");
        let errors: u64 =
            window[side]["errors"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(errors, count("failed"), "{window}");
        assert_eq!(window[side]["average_latency"].is_null(), count("ok") + count("failed") == 0);
    }
}

/// What was offered in all windows.
fn offered(windows: &[Value], side: &str) -> u64 {
    windows.iter().map(|window| window[side]["offered"].as_u64().unwrap()).sum()
}
