//! `POST /api/overview`: answers and ids. Bodies are in `forms`, `tags` and `malformed`.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::client::Request;
use crate::helpers::{JSON, TestStore, created};
use testkit::games::{game, game_with};

#[tokio::test]
async fn a_create_answers_201_with_the_place_of_the_game() {
    let store = TestStore::start().await;
    let answer = store.post_json(game("Stardew_Valley")).await;
    insta::assert_snapshot!(answer.golden());
    assert_eq!(answer.header("location"), Some("/api/overview/1"));
    answer.is_text(201, "Successfuly created game overview.");
}

#[tokio::test]
async fn a_create_with_a_trailing_slash_is_the_same() {
    let store = TestStore::start().await;
    let request = Request::new("POST", "/api/overview/").body(JSON, game("A").to_string());
    let answer = store.send(request).await;
    answer.is_text(201, "Successfuly created game overview.");
    assert_eq!(answer.header("location"), Some("/api/overview/1"));
    assert_eq!(store.find(1).await.unwrap()["game_name"], "A");
}

#[tokio::test]
async fn what_was_created_is_what_is_found() {
    let store = TestStore::start().await;
    let sent = game_with(json!({
        "game_name": "", "description": "a\n\"b\"\\ <b>&amp;</b> \u{7f}\u{1}",
        "developer": "Ünïcödé 🎮 日本語", "publisher": "'; DROP TABLE overviews; --",
    }));
    let id = store.create(&sent).await;
    let mut found = store.find(id).await.unwrap();
    assert_eq!(found.as_object_mut().unwrap().remove("game_id"), Some(id.into()));
    assert_eq!(found, sent);
}

#[tokio::test]
async fn ids_are_assigned_from_1_upwards() {
    let store = TestStore::start().await;
    for expected in 1..=5 {
        assert_eq!(store.create(&game("A")).await, expected);
    }
}

#[tokio::test]
async fn an_explicit_id_is_used() {
    let store = TestStore::start().await;
    for id in [7, 0, -1, i64::from(i32::MIN), i64::from(i32::MAX)] {
        assert_eq!(store.create(&game_with(json!({ "game_id": id }))).await, id);
        assert_eq!(store.find(id).await.unwrap()["game_id"], id);
    }
}

#[tokio::test]
async fn a_taken_id_is_refused_and_nothing_changes() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_id": 7}))).await;
    let before = store.find(7).await;
    let answer = store.post_json(game_with(json!({"game_id": 7, "game_name": "Other"}))).await;
    insta::assert_snapshot!(answer.golden());
    assert!(answer.problem(409).contains("`game_id`"));
    assert_eq!(store.find(7).await, before);
    assert_eq!(store.page("").await.0, [7]);
}

#[tokio::test]
async fn explicit_ids_do_not_move_the_counter() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_id": 5_000}))).await;
    assert_eq!(store.create(&game("A")).await, 1);
    store.create(&game_with(json!({"game_id": 9_000}))).await;
    assert_eq!(store.create(&game("A")).await, 2);
}

#[tokio::test]
async fn assigned_ids_skip_those_that_are_taken() {
    let store = TestStore::start().await;
    for id in [1, 2, 4] {
        store.create(&game_with(json!({ "game_id": id }))).await;
    }
    assert_eq!(store.create(&game("A")).await, 3);
    assert_eq!(store.create(&game("A")).await, 5);
}

#[tokio::test]
async fn assigned_ids_skip_a_long_run_of_taken_ones() {
    let store = TestStore::start().await;
    for id in 1..=100 {
        store.create(&game_with(json!({ "game_id": id }))).await;
    }
    assert_eq!(store.create(&game("A")).await, 101);
    assert_eq!(store.create(&game("A")).await, 102);
}

#[tokio::test]
async fn the_largest_id_does_not_stop_later_creates() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_id": i32::MAX}))).await;
    assert_eq!(store.create(&game("A")).await, 1);
    assert_eq!(store.create(&game("A")).await, 2);
}

#[tokio::test]
async fn the_id_of_a_removed_game_is_not_assigned_again() {
    let store = TestStore::start().await;
    assert_eq!(store.create(&game("A")).await, 1);
    assert_eq!(store.delete(1).await.status, 200);
    assert_eq!(store.create(&game("B")).await, 2);
}

#[tokio::test]
async fn a_refused_create_uses_up_no_id() {
    let store = TestStore::start().await;
    assert_eq!(store.post_json("{}").await.status, 400);
    store.create(&game_with(json!({"game_id": 9}))).await;
    assert_eq!(store.post_json(game_with(json!({"game_id": 9}))).await.status, 409);
    assert_eq!(store.create(&game("A")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_get_distinct_ids() {
    let store = TestStore::start().await;
    let answers = join_all((0..100).map(|n| store.post_json(game(&n.to_string())))).await;
    let ids: BTreeSet<_> = answers.iter().map(created).collect();
    assert_eq!(ids, (1..=100).collect());
    for (n, answer) in answers.iter().enumerate().step_by(17) {
        let found = store.find(created(answer)).await.unwrap();
        assert_eq!(found["game_name"], n.to_string(), "an id leads to the game it was given for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_creates_with_one_id_one_succeeds() {
    let store = TestStore::start().await;
    let games = (0..20).map(|n| game_with(json!({"game_id": 3, "game_name": n.to_string()})));
    let answers = join_all(games.map(|game| store.post_json(game))).await;
    let won: Vec<_> = (0..20).filter(|n| answers[*n].status == 201).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 19);
    assert_eq!(store.find(3).await.unwrap()["game_name"], won[0].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_a_database_never_assign_an_id_twice() {
    let one = TestStore::start().await;
    let other = TestStore::start_on(&one.database).await;
    let creates = (0..40).map(|n| if n % 2 == 0 { &one } else { &other });
    let answers = join_all(creates.map(|store| store.post_json(game("A")))).await;
    let ids: BTreeSet<_> = answers.iter().map(created).collect();
    assert_eq!(ids.len(), 40);
    for id in ids {
        assert!(one.find(id).await.is_some() && other.find(id).await.is_some(), "{id}");
    }
}
