//! JSON bodies that are no game: 400, `Malformed request`, which field and why.

use serde_json::json;

use crate::helpers::TestStore;
use testkit::games::{game, game_with};

const TEXTS: [&str; 5] = ["game_name", "description", "release_date", "developer", "publisher"];

/// Sends a create that must be refused, and gives the reason.
async fn refused(store: &TestStore, body: impl ToString) -> String {
    let body = body.to_string();
    let answer = store.post_json(&body).await;
    assert_eq!(answer.status, 400, "{body}: {}", answer.golden());
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    text.strip_prefix("Malformed request: ").unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn a_missing_text_is_named() {
    let store = TestStore::start().await;
    for field in TEXTS {
        let mut body = game("A");
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(refused(&store, body).await, format!("`{field}` is missing"));
    }
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let store = TestStore::start().await;
    let answer = store.post_json(r#"{"game_name":1,"tags":[2],"colour":"red"}"#).await;
    insta::assert_snapshot!(answer.golden());
    for field in ["game_name", "description", "release_date", "tags", "colour"] {
        assert!(answer.text().contains(&format!("`{field}`")), "{field}");
    }
}

#[tokio::test]
async fn a_text_of_another_type_is_named() {
    let store = TestStore::start().await;
    for field in TEXTS {
        for value in [json!(1), json!(null), json!(true), json!(["a"]), json!({"a": "b"})] {
            let why = refused(&store, game_with(json!({ field: value }))).await;
            assert_eq!(why, format!("`{field}` must be one text"), "{value}");
        }
    }
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn an_id_that_is_no_int32_is_named() {
    let store = TestStore::start().await;
    for id in [
        json!("1"),
        json!(null),
        json!(1.5),
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(1e300),
        json!(true),
        json!([1]),
        json!({}),
    ] {
        let why = refused(&store, game_with(json!({ "game_id": id }))).await;
        assert!(why.starts_with("`game_id` must be an integer"), "{id}: {why}");
    }
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn tags_that_are_no_texts_are_named() {
    let store = TestStore::start().await;
    for tags in [
        json!("a"),
        json!(1),
        json!({"0": "a"}),
        json!(["a", 1]),
        json!([["a"]]),
        json!(["a", null]),
    ] {
        let why = refused(&store, game_with(json!({ "tags": tags }))).await;
        assert!(why.starts_with("`tags` must be a list"), "{tags}: {why}");
    }
}

#[tokio::test]
async fn u_0000_is_refused_in_every_text() {
    let store = TestStore::start().await;
    for field in TEXTS {
        let why = refused(&store, game_with(json!({ field: "a\0b" }))).await;
        assert_eq!(why, format!("`{field}` must not hold U+0000"));
    }
    let why = refused(&store, game_with(json!({"tags": ["a", "\0"]}))).await;
    assert!(why.contains("`tags`") && why.contains("U+0000"), "{why}");
    let why = refused(&store, game_with(json!({"a\0": "b"}))).await;
    assert!(!why.contains('\0'), "the answer does not repeat it: {why:?}");
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn an_answer_repeats_only_a_little_of_what_was_wrong() {
    let store = TestStore::start().await;
    let fields: Vec<_> = (0..1_000).map(|n| format!("\"{n}{}\":0", "x".repeat(500))).collect();
    let why = refused(&store, format!("{{{}}}", fields.join(","))).await;
    assert!(why.contains("`0x") && why.len() < 1_024, "{} bytes", why.len());
}

#[tokio::test]
async fn a_body_that_is_no_json_object_says_so() {
    let store = TestStore::start().await;
    let deep = "[".repeat(100_000);
    for (body, why) in [
        ("", "is missing"),
        ("{}", "is missing"),
        ("[]", "a JSON object"),
        ("null", "a JSON object"),
        ("\"text\"", "a JSON object"),
        ("7", "a JSON object"),
        ("{", "not JSON"),
        ("{} {}", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("game_name=a", "not JSON"),
        (r#"{"game_name":"\ud800"}"#, "not JSON"),
        (&deep, "not JSON"),
    ] {
        let reason = refused(&store, body).await;
        assert!(reason.contains(why), "{body:.20}: {reason}");
    }
}

#[tokio::test]
async fn json_that_is_not_utf_8_is_malformed() {
    let store = TestStore::start().await;
    let mut bytes = game("Stardew_Valley").to_string().into_bytes();
    let place = bytes.iter().position(|byte| *byte == b'S').unwrap();
    bytes[place] = 0xff;
    let request = crate::client::Request::new("POST", "/api/overview");
    let answer = store.send(request.body("application/json", bytes)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("Malformed request: the body is not JSON"));
}

#[tokio::test]
async fn a_create_without_any_body_is_malformed() {
    let store = TestStore::start().await;
    let answer = store.send(crate::client::Request::new("POST", "/api/overview")).await;
    assert_eq!(answer.status, 400, "{}", answer.golden());
    assert!(answer.text().contains("`game_name` is missing"), "{}", answer.text());
}
