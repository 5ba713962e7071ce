//! Pages of any origin may use the API.

use std::sync::Arc;

use crate::client::Request;
use crate::failures::Broken;
use crate::helpers::{JSON, Setup, TestStore};
use testkit::games::game;

#[tokio::test]
async fn every_answer_allows_every_origin() {
    let mut setup = Setup::default();
    setup.limits.max_body = 1_000;
    let store = TestStore::start_with(setup).await;
    let post = |body: String| Request::new("POST", "/api/overview").body(JSON, body);
    let taken = game("A").to_string().replacen('{', "{\"game_id\":5,", 1);
    let any = |r: Request| r.header("origin", "https://elsewhere.example");
    for (status, request) in [
        (201, post(taken.clone())),
        (409, post(taken)),
        (400, post("{}".to_owned())),
        (413, post(" ".repeat(1_001))),
        (200, Request::new("GET", "/api/overview/5")),
        (200, Request::new("HEAD", "/api/overview/5")),
        (304, Request::new("GET", "/api/overview/5").header("if-none-match", "*")),
        (404, Request::new("GET", "/api/overview/6")),
        (404, Request::new("GET", "/no/such/route")),
        (405, Request::new("PATCH", "/api/overview/5")),
        (200, Request::new("GET", "/")),
        (200, Request::new("GET", "/dist/bundle.js")),
        (200, Request::new("GET", "/api/reviews/5")),
        (200, Request::new("GET", "/openapi.json")),
    ] {
        let answer = store.send(any(request.clone())).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{request:?}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("location") && exposed.contains("etag"), "{exposed}");
    }
}

#[tokio::test]
async fn failures_allow_every_origin_too() {
    let overviews = Some(Arc::new(Broken::panicking()) as _);
    let store = TestStore::start_with(Setup { overviews, ..Setup::default() }).await;
    let answer = store.get("/api/overview/1").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn a_preflight_allows_what_it_asks_for() {
    let store = TestStore::start().await;
    let request = Request::new("OPTIONS", "/api/overview/1")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-request-id");
    let answer = store.send(request).await;
    insta::assert_snapshot!(answer.golden());
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let methods = answer.header("access-control-allow-methods").unwrap();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        assert!(methods.split(',').any(|m| m.trim() == method), "{method} in {methods}");
    }
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type,x-request-id"));
}

#[tokio::test]
async fn a_preflight_is_answered_on_every_path() {
    let store = TestStore::start().await;
    for target in ["/api/overview", "/api/reviews/1", "/", "/dist/bundle.js", "/no/such/route"] {
        let request = Request::new("OPTIONS", target)
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "DELETE");
        assert_eq!(store.send(request).await.status, 204, "{target}");
    }
}
