//! Entity tags: weak, of the content, and 304 for who has it.

use serde_json::json;

use crate::client::Request;
use crate::helpers::TestStore;
use testkit::games::game;

async fn tag(store: &TestStore, target: &str) -> String {
    let answer = store.get(target).await;
    assert_eq!(answer.status, 200, "{target}");
    let tag = answer.header("etag").unwrap_or_else(|| panic!("{target} has no tag")).to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"') && tag.len() > 8, "{tag}");
    tag
}

const TAGGED: [&str; 11] = [
    "/api/overview/1",
    "/api/overview",
    "/api/overview?limit=1",
    "/api/overviewImage/1",
    "/api/overviewImage/1/banner.svg",
    "/api/reviews/1",
    "/openapi.json",
    "/",
    "/1",
    "/dist/bundle.js",
    "/favicon.svg",
];

#[tokio::test]
async fn a_client_that_has_the_content_gets_304_without_a_body() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    for target in TAGGED {
        let tag = tag(&store, target).await;
        let answer = store.get_with(target, "if-none-match", &tag).await;
        assert_eq!(answer.status, 304, "{target}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.header("content-length"), None);
        assert_eq!(answer.header("content-type"), None);
        let head = Request::new("HEAD", target).header("if-none-match", &tag);
        assert_eq!(store.send(head).await.status, 304, "{target}");
    }
}

#[tokio::test]
async fn a_304_to_the_byte() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    let answer = store.get_with("/api/overview/1", "if-none-match", "*").await;
    insta::assert_snapshot!(answer.golden());
}

#[tokio::test]
async fn tags_are_compared_weakly_in_lists_and_by_the_star() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    let tag = tag(&store, "/api/overview/1").await;
    let strong = tag.trim_start_matches("W/");
    let lists = [format!("\"a\", {tag}"), format!("W/\"a\",{strong},\"b\"")];
    for value in ["*", &tag, strong, &lists[0], &lists[1]] {
        let answer = store.get_with("/api/overview/1", "if-none-match", value).await;
        assert_eq!(answer.status, 304, "{value}");
    }
    for value in ["\"a\"", "W/\"a\", \"b\"", "", strong.trim_matches('"')] {
        let answer = store.get_with("/api/overview/1", "if-none-match", value).await;
        assert_eq!(answer.status, 200, "{value}");
        assert!(!answer.body.is_empty());
    }
}

#[tokio::test]
async fn the_tag_changes_with_the_content_and_comes_back_with_it() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let (one, list) = (tag(&store, "/api/overview/1").await, tag(&store, "/api/overview").await);
    store.put_json(id, json!({"developer": "Other"})).await;
    assert_ne!(tag(&store, "/api/overview/1").await, one);
    assert_ne!(tag(&store, "/api/overview").await, list);
    assert_eq!(store.get_with("/api/overview/1", "if-none-match", &one).await.status, 200);
    store.put_json(id, json!({"developer": "ConcernedApe"})).await;
    assert_eq!(tag(&store, "/api/overview/1").await, one);
}

#[tokio::test]
async fn no_tag_finds_a_game_that_is_gone() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let tag = tag(&store, "/api/overview/1").await;
    store.delete(id).await;
    for value in [tag.as_str(), "*"] {
        let answer = store.get_with("/api/overview/1", "if-none-match", value).await;
        answer.is_text(404, "Not Found");
    }
}

#[tokio::test]
async fn the_tag_is_the_same_in_every_encoding() {
    let store = TestStore::start().await;
    for target in ["/dist/bundle.js", "/api/reviews/1", "/openapi.json"] {
        let plain = tag(&store, target).await;
        for encoding in ["gzip", "br"] {
            let answer = store.get_with(target, "accept-encoding", encoding).await;
            assert_eq!(answer.header("content-encoding"), Some(encoding), "{target}");
            assert_eq!(answer.header("etag"), Some(plain.as_str()), "{target}");
        }
    }
}
