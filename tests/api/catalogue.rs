//! `GET /api/overview`: the catalogue, page by page.

use std::collections::BTreeMap;

use serde_json::json;

use crate::client::Request;
use crate::helpers::{TestStore, game, game_with};

async fn stock(store: &TestStore, ids: impl IntoIterator<Item = i64>) {
    for id in ids {
        store.create(&game_with(json!({ "game_id": id }))).await;
    }
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
        assert_eq!(ids, (1..=count).collect::<Vec<_>>(), "{query}");
        assert!(next.is_some(), "{query}");
    }
}

#[tokio::test]
async fn games_come_in_ascending_order_of_their_numbers() {
    let store = TestStore::start().await;
    let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
    stock(&store, [5, max, -3, 0, min, 40]).await;
    assert_eq!(store.page("").await, (vec![min, -3, 0, 5, 40, max], None));
}

#[tokio::test]
async fn the_last_page_has_no_next() {
    let store = TestStore::start().await;
    stock(&store, 1..=4).await;
    assert_eq!(store.page("?limit=4").await, (vec![1, 2, 3, 4], None));
    assert_eq!(store.page("?limit=5").await, (vec![1, 2, 3, 4], None));
    let (ids, next) = store.page("?limit=3").await;
    assert_eq!(ids, [1, 2, 3]);
    let rest = format!("?limit=3&after={}", next.unwrap());
    assert_eq!(store.page(&rest).await, (vec![4], None));
    assert!(store.get("/api/overview?limit=4").await.text().ends_with(r#""next":null}"#));
}

#[tokio::test]
async fn a_walk_sees_each_game_once_while_others_are_inserted() {
    let store = TestStore::start().await;
    stock(&store, (0..60).map(|n| n * 10)).await;
    let (mut seen, mut query, mut step) = (BTreeMap::new(), "?limit=7".to_owned(), 0);
    loop {
        let (ids, next) = store.page(&query).await;
        for id in &ids {
            *seen.entry(*id).or_insert(0) += 1;
        }
        let Some(next) = next else { break };
        // Before, at and behind the place that the walk has reached; and assigned ones.
        let place = ids.last().unwrap();
        stock(&store, [place - 5, place + 1, -10 - step]).await;
        store.create(&game("A")).await;
        step += 1;
        query = format!("?limit=7&after={next}");
    }
    assert!(step > 8, "several pages were walked");
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    for id in (0..60).map(|n| n * 10) {
        assert!(seen.contains_key(&id), "{id} was there from the beginning");
    }
}

#[tokio::test]
async fn a_cursor_outlives_the_game_it_was_made_from() {
    let store = TestStore::start().await;
    stock(&store, 1..=4).await;
    let (_, next) = store.page("?limit=2").await;
    store.delete(2).await;
    let rest = format!("?after={}", next.unwrap());
    assert_eq!(store.page(&rest).await, (vec![3, 4], None));
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
