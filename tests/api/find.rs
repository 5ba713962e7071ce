//! `GET` and `HEAD /api/overview/:gameId`.

use serde_json::json;

use crate::client::Request;
use crate::helpers::TestStore;
use testkit::games::{game, game_with};

/// What no game has as its number, spelled as a path segment.
const NO_IDS: [&str; 16] = [
    "99",
    "-7",
    "0",
    "abc",
    "1x",
    "1.0",
    "1e0",
    "+1",
    "%2B1",
    "0x1",
    "2147483648",
    "-2147483649",
    "99999999999999999999",
    "%FF",
    "%zz",
    "%00",
];

#[tokio::test]
async fn a_game_is_an_array_of_one_object_with_its_keys_in_order() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    let answer = store.get("/api/overview/1").await;
    insta::assert_snapshot!(answer.golden());
    assert_eq!(
        answer.text(),
        "[{\"game_id\":1,\"game_name\":\"Stardew_Valley\",\
         \"description\":\"Inherit your grandfather's farm.\",\
         \"release_date\":\"2016-02-26T00:00:00.000Z\",\"developer\":\"ConcernedApe\",\
         \"publisher\":\"Chucklefish\",\"tags\":[\"Farming Sim\",\"RPG\"]}]"
    );
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn text_is_sent_as_utf_8_and_not_escaped_further() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_name": "Öl/日本<🎮>", "tags": ["é"]}))).await;
    let answer = store.get("/api/overview/1").await;
    assert!(answer.text().contains("\"game_name\":\"Öl/日本<🎮>\""), "{}", answer.text());
    assert!(answer.text().ends_with("\"tags\":[\"é\"]}]"), "{}", answer.text());
}

#[tokio::test]
async fn a_release_date_is_the_text_that_was_stored() {
    let store = TestStore::start().await;
    for date in ["2016-02-26T00:00:00.000Z", "soon", "26.02.2016", " "] {
        let id = store.create(&game_with(json!({ "release_date": date }))).await;
        assert_eq!(store.find(id).await.unwrap()["release_date"], date);
    }
}

#[tokio::test]
async fn an_id_that_is_not_an_int32_is_not_found() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    insta::assert_snapshot!(store.get("/api/overview/99").await.golden());
    for method in ["GET", "PUT", "DELETE"] {
        for id in NO_IDS {
            let request = Request::new(method, &format!("/api/overview/{id}"));
            let request = request.body("application/json", "{\"developer\":\"x\"}");
            store.send(request).await.is_text(404, "Not Found");
        }
    }
    assert_eq!(store.find(1).await.unwrap()["developer"], "ConcernedApe");
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    let (with, without) = (store.get("/api/overview/1/").await, store.get("/api/overview/1").await);
    assert_eq!(with.golden(), without.golden());
    assert_eq!(without.status, 200);
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"description": "long ".repeat(1_000)}))).await;
    let game = "/api/overview/1";
    for target in [game, "/api/overview", "/api/overview/99", "/", "/1", "/dist/bundle.js", "/docs"]
    {
        let (head, get) = (store.head(target).await, store.get(target).await);
        assert_eq!(head.golden().trim_end(), get.golden().split("\n\n").next().unwrap());
        assert_eq!(head.header("content-length").unwrap(), get.body.len().to_string());
    }
}

#[tokio::test]
async fn a_head_sends_no_byte_behind_its_headers() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    let request = "HEAD /api/overview/1 HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n";
    let bytes = store.raw(request).await;
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(bytes.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&bytes));
}
