//! What is accepted and what is refused, byte for byte.

use std::time::Duration;

use serde_json::{Value, json};
use storefront::activities::queue_monitor::QueueLimits;
use storefront::activities::service::ServiceSettings;
use testkit::wait::eventually;

use super::{
    delete, ended, find, id_of, insert, message, number, remove_number, request, send,
    send_and_wait,
};
use crate::client::Request;
use crate::helpers::{ACTIVITIES, FORM, JSON, Setup, TestStore};

fn with(activities: ServiceSettings) -> Setup {
    Setup { activities: Some(activities), ..Setup::default() }
}

/// A server that only accepts.
fn without_worker() -> Setup {
    with(ServiceSettings { worker: false, ..ACTIVITIES })
}

#[tokio::test]
async fn a_valid_message_is_answered_with_its_own_bytes_and_an_id() {
    let store = TestStore::start().await;
    let body = r#"{"activities":[{"operation":"insert","table":"t","col_names":["d"],
        "col_types":["DECIMAL(10,5)"],"col_values":[1.5000]}],"more":1e2}"#;
    let answer = send(&store, body).await;
    assert_eq!(answer.status, 200, "{}", answer.golden());
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let id = id_of(&answer.json());
    let expected = format!(
        r#"{{"status":200,"payload":{body},"message":"Valid Schema","error":null,"id":"{id}"}}"#
    );
    assert_eq!(answer.text(), expected);
    let found = ended(&store, &id).await;
    let keys: Vec<_> = found.as_object().unwrap().keys().collect();
    let expected = [
        "id",
        "state",
        "error",
        "activity",
        "received_at",
        "applied_at",
        "attempts",
        "retry_of",
        "retried_as",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&found["id"], &found["state"]), (&id.into(), &"applied".into()));
    assert!(found["received_at"].as_str().unwrap().ends_with('Z'));
    assert!(found["applied_at"].as_str() >= found["received_at"].as_str());
    assert_eq!(
        (&found["error"], &found["activity"], &found["attempts"]),
        (&Value::Null, &Value::Null, &0.into())
    );
}

#[tokio::test]
async fn an_invalid_message_tells_what_is_wrong_and_where() {
    let store = TestStore::start().await;
    let column = |value: Value| {
        message(json!([insert("t", json!(["a"]), json!(["INTEGER"]), json!([value]))]))
    };
    for (body, error) in [
        (
            column(json!("1")),
            "/activities/0/col_values/0: expected a whole number for INTEGER, not a string.",
        ),
        (message(json!([])), "/activities: "),
        (
            json!({"activity": []}).to_string(),
            "The message: \"activities\" is a required property.",
        ),
        (message(json!([{"operation": "upsert", "table": "t"}])), "/activities/0/operation: "),
        (
            message(json!([delete("t", json!(["a"]), json!(["TEXT"]), json!([null]))])),
            "/activities/0/value_to_delete/col_values/0: ",
        ),
        (message(json!([number("", 1)])), "/activities/0/table: "),
        (
            message(json!([number(&"é".repeat(32), 1)])),
            "/activities/0/table: expected a name of 1 to 63 bytes in UTF-8.",
        ),
        (
            message(json!([insert("t", json!(["a", "b"]), json!(["TEXT", "TEXT"]), json!(["x"]))])),
            "/activities/0/col_values: expected 2 elements as in `col_names`, not 1.",
        ),
        (
            message(json!([insert("t", json!(["a\u{0}"]), json!(["TEXT"]), json!(["x"]))])),
            "/activities/0/col_names/0: U+0000 cannot be stored.",
        ),
        (
            r#"{"activities":[{"operation":"insert","operation":"delete"}]}"#.to_owned(),
            "/activities/0/operation: this member comes twice.",
        ),
        ("[1]".to_owned(), "The message: "),
        ("\"text\"".to_owned(), "The message: "),
    ] {
        let answer = send(&store, body.clone()).await;
        assert_eq!(answer.status, 400, "{}", answer.golden());
        let json = answer.json();
        let text = json["error"].as_str().unwrap();
        assert!(text.starts_with(error), "{body}: {text}");
        let rest = serde_json::to_string(text).unwrap();
        let expected = format!(
            r#"{{"status":400,"payload":{body},"message":"Invalid Schema","error":{rest}}}"#
        );
        assert_eq!(answer.text(), expected);
    }
}

