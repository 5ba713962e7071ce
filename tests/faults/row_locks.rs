//! Rows that other transactions lock: they delay no change of another game, and servers that change the
//! same games do not deadlock.

use std::sync::Arc;

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use storefront::db::MigrationPolicy;
use storefront::db::storage::{ActContext, OverviewStore};
use storefront::overview::model::{Changes, GameId, NewOverview};
use tokio::task::JoinHandle;

use crate::locks::{create, with_a_game};
use crate::requests::{ANSWER_TIMEOUT, answer, is_unavailable};
use testkit::database::{OwnDatabase, open, settings};
use testkit::postgres::OpenTransaction;
use testkit::postgres_database::PostgresDatabase;
use testkit::process::Server;
use testkit::wait::eventually;

/// Games that no transaction locks.
const OTHERS: std::ops::RangeInclusive<u32> = 2..=20;

/// A server with game 1, which an operator keeps locked, and the others.
async fn with_a_locked_game() -> (OwnDatabase, Arc<Server>, OpenTransaction) {
    let (database, server) = with_a_game().await;
    for _ in OTHERS {
        assert_eq!(answer(&server, ANSWER_TIMEOUT, create()).await.status(), 201);
    }
    let lock = "SELECT FROM overviews WHERE game_id = 1 FOR UPDATE";
    let operator = OpenTransaction::begin(database.url(), "an operator", lock).await;
    (database, server, operator)
}

/// Sends a change of the locked game, which waits.
fn change_locked(server: &Arc<Server>, change: Value) -> JoinHandle<u16> {
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let request = (Method::PUT, "/api/overview/1", Some(change));
        answer(&server, ANSWER_TIMEOUT, request).await.status().as_u16()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_game_is_locked_others_are_changed_and_removed() {
    let (database, server, operator) = with_a_locked_game().await;
    let waiting: Vec<_> = ["developer", "publisher", "description"]
        .map(|field| change_locked(&server, json!({ field: "changed" })))
        .into();
    // One after the other, so that they are in many groups, each with what waits.
    for n in OTHERS {
        let path = format!("/api/overview/{n}");
        let change = (Method::PUT, path.as_str(), Some(json!({ "developer": "other" })));
        for request in [change, (Method::DELETE, &path, None)] {
            let answer = answer(&server, ANSWER_TIMEOUT, request).await;
            assert_eq!(answer.status(), 200, "{}\n{}", answer.url(), server.log());
            let answered = waiting.iter().filter(|task| task.is_finished()).count();
            assert_eq!(answered, 0, "answered before {}", answer.url());
        }
    }
    operator.commit().await;
    for task in waiting {
        assert_eq!(task.await.unwrap(), 200, "{}", server.log());
    }
    let changed = "SELECT count(*) FROM overviews WHERE game_id = 1 AND developer = 'changed' \
                   AND publisher = 'changed' AND description = 'changed'";
    assert_eq!(database.column(changed).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_game_that_stays_locked_is_refused_in_time_and_not_made_later() {
    let (database, server, operator) = with_a_locked_game().await;
    for request in [
        (Method::PUT, "/api/overview/1", Some(json!({ "developer": "late" }))),
        (Method::DELETE, "/api/overview/1", None),
    ] {
        is_unavailable(&answer(&server, ANSWER_TIMEOUT, request).await);
    }
    let log = server.log();
    assert!(log.contains("another transaction keeps the row"), "{log}");
    operator.commit().await;
    let change = change_locked(&server, json!({ "publisher": "in time" }));
    assert_eq!(change.await.unwrap(), 200, "{}", server.log());
    let is = "SELECT developer || ', ' || publisher FROM overviews WHERE game_id = 1";
    let found = database.column(is).await;
    assert!(!found[0].contains("late") && found[0].contains("in time"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_was_removed_while_its_change_waited_is_missing() {
    let (_database, server, operator) = with_a_locked_game().await;
    let waiting = change_locked(&server, json!({ "developer": "late" }));
    let other = (Method::PUT, "/api/overview/2", Some(json!({ "developer": "other" })));
    assert_eq!(answer(&server, ANSWER_TIMEOUT, other).await.status(), 200);
    operator.execute("DELETE FROM overviews WHERE game_id = 1").await;
    operator.commit().await;
    assert_eq!(waiting.await.unwrap(), 404);
}

/// Games that two servers change, and how many writes each of them has under way.
const GAMES: i32 = 300;
const CLIENTS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_change_the_same_games_do_not_deadlock() {
    let database = PostgresDatabase::create().await;
    let settings = settings(database.url().as_str());
    let seed = testkit::random::seed();
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(open(&settings, MigrationPolicy::Migrate).await.unwrap().overviews);
    }
    let clients = (0..2 * CLIENTS).map(|client| {
        let store = Arc::clone(&stores[client as usize % 2]);
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(client));
        tokio::spawn(async move {
            for _ in 0..150 {
                write_any(store.as_ref(), &mut random).await;
            }
        })
    });
    for client in join_all(clients).await {
        client.expect("every write succeeds");
    }
    drop(stores);
    // What a session has counted is known when it has ended.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND pid <> pg_backend_pid()";
    eventually("the stores end their sessions", async || database.column(sessions).await == ["0"])
        .await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.column(deadlocks).await, ["0"]);
}

/// Creates, changes or removes a game; it may be there or not.
async fn write_any(store: &dyn OverviewStore, random: &mut StdRng) {
    let id = GameId(random.random_range(0..GAMES));
    let [game_name, description, release_date, developer, publisher] =
        std::array::from_fn(|_| "any".to_owned());
    match random.random_range(0..6) {
        0 => drop(store.remove(ActContext::new(), id).await.unwrap()),
        1 | 2 => {
            let (game_id, tags) = (Some(id), vec![]);
            let game = NewOverview {
                game_id,
                game_name,
                description,
                release_date,
                developer,
                publisher,
                tags,
            };
            store.create(ActContext::new(), game).await.unwrap();
        }
        _ => {
            let changes = Changes { developer: Some(developer), ..Changes::default() };
            store.update(ActContext::new(), id, changes).await.unwrap();
        }
    }
}
