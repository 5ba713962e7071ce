//! `/api/activities` on the wire.

mod operating;
mod sending;
mod tables;

use serde_json::{Value, json};
use testkit::wait::eventually;

use crate::client::{Request, Response};
use crate::helpers::{JSON, TestStore};

fn insert(table: &str, names: Value, types: Value, values: Value) -> Value {
    json!({ "operation": "insert", "table": table, "col_names": names, "col_types": types, "col_values": values })
}

fn delete(table: &str, names: Value, types: Value, values: Value) -> Value {
    let value = json!({ "col_names": names, "col_types": types, "col_values": values });
    json!({ "operation": "delete", "table": table, "value_to_delete": value })
}

fn number(table: &str, n: i64) -> Value {
    insert(table, json!(["n"]), json!(["INTEGER"]), json!([n]))
}

fn remove_number(table: &str, n: i64) -> Value {
    delete(table, json!(["n"]), json!(["INTEGER"]), json!([n]))
}

fn message(activities: Value) -> String {
    json!({ "activities": activities }).to_string()
}

fn request(body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/api/activities").body(JSON, body)
}

async fn send(store: &TestStore, body: impl Into<Vec<u8>>) -> Response {
    store.send(request(body)).await
}

/// Sends a valid message and waits for its end; the answer.
async fn send_and_wait(store: &TestStore, activities: Value) -> Value {
    let answer = store.send(request(message(activities)).header("prefer", "wait=10")).await;
    assert_eq!(answer.status, 200, "{}", answer.golden());
    answer.json()
}

/// The id of a message that was rejected.
async fn rejected(store: &TestStore, activities: Value) -> String {
    let answer = send_and_wait(store, activities).await;
    assert_eq!(answer["state"], "rejected", "{answer}");
    id_of(&answer)
}

fn id_of(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

async fn find(store: &TestStore, id: &str) -> Value {
    let answer = store.get(&format!("/api/activities/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.golden());
    answer.json()
}

/// Waits until the message has ended; the message.
async fn ended(store: &TestStore, id: &str) -> Value {
    eventually("the message ends", async || find(store, id).await["state"] != "queued").await;
    find(store, id).await
}

async fn post(store: &TestStore, target: &str) -> Response {
    store.send(Request::new("POST", target).body("", "")).await
}