#[tokio::test]
async fn what_is_not_json_has_no_payload() {
    let store = TestStore::start().await;
    let bodies: [&[u8]; 6] =
        [b"", b"{", b"{\"activities\":[", b"\xff\"", b"{\"a\":\"\\ud800\"}", b"nan"];
    for body in bodies {
        let answer = send(&store, body).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["payload"]), (400, &Value::Null), "{}", answer.golden());
        assert!(json["error"].as_str().unwrap().contains("not JSON"), "{json}");
    }
    let form = Request::new("POST", "/api/activities").body(FORM, "activities=1");
    store.send(form).await.problem(415);
    let text = Request::new("POST", "/api/activities").body("text/plain", "{}");
    store.send(text).await.problem(415);
}

#[tokio::test]
async fn numbers_of_any_length_are_judged_and_never_break_anything() {
    let store = TestStore::start().await;
    let long = "9".repeat(400);
    for (column_type, value, status) in [
        ("INTEGER", "9223372036854775807", 200),
        ("INTEGER", "9223372036854775808", 400),
        ("INTEGER", long.as_str(), 400),
        ("INTEGER", "1.0", 400),
        ("DOUBLE", "1e400", 400),
        ("DOUBLE", "12345678901234567890123", 200),
        ("DOUBLE", "-0", 200),
        ("DECIMAL(19,0)", "9999999999999999999", 200),
        ("DECIMAL(28,28)", "0.0000000000000000000000000001", 200),
        ("DECIMAL(3,1)", "99.95", 400),
        ("DECIMAL(3,1)", "\"99.9\"", 200),
        ("VARCHAR(3)", "\"abcd\"", 400),
    ] {
        let body = format!(
            r#"{{"activities":[{{"operation":"insert","table":"{column_type} {}","col_names":["x"],"col_types":["{column_type}"],"col_values":[{value}]}}]}}"#,
            value.len()
        );
        let answer = store.send(request(body).header("prefer", "wait=10")).await;
        assert_eq!(answer.status, status, "{column_type} {value}: {}", answer.golden());
        if status == 200 {
            assert_eq!(answer.json()["state"], "applied");
        }
    }
}

#[tokio::test]
async fn limits_are_named() {
    let mut settings = ACTIVITIES;
    settings.message.activities = 2;
    settings.message.columns = 2;
    settings.message.depth = 6;
    let store = TestStore::start_with(with(settings)).await;
    let three = json!([number("t", 1), number("t", 2), number("t", 3)]);
    let wide =
        insert("t", json!(["a", "b", "c"]), json!(["TEXT", "TEXT", "TEXT"]), json!(["", "", ""]));
    for (body, error) in [
        (message(three), "/activities: 3 activities; a message has at most 2."),
        (message(json!([wide])), "/activities/0: 3 columns; an activity has at most 2."),
        (
            format!("{}1{}", "[".repeat(7), "]".repeat(7)),
            "/0/0/0/0/0/0: nested deeper than 6 levels.",
        ),
    ] {
        assert_eq!(send(&store, body).await.json()["error"], error);
    }
    let long = format!("\"{}\"", "x".repeat(2_000_000));
    assert!(send(&store, long).await.problem(413).contains("1048576 bytes"));
}

#[tokio::test]
async fn an_answer_may_wait_for_the_end() {
    let store = TestStore::start().await;
    let answer = send_and_wait(&store, json!([number("t", 1)])).await;
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "payload", "message", "error", "id", "state", "rejection"]);
    assert_eq!((&answer["state"], &answer["rejection"]), (&"applied".into(), &Value::Null));
    let answer = send_and_wait(&store, json!([number("t", 1), remove_number("none", 1)])).await;
    assert_eq!((&answer["status"], &answer["state"]), (&200.into(), &"rejected".into()));
    let expected = json!({ "error": "The table `none` does not exist.", "activity": 1 });
    assert_eq!(answer["rejection"], expected);
    let other = TestStore::start_with(without_worker()).await;
    let answer =
        other.send(request(message(json!([number("t", 1)]))).header("prefer", "wait=1")).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"queued".into()));
}

