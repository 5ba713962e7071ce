//! What a server leaves to the next one on the same database.

use std::sync::Arc;

use serde_json::json;
use storefront::server::listener::ShutdownOutcome;

use crate::helpers::TestStore;
use testkit::games::{game, game_with};

async fn restart(store: TestStore) -> TestStore {
    let database = Arc::clone(&store.database);
    store.stop();
    assert_eq!(store.ended().await, ShutdownOutcome::Drained);
    TestStore::start_on(&database).await
}

#[tokio::test]
async fn games_changes_and_the_counter_are_kept() {
    let store = TestStore::start().await;
    for name in ["A", "B", "C"] {
        store.create(&game(name)).await;
    }
    store.create(&game_with(json!({"game_id": 40}))).await;
    store.put_json(1, json!({"developer": "Other"})).await.is_text(200, "OK");
    store.delete(3).await.is_text(200, "OK");
    let (before, tag) = (store.get("/api/overview").await, store.get("/api/overview/1").await);
    let (mut ids, cursor) = store.page("?limit=2").await;

    let store = restart(store).await;
    assert_eq!(store.get("/api/overview").await.body, before.body);
    let same = store.get_with("/api/overview/1", "if-none-match", tag.header("etag").unwrap());
    assert_eq!(same.await.status, 304, "tags are of the content, not of the process");
    let rest = format!("?after={}", cursor.unwrap());
    ids.extend(store.page(&rest).await.0);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 40], "and so are cursors");
    let next = store.create(&game("D")).await;
    assert!(next > 3 && next != 40, "{next}: the id of a removed game stays unused");
}

#[tokio::test]
async fn two_servers_on_one_database_see_each_others_writes() {
    let one = TestStore::start().await;
    let other = TestStore::start_on(&one.database).await;
    assert_eq!(one.create(&game("A")).await, 1);
    assert_eq!(other.find(1).await.unwrap()["game_name"], "A");
    let second = other.create(&game("B")).await;
    other.put_json(1, json!({"developer": "x"})).await.is_text(200, "OK");
    assert_eq!(one.find(1).await.unwrap()["developer"], "x");
    one.delete(second).await.is_text(200, "OK");
    other.delete(second).await.is_text(404, "Not Found");
}

#[tokio::test]
async fn nothing_is_left_in_the_database_that_a_refused_request_sent() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_id": 1}))).await;
    store.post_json(game_with(json!({"game_id": 1}))).await.problem(409);
    assert_eq!(store.post_json("{}").await.status, 400);
    let store = restart(store).await;
    assert_eq!(store.page("").await, (vec![1], None));
    assert_eq!(store.create(&game("A")).await, 2);
}
