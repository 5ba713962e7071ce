//! Bodies that are too long or too slow, heads that never end, methods that no route knows.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Request;
use crate::helpers::{FORM, JSON, Setup, TestStore, created};
use testkit::games::{game, game_with};
use testkit::wait::eventually;

const SHORT: Duration = Duration::from_millis(200);

async fn with_max_body(bytes: usize) -> TestStore {
    let mut setup = Setup::default();
    setup.limits.max_body = bytes;
    TestStore::start_with(setup).await
}

#[tokio::test]
async fn a_body_of_the_allowed_length_is_taken_and_a_longer_one_is_413() {
    let body = game("A").to_string();
    let store = with_max_body(body.len()).await;
    assert_eq!(created(&store.post_json(&body).await), 1);
    let answer = store.post_json(body + " ").await;
    insta::assert_snapshot!(answer.golden().replace(&game("A").to_string().len().to_string(), "N"));
    answer.problem(413);
    assert_eq!(store.page("").await.0, [1]);
}

#[tokio::test]
async fn a_change_and_a_form_are_limited_too() {
    let store = with_max_body(400).await;
    let id = store.create(&game("A")).await;
    store.put_json(id, json!({"developer": "x".repeat(400)})).await.problem(413);
    store.put_form(id, &format!("developer={}", "x".repeat(400))).await.problem(413);
    assert_eq!(store.find(id).await.unwrap()["developer"], "ConcernedApe");
}

#[tokio::test]
async fn the_length_of_a_chunked_body_is_counted() {
    let store = with_max_body(1_000).await;
    let head = Request::new("POST", "/api/overview")
        .header("content-type", JSON)
        .header("transfer-encoding", "chunked")
        .head();
    let mut connection = store.connect().await;
    connection.send(&head).await.unwrap();
    let chunk = [&b"1f4\r\n"[..], &[b' '; 500], b"\r\n"].concat();
    for _ in 0..3 {
        connection.send(&chunk).await.unwrap();
    }
    connection.answer_to("POST").await.problem(413);
}

#[tokio::test]
async fn a_megabyte_is_allowed_by_default_and_the_answer_to_more_is_seen() {
    let store = TestStore::start().await;
    let id = store.create(&game_with(json!({"description": "x".repeat(1_000_000)}))).await;
    assert_eq!(store.find(id).await.unwrap()["description"].as_str().unwrap().len(), 1_000_000);
    store.post_json("x".repeat((1 << 20) + 1)).await.problem(413);
    assert_eq!(store.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let mut setup = Setup::default();
    setup.limits.body_timeout = SHORT;
    let store = TestStore::start_with(setup).await;
    let begun = Instant::now();
    let mut upload = store.begin_upload().await;
    let _too_late = upload.connection.send(b"{").await;
    let answer = upload.connection.answer_to("POST").await;
    insta::assert_snapshot!(answer.golden());
    answer.problem(408);
    assert!(begun.elapsed() >= SHORT, "a client has the time that was set");
    assert!(upload.connection.rest().await.is_empty(), "and is then disconnected");
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn a_slow_head_is_disconnected() {
    let mut setup = Setup::default();
    setup.limits.header_timeout = SHORT;
    let store = TestStore::start_with(setup).await;
    for head in ["", "GET", "GET / HTTP/1.1\r\nhost: sto"] {
        let begun = Instant::now();
        let mut connection = store.connect().await;
        connection.send(head.as_bytes()).await.unwrap();
        let rest = String::from_utf8(connection.rest().await).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
        assert!(begun.elapsed() >= SHORT);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut() {
    let mut setup = Setup::default();
    setup.limits.header_timeout = Duration::from_secs(1);
    setup.limits.body_timeout = SHORT;
    let store = TestStore::start_with(setup).await;
    let requests = Request::new("GET", "/dist/bundle.js").bytes().repeat(100);
    let mut connection = store.connect().await;
    connection.send(&requests).await.unwrap();
    assert_eq!(connection.answer_to("GET").await.status, 200);
    eventually("it is cut", async || store.metrics.connections.get() == 0).await;
    drop(connection);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let mut setup = Setup::default();
    setup.limits.header_timeout = Duration::from_secs(1);
    let store = TestStore::start_with(setup).await;
    let mut connection = store.connect().await;
    assert_eq!(connection.ask(&Request::new("GET", "/healthz")).await.status, 200);
    assert!(connection.rest().await.is_empty());
}

#[tokio::test]
async fn a_body_that_ends_early_creates_nothing() {
    let store = TestStore::start().await;
    let request = Request::new("POST", "/api/overview").body(JSON, game("A").to_string());
    let mut bytes = request.bytes();
    bytes.truncate(bytes.len() - 1);
    let mut connection = store.connect().await;
    connection.send(&bytes).await.unwrap();
    drop(connection);
    eventually("the connection is over", async || store.metrics.connections.get() == 0).await;
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn a_method_that_a_route_does_not_know_is_405_with_those_it_knows() {
    let store = TestStore::start().await;
    store.create(&game("A")).await;
    insta::assert_snapshot!(store.send(Request::new("PATCH", "/api/overview/1")).await.golden());
    for (target, known) in [
        ("/api/overview", "GET,HEAD,POST"),
        ("/api/overview/", "GET,HEAD,POST"),
        ("/api/overview/1", "DELETE,GET,HEAD,PUT"),
        ("/api/overview/abc", "DELETE,GET,HEAD,PUT"),
        ("/api/overviewImage/1", "GET,HEAD"),
        ("/api/overviewImage/1/banner.svg", "GET,HEAD"),
        ("/api/reviews/1", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
        ("/readyz", "GET,HEAD"),
        ("/metrics", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
        ("/", "GET,HEAD"),
        ("/1", "GET,HEAD"),
        ("/dist/bundle.js", "GET,HEAD"),
        ("/1/dist/bundle.js", "GET,HEAD"),
        ("/assets/x.js", "GET,HEAD"),
        ("/favicon.ico", "GET,HEAD"),
        ("/favicon.svg", "GET,HEAD"),
        ("/docs", "GET,HEAD"),
    ] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            if known.split(',').any(|name| name == method) {
                continue;
            }
            let answer = store.send(Request::new(method, target).body(FORM, "a=b")).await;
            answer.problem(405);
            let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(","), known, "{method} {target}");
        }
    }
    assert_eq!(store.page("").await.0, [1]);
}

#[tokio::test]
async fn a_route_that_does_not_exist_is_a_problem() {
    let store = TestStore::start().await;
    insta::assert_snapshot!(store.get("/no/such/route").await.golden());
    for (method, target) in
        [("GET", "/api"), ("GET", "/api/games/1"), ("POST", "/no/such/route"), ("BREW", "/a/b/c")]
    {
        let answer = store.send(Request::new(method, target)).await;
        if target != "/api" {
            answer.problem(404);
        }
    }
}
