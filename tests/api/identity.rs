//! Request ids: an answer's, and the client's own.

use std::collections::HashSet;

use crate::client::Request;
use crate::helpers::TestStore;

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let store = TestStore::start().await;
    let mut ids = HashSet::new();
    for target in ["/api/overview", "/api/overview/9", "/", "/no/such/route", "/healthz"] {
        let answer = store.get(target).await;
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        assert!(ids.insert(id));
    }
}

#[tokio::test]
async fn two_servers_do_not_give_the_same_ids() {
    let (one, other) = (TestStore::start().await, TestStore::start().await);
    let ids = [one.get("/healthz").await, other.get("/healthz").await]
        .map(|answer| answer.header("x-request-id").map(str::to_owned));
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_valid_request_id_of_the_client_is_repeated() {
    let store = TestStore::start().await;
    let long = "x".repeat(128);
    for id in ["7", "b1946ac9-2492-4d23-a1b3-3c2bd3a4e5f6", "a/b:c=d!", &long] {
        for target in ["/healthz", "/no/such/route"] {
            let answer = store.get_with(target, "x-request-id", id).await;
            assert_eq!(answer.header("x-request-id"), Some(id));
        }
    }
}

#[tokio::test]
async fn any_other_id_is_replaced() {
    let store = TestStore::start().await;
    let long = "x".repeat(129);
    for id in ["", "two words", "tab\tbed", "ünïcödé", &long] {
        let answer = store.get_with("/healthz", "x-request-id", id).await;
        let given = answer.header("x-request-id").expect("an id");
        assert!(given != id && !given.is_empty(), "{id} came back");
        assert!(given.bytes().all(|byte| byte.is_ascii_graphic()), "{given}");
    }
}

#[tokio::test]
async fn a_refused_request_keeps_its_id() {
    let store = TestStore::start().await;
    for request in [
        Request::new("POST", "/api/overview").body("application/json", "{"),
        Request::new("PATCH", "/api/overview"),
        Request::new("OPTIONS", "/").header("access-control-request-method", "GET"),
    ] {
        let answer = store.send(request.header("x-request-id", "mine")).await;
        assert_eq!(answer.header("x-request-id"), Some("mine"));
    }
}
