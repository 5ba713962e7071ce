//! gzip and brotli for long answers, for clients that take them.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::json;

use crate::client::{Request, Response};
use crate::helpers::TestStore;
use testkit::games::game_with;

/// A store whose game 1 is sent in more than 1 KB, and game 2 in less.
async fn store() -> TestStore {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"description": "All work and no play. ".repeat(100)}))).await;
    store.create(&game_with(json!({"description": "a".repeat(700)}))).await;
    store
}

async fn get(store: &TestStore, target: &str, accepted: &str) -> Response {
    let answer = store.get_with(target, "accept-encoding", accepted).await;
    assert_eq!(answer.status, 200);
    answer
}

fn unzip(answer: &Response) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut plain).expect("gzip");
    plain
}

#[tokio::test]
async fn a_long_answer_is_sent_by_gzip() {
    let store = store().await;
    let banner = "/api/overviewImage/1/banner.svg";
    for target in ["/api/overview/1", "/api/overview", banner, "/openapi.json", "/metrics"] {
        let plain = store.get(target).await;
        let zipped = get(&store, target, "gzip").await;
        assert!(zipped.body.len() < plain.body.len(), "{target}");
        assert_eq!(zipped.header("content-type"), plain.header("content-type"));
        if target != "/metrics" {
            assert_eq!(unzip(&zipped), plain.body, "{target}");
        }
    }
}

#[tokio::test]
async fn a_long_answer_is_sent_by_brotli() {
    let store = store().await;
    let plain = store.get("/api/overview/1").await;
    let answer = get(&store, "/api/overview/1", "br").await;
    assert_eq!(answer.header("content-encoding"), Some("br"));
    assert!(!answer.body.is_empty() && answer.body.len() < plain.body.len() / 4);
}

#[tokio::test]
async fn a_browser_gets_an_encoding_that_it_accepts() {
    let store = store().await;
    let answer = get(&store, "/api/overview/1", "gzip, deflate, br, zstd").await;
    assert!(matches!(answer.header("content-encoding"), Some("br" | "gzip")));
    let answer = get(&store, "/api/overview/1", "br;q=0, gzip;q=0.5").await;
    assert_eq!(unzip(&answer), store.get("/api/overview/1").await.body);
}

#[tokio::test]
async fn nothing_is_compressed_for_a_client_that_does_not_accept_it() {
    let store = store().await;
    for target in ["/api/overview/1", "/dist/bundle.js"] {
        let plain = store.get(target).await;
        assert_eq!(plain.header("content-encoding"), None);
        for accepted in ["", "identity", "zstd", "gzip;q=0", "br;q=0, gzip;q=0.0", "xgzip"] {
            let answer = get(&store, target, accepted).await;
            assert_eq!(answer.header("content-encoding"), None, "{target} {accepted}");
            assert_eq!(answer.body, plain.body, "{target} {accepted}");
        }
    }
}

#[tokio::test]
async fn short_answers_are_sent_as_they_are() {
    let store = store().await;
    for target in ["/api/overview/2", "/api/overview?limit=1&after=AAAAAQ", "/favicon.svg"] {
        let answer = get(&store, target, "gzip, br").await;
        assert!(answer.body.len() <= 1_024, "{target}: {}", answer.body.len());
        assert_eq!(answer.header("content-encoding"), None, "{target}");
    }
    let refused = store.get_with("/api/overview/9", "accept-encoding", "gzip, br").await;
    assert_eq!(refused.header("content-encoding"), None);
}

#[tokio::test]
async fn the_page_is_compressed_beforehand() {
    let store = store().await;
    for target in ["/", "/dist/bundle.js", "/7/dist/bundle.js"] {
        let plain = store.get(target).await;
        let zipped = get(&store, target, "gzip").await;
        assert_eq!(unzip(&zipped), plain.body, "{target}");
        let brotli = get(&store, target, "gzip, br").await;
        assert_eq!(brotli.header("content-encoding"), Some("br"), "{target}");
        assert!(brotli.body.len() < plain.body.len(), "{target}");
        // A length in place of chunks: nothing was compressed for this request.
        for answer in [zipped, brotli] {
            assert_eq!(answer.header("content-length").unwrap(), answer.body.len().to_string());
        }
    }
}

#[tokio::test]
async fn every_answer_says_that_it_depends_on_what_is_accepted() {
    let store = store().await;
    for target in ["/api/overview/1", "/api/overview/9", "/", "/none/of/these", "/healthz"] {
        for accepted in ["gzip", "identity"] {
            let answer = store.get_with(target, "accept-encoding", accepted).await;
            assert_eq!(answer.header("vary"), Some("accept-encoding"), "{target} {accepted}");
        }
    }
    let same = store.get_with("/api/overview/1", "if-none-match", "*").await;
    assert_eq!((same.status, same.header("vary")), (304, Some("accept-encoding")));
}

#[tokio::test]
async fn a_head_tells_of_the_encoding_that_a_get_would_have() {
    let store = store().await;
    for target in ["/api/overview/1", "/api/overview/2", "/dist/bundle.js", "/api/overview/9"] {
        let head = Request::new("HEAD", target).header("accept-encoding", "gzip");
        let (head, get) =
            (store.send(head).await, store.get_with(target, "accept-encoding", "gzip").await);
        assert_eq!(head.status, get.status, "{target}");
        for name in ["content-encoding", "content-type", "etag", "vary", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{target} {name}");
        }
    }
}
