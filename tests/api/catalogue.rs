//! `GET /api/overview`: the catalogue, page by page.

use std::collections::BTreeSet;

use serde_json::json;

use crate::client::Request;
use crate::helpers::TestStore;
use testkit::games::{game, game_with};

pub(crate) async fn stock(store: &TestStore, ids: impl IntoIterator<Item = i64>) {
    for id in ids {
        store.create(&game_with(json!({ "game_id": id }))).await;
    }
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_page_to_the_byte() {
    let store = TestStore::start().await;
    stock(&store, [1, 2]).await;
    insta::assert_snapshot!(store.get("/api/overview?limit=1").await.golden());
}

#[tokio::test]
async fn an_empty_store_has_one_empty_page() {
    let store = TestStore::start().await;
    let answer = store.get("/api/overview").await;
    assert_eq!(answer.text(), r#"{"overviews":[],"next":null}"#);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn a_page_holds_the_games_as_find_gives_them() {
    let store = TestStore::start().await;
    store.create(&game("A")).await;
    store.create(&game("B")).await;
    let page = store.get("/api/overview/").await.json();
    for id in [1, 2] {
        assert_eq!(page["overviews"][id as usize - 1], store.find(id).await.unwrap());
    }
}

#[tokio::test]
async fn a_page_has_20_games_unless_asked_for_1_to_100() {
    let store = TestStore::start().await;
    stock(&store, 1..=101).await;
    for (query, count) in [("", 20), ("?limit=1", 1), ("?limit=21", 21), ("?limit=100", 100)] {
        let (ids, next) = store.page(query).await;
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count, "{query}");
        assert!(next.is_some(), "{query}");
    }
}

#[tokio::test]
async fn the_last_page_has_no_next() {
    let store = TestStore::start().await;
    stock(&store, 1..=4).await;
    for query in ["?limit=4", "?limit=5"] {
        let (ids, next) = store.page(query).await;
        assert_eq!((sorted(ids), next), (vec![1, 2, 3, 4], None));
    }
    let (mut ids, next) = store.page("?limit=3").await;
    let (rest, end) = store.page(&format!("?limit=3&after={}", next.unwrap())).await;
    assert_eq!((ids.len(), rest.len(), end), (3, 1, None));
    ids.extend(rest);
    assert_eq!(sorted(ids), [1, 2, 3, 4]);
    assert!(store.get("/api/overview?limit=4").await.text().ends_with(r#""next":null}"#));
}

#[tokio::test]
async fn a_cursor_outlives_the_game_it_was_made_from() {
    let store = TestStore::start().await;
    stock(&store, 1..=4).await;
    let (mut ids, next) = store.page("?limit=2").await;
    store.delete(ids[1]).await;
    let (rest, end) = store.page(&format!("?after={}", next.unwrap())).await;
    assert_eq!((rest.len(), end), (2, None));
    ids.extend(rest);
    assert_eq!(sorted(ids), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_cursor_needs_no_escaping_in_a_query() {
    let store = TestStore::start().await;
    stock(&store, [-1, 62, 63, 255, 1 << 24, i64::from(i32::MAX)]).await;
    let mut query = "?limit=1".to_owned();
    while let (_, Some(next)) = store.page(&query).await {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        assert!(!next.is_empty() && next.chars().all(safe), "{next}");
        query = format!("?limit=1&after={next}");
    }
}

#[tokio::test]
async fn a_bad_limit_is_named() {
    let store = TestStore::start().await;
    insta::assert_snapshot!(store.get("/api/overview?limit=101").await.golden());
    for limit in ["0", "101", "-1", "", "ten", "1.5", "99999999999", "%00", "%ff", "1&limit=2"] {
        let answer = store.get(&format!("/api/overview?limit={limit}")).await;
        assert!(answer.problem(400).contains("`limit`"), "{limit}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_bad_cursor_is_named() {
    let store = TestStore::start().await;
    stock(&store, 1..=2).await;
    let (_, next) = store.page("?limit=1").await;
    let next = next.unwrap();
    for cursor in ["", "1", "%00", "%ff", "a+b", &format!("{next}A"), &next[1..], "AAAA===="] {
        let answer = store.get(&format!("/api/overview?after={cursor}")).await;
        assert!(answer.problem(400).contains("`after`"), "{cursor}: {}", answer.text());
    }
    let twice = store.get(&format!("/api/overview?after={next}&after={next}")).await;
    assert!(twice.problem(400).contains("`after`"));
}

#[tokio::test]
async fn the_catalogue_has_a_head_too() {
    let store = TestStore::start().await;
    let answer = store.send(Request::new("HEAD", "/api/overview?limit=5")).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("28")));
    assert_eq!(store.head("/api/overview?limit=0").await.status, 400);
}