#[tokio::test]
async fn a_repeat_under_a_key_is_the_same_message() {
    let store = TestStore::start().await;
    let other = TestStore::start_on(&store.database).await;
    let request = request(message(json!([number("t", 1)]))).header("idempotency-key", "k");
    let first = store.send(request.clone()).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let second = other.send(request.clone()).await;
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(second.text(), first.text());
    ended(&store, &id_of(&first.json())).await;
    let waiting = store.send(request.clone().header("prefer", "wait=5")).await.json();
    assert_eq!((&waiting["id"], &waiting["state"]), (&first.json()["id"], &"applied".into()));
    let different = super::request(message(json!([number("t", 2)]))).header("idempotency-key", "k");
    other.send(different).await.problem(422);
    let rows = store.get("/api/activities/rows?table=t").await.json();
    assert_eq!(rows["rows"], json!([{ "n": 1 }]));
}

#[tokio::test]
async fn a_dry_run_tells_what_would_happen_and_queues_nothing() {
    let store = TestStore::start().await;
    let dry_run = async |activities: Value| {
        let request = Request::new("POST", "/api/activities?dry_run=1");
        let answer = store.send(request.body(JSON, message(activities))).await;
        assert_eq!(answer.status, 200, "{}", answer.golden());
        assert_eq!(answer.json()["id"], Value::Null);
        answer.json()["plan"].clone()
    };
    let expected = json!({
        "tables": [{ "table": "t", "created": true, "columns": [{ "name": "n", "type": "INTEGER" }] }],
        "rejection": null,
    });
    assert_eq!(dry_run(json!([number("t", 1), remove_number("t", 1)])).await, expected);
    let expected = json!({ "tables": [], "rejection": { "error": "The table `t` does not exist.", "activity": 0 } });
    assert_eq!(dry_run(json!([remove_number("t", 1)])).await, expected);
    send_and_wait(&store, json!([number("t", 1)])).await;
    let added = insert("t", json!(["n", "x"]), json!(["INTEGER", "float"]), json!([1, 1]));
    let expected = json!({
        "tables": [{ "table": "t", "created": false, "columns": [{ "name": "x", "type": "DOUBLE" }] }],
        "rejection": null,
    });
    assert_eq!(dry_run(json!([added])).await, expected);
    assert_eq!(dry_run(json!([number("t", 2)])).await["tables"], json!([]));
    let invalid = Request::new("POST", "/api/activities?dry_run=1").body(JSON, "{}");
    assert_eq!(store.send(invalid).await.status, 400);
    let unclear = Request::new("POST", "/api/activities?dry_run=maybe").body(JSON, "{}");
    store.send(unclear).await.problem(400);
    assert_eq!(
        store.get("/api/activities").await.json()["activities"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_come_back() {
    let queue = QueueLimits { messages: 3, bytes: 1 << 20, age: Duration::from_secs(60) };
    let settings = ServiceSettings { queue, worker: false, ..ACTIVITIES };
    let store = TestStore::start_with(with(settings)).await;
    for n in 0..3 {
        // One that is accepted while the queue is counted counts twice until it is counted again.
        eventually("there is room", async || {
            send(&store, message(json!([number("t", n)]))).await.status == 200
        })
        .await;
    }
    let full = send(&store, message(json!([number("t", 4)]))).await;
    assert!(full.problem(503).contains("--activities-queue-messages"));
    let seconds: u32 = full.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let listed = store.get("/api/activities?state=queued").await.json();
    assert_eq!(listed["activities"].as_array().unwrap().len(), 3);
    let worker = TestStore::start_on(&store.database).await;
    eventually("the queue is drained", async || {
        send(&store, message(json!([number("t", 5)]))).await.status == 200
    })
    .await;
    drop(worker);
}

#[tokio::test]
async fn a_valid_message_that_was_refused_is_not_counted_as_accepted() {
    let queue = QueueLimits { messages: 1, bytes: 1 << 20, age: Duration::from_secs(60) };
    let settings = ServiceSettings { queue, worker: false, ..ACTIVITIES };
    let store = TestStore::start_with(with(settings)).await;
    let keyed = request(message(json!([number("t", 1)]))).header("idempotency-key", "k");
    assert_eq!(store.send(keyed.clone()).await.status, 200);
    send(&store, message(json!([number("t", 2)]))).await.problem(503);
    let status = store.get("/api/activities/status").await.json();
    assert_eq!(status["accepted"], 1);
    let metrics = store.get("/metrics").await;
    for line in ["valid_payload_count_total 2", "storefront_activities_accepted_total 1"] {
        assert!(metrics.text().lines().any(|shown| shown == line), "{line}\n{}", metrics.text());
    }
    let worker = TestStore::start_on(&store.database).await;
    eventually("the queue is drained", async || {
        store.get("/api/activities/status").await.json()["queued"]["messages"] == 0
    })
    .await;
    // What was accepted while the queue was counted may count until it is counted again.
    eventually("there is room for a repeat", async || {
        store.send(keyed.clone()).await.header("idempotency-replayed") == Some("true")
    })
    .await;
    let status = store.get("/api/activities/status").await.json();
    assert_eq!(status["accepted"], 1, "a repeat of a key");
    drop(worker);
}

#[tokio::test]
async fn another_server_takes_over_when_the_worker_stops() {
    let first = TestStore::start().await;
    send_and_wait(&first, json!([number("t", 1)])).await;
    let second = TestStore::start_on(&first.database).await;
    let id = id_of(&send(&second, message(json!([number("t", 2)]))).await.json());
    ended(&second, &id).await;
    drop(first);
    let id = id_of(&send(&second, message(json!([number("t", 3)]))).await.json());
    assert_eq!(ended(&second, &id).await["state"], "applied");
    assert_eq!(find(&second, &id).await["attempts"], 0);
}

#[tokio::test]
async fn messages_are_counted() {
    let store = TestStore::start().await;
    send_and_wait(&store, json!([number("t", 1)])).await;
    send_and_wait(&store, json!([remove_number("none", 1)])).await;
    send(&store, "{}").await;
    // The state of a message is seen before its worker counts it.
    let rejected = "storefront_activities_rejected_total{kind=\"missing_table\"} 1";
    let is_counted = async || store.get("/metrics").await.text().contains(rejected);
    eventually("the rejection is counted", is_counted).await;
    let metrics = store.get("/metrics").await;
    for line in [
        "valid_payload_count_total 2",
        "invalid_payload_count_total 1",
        "storefront_activities_applied_total 1",
        rejected,
        "storefront_activities_rejected_total{kind=\"column_type\"} 0",
        "storefront_activities_worker_here 1",
    ] {
        assert!(metrics.text().lines().any(|shown| shown == line), "{line}\n{}", metrics.text());
    }
    assert_eq!(metrics.text().matches("# EOF").count(), 1);
    let status = store.get("/api/activities/status").await.json();
    assert_eq!((&status["accepted"], &status["invalid"]), (&2.into(), &1.into()));
    assert_eq!((&status["applied"], &status["rejected"]), (&1.into(), &1.into()));
    eventually("the worker is known", async || {
        store.get("/api/activities/status").await.json()["worker"] == "active"
    })
    .await;
}

#[tokio::test]
async fn the_schema_is_published() {
    let store = TestStore::start().await;
    let answer = store.get("/api/activities/schema").await;
    assert_eq!(answer.header("content-type"), Some("application/schema+json"));
    assert_eq!(answer.json()["title"], "Message of activities");
    let tag = answer.header("etag").unwrap();
    let again = store.get_with("/api/activities/schema", "if-none-match", tag).await;
    assert_eq!(again.status, 304);
}
