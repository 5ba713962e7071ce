//! Following messages, and what an operator does with rejected ones.

use serde_json::{Value, json};

use super::{
    ended, find, id_of, message, number, post, rejected, remove_number, send, send_and_wait,
};
use crate::client::Request;
use crate::helpers::{JSON, TestStore};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_message_that_is_not_there_is_404() {
    let store = TestStore::start().await;
    for id in [UNKNOWN, "1", "x", "%00"] {
        store.get(&format!("/api/activities/{id}")).await.problem(404);
        store.get(&format!("/api/activities/{id}/payload")).await.problem(404);
        post(&store, &format!("/api/activities/{id}/retry")).await.problem(404);
        let discard = Request::new("DELETE", &format!("/api/activities/{id}"));
        store.send(discard).await.problem(404);
    }
}

#[tokio::test]
async fn messages_are_listed_in_pages() {
    let store = TestStore::start().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let activity = if n % 3 == 2 { remove_number("none", n) } else { number("t", n) };
        ids.push(id_of(&send(&store, message(json!([activity]))).await.json()));
    }
    for id in &ids {
        ended(&store, id).await;
    }
    ids.reverse();
    let listed = async |query: &str| {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = store.get(&format!("/api/activities?limit=2{query}{after}")).await.json();
            let messages = page["activities"].as_array().unwrap();
            assert!(messages.len() <= 2);
            all.extend(messages.iter().map(id_of));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    };
    assert_eq!(listed("").await, ids);
    let rejected = [ids[1].clone(), ids[4].clone()];
    assert_eq!(listed("&state=rejected").await, rejected);
    assert_eq!(listed("&state=applied").await.len(), 5);
    assert_eq!(listed("&state=queued").await, Vec::<String>::new());
    for query in ["limit=0", "limit=101", "limit=x", "state=lost", "after=x", "state=%00"] {
        store.get(&format!("/api/activities?{query}")).await.problem(400);
    }
}

#[tokio::test]
async fn a_rejected_message_is_retried_or_discarded() {
    let store = TestStore::start().await;
    let id = rejected(&store, json!([remove_number("t", 1)])).await;
    let found = find(&store, &id).await;
    assert_eq!(found["error"], "The table `t` does not exist.");
    assert_eq!((&found["activity"], &found["applied_at"]), (&0.into(), &Value::Null));
    send_and_wait(&store, json!([number("t", 1)])).await;
    let retry = Request::new("POST", &format!("/api/activities/{id}/retry"));
    let retried = store.send(retry.clone().header("prefer", "wait=10").body("", "")).await;
    assert_eq!(retried.status, 200, "{}", retried.golden());
    let retried = retried.json();
    assert_eq!(
        (&retried["message"], &retried["state"]),
        (&"Valid Schema".into(), &"applied".into())
    );
    assert_eq!(retried["payload"], json!({ "activities": [remove_number("t", 1)] }));
    let new = id_of(&retried);
    assert_eq!(find(&store, &new).await["retry_of"], id);
    assert_eq!(find(&store, &id).await["retried_as"], new);
    let again = store.send(retry.body("", "")).await;
    assert!(again.problem(409).contains(&new));
    let applied = post(&store, &format!("/api/activities/{new}/retry")).await;
    assert!(applied.problem(409).contains("applied"));
    let discard = Request::new("DELETE", &format!("/api/activities/{new}"));
    store.send(discard).await.problem(409);
    let other = rejected(&store, json!([remove_number("none", 1)])).await;
    let discard = Request::new("DELETE", &format!("/api/activities/{other}"));
    store.send(discard.clone()).await.is_text(200, "The message was discarded.");
    store.send(discard).await.problem(404);
}

#[tokio::test]
async fn a_retry_may_carry_another_message() {
    let store = TestStore::start().await;
    let id = rejected(&store, json!([remove_number("t", 1)])).await;
    let retry = Request::new("POST", &format!("/api/activities/{id}/retry"));
    let payload = store.get(&format!("/api/activities/{id}/payload")).await;
    assert_eq!(payload.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(payload.text(), message(json!([remove_number("t", 1)])));
    let invalid = store.send(retry.clone().body(JSON, message(json!([])))).await;
    assert_eq!((invalid.status, &invalid.json()["message"]), (400, &"Invalid Schema".into()));
    assert_eq!(find(&store, &id).await["retried_as"], Value::Null);
    let edited = message(json!([number("t", 7)]));
    let keyed = retry.header("idempotency-key", "edited").body(JSON, edited.clone());
    let first = store.send(keyed.clone()).await;
    let second = store.send(keyed).await;
    assert_eq!(first.text(), second.text());
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json()["payload"].to_string(), edited);
    assert_eq!(ended(&store, &id_of(&first.json())).await["state"], "applied");
}

#[tokio::test]
async fn rejections_are_grouped_and_retried_together() {
    let store = TestStore::start().await;
    let empty = json!({ "rejections": [], "next": null });
    assert_eq!(store.get("/api/activities/rejections").await.json(), empty);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(rejected(&store, json!([remove_number("a b", n)])).await);
    }
    rejected(&store, json!([remove_number("c", 1)])).await;
    let groups = store.get("/api/activities/rejections").await.json();
    let groups = groups["rejections"].as_array().unwrap();
    let group = groups.iter().find(|group| group["count"] == 3).unwrap();
    assert_eq!(group["cause"], r#"missing_table "a b""#);
    assert!(ids.iter().any(|id| group["example"] == *id));
    let page = store.get("/api/activities/rejections?limit=1").await.json();
    let next = page["next"].as_str().unwrap();
    let rest = store.get(&format!("/api/activities/rejections?after={next}")).await.json();
    assert_eq!(rest["rejections"].as_array().unwrap().len(), 1);
    send_and_wait(&store, json!([number("a b", 1)])).await;
    let cause = "missing_table%20%22a%20b%22";
    let retry = format!("/api/activities/rejections/retry?cause={cause}");
    assert_eq!(post(&store, &retry).await.json(), json!({ "retried": 3, "left": 0 }));
    assert_eq!(post(&store, &retry).await.json(), json!({ "retried": 0, "left": 0 }));
    for id in ids {
        let new = id_of(&json!({ "id": find(&store, &id).await["retried_as"] }));
        assert_eq!(ended(&store, &new).await["state"], "applied");
    }
    post(&store, "/api/activities/rejections/retry").await.problem(400);
}
