//! Whatever a client sends: texts come back as they were, and nothing is ever the server's fault.

use std::future::Future;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::client::Request;
use crate::helpers::{FORM, JSON, TestStore, created};

const TEXTS: [&str; 5] = ["game_name", "description", "release_date", "developer", "publisher"];

/// Runs a check of many inputs against one store.
fn always<S: Strategy, F: Future<Output = ()>>(
    strategy: S,
    check: impl Fn(std::sync::Arc<TestStore>, S::Value) -> F,
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = std::sync::Arc::new(runtime.block_on(TestStore::start()));
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |input| {
        runtime.block_on(check(std::sync::Arc::clone(&store), input));
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(store.metrics.panics.get(), 0);
}

/// Any text without U+0000.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no U+0000", |c| *c != '\0'), 0..20)
        .prop_map(|chars| chars.into_iter().collect())
}

/// Any game, without an id.
fn any_game() -> impl Strategy<Value = Value> {
    (proptest::array::uniform5(text()), vec(text(), 0..12)).prop_map(|(texts, tags)| {
        let texts = TEXTS.iter().zip(texts).map(|(name, text)| ((*name).to_owned(), json!(text)));
        Value::Object(texts.chain([("tags".to_owned(), json!(tags))]).collect())
    })
}

/// As browsers and `qs` write it.
fn form(game: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for name in TEXTS {
        form.append_pair(name, game[name].as_str().expect("a text"));
    }
    for (n, tag) in game["tags"].as_array().expect("tags").iter().enumerate() {
        form.append_pair(&format!("tags[{n}]"), tag.as_str().expect("a text"));
    }
    form.finish()
}

#[test]
fn any_game_comes_back_as_it_was_sent() {
    always(any_game(), async |store, game| {
        let json = created(&store.post_json(&game).await);
        let form = created(&store.post_form(&form(&game)).await);
        for id in [json, form] {
            let mut found = store.find(id).await.expect("it was created");
            found.as_object_mut().expect("an object").remove("game_id");
            assert_eq!(found, game);
        }
    });
}

#[test]
fn no_body_causes_a_server_error() {
    let pieces = prop_oneof![
        vec(any::<u8>(), 0..64),
        text().prop_map(|text| format!("{{\"game_name\":\"{text}\"}}").into_bytes()),
        "[\\[\\]{}\",:0-9a-z\\\\=&%+.-]{0,40}".prop_map(String::into_bytes),
    ];
    always((pieces, any::<bool>()), async |store, (body, is_form)| {
        let content_type = if is_form { FORM } else { JSON };
        let request = Request::new("POST", "/api/overview").body(content_type, body);
        let answer = store.send(request).await;
        assert_eq!(answer.status, 400, "no such body is a whole game: {}", answer.golden());
        assert!(answer.text().starts_with("Malformed request: "));
    });
}

#[test]
fn no_target_causes_a_server_error() {
    let target = prop_oneof![
        "/[!-~]{0,40}",
        "/api/overview/[!-~]{0,12}",
        "/api/overview\\?(limit|after)=[!-~]{0,12}",
        "/api/(reviews|overviewImage)/[!-~]{0,12}",
        "/assets/[!-~]{0,12}",
    ];
    always(target, async |store, target| {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n");
        let answer = store.raw(bytes).await;
        let answer = String::from_utf8_lossy(&answer);
        let status: u16 = answer[9..12].parse().expect("three digits");
        assert!(status == 200 || (400..500).contains(&status), "{target}: {answer}");
        assert!(!answer.contains("Invalid URL"), "an answer of ours: {target}: {answer}");
    });
}
