//! Preconditions on a real Cassandra, where several servers change one game.

use crate::db::Stores;
use crate::db::cassandra::test_keyspace::TwoServers;
use crate::db::storage::{ActContext, Create, IdempotencyKey, Precondition, Remove, Update};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

async fn create(stores: &Stores, name: &str) -> GameId {
    let game = NewOverview {
        game_id: None,
        game_name: name.into(),
        description: String::new(),
        release_date: "2020".into(),
        developer: "d".into(),
        publisher: "p".into(),
        tags: vec![],
    };
    match stores.overviews.create(ActContext::new(), game).await.unwrap() {
        Create::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

/// A write of a game that still has that name.
fn if_named(name: &'static str) -> ActContext {
    let is_named = move |game: &Overview| game.game_name == name;
    ActContext::new().with_precondition(Some(Precondition::new(is_named)))
}

fn rename(name: impl Into<String>) -> Changes {
    Changes { game_name: Some(name.into()), ..Changes::default() }
}

/// Of writes at the same time that were all made for the same version of a game one is done, with keys
/// and without, also where they make the same of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_changes_of_a_version_is_done() {
    let servers = TwoServers::new().await;
    let both = [&servers.first, &servers.second];
    for has_keys in [false, true] {
        let id = create(both[0], "old").await;
        let updates = (0..8).map(|n| {
            let key = IdempotencyKey::new(
                format!("{has_keys} {n}"),
                n,
                std::time::Duration::from_secs(60),
            );
            let context = if_named("old").with_key(has_keys.then_some(key));
            let name = if n < 4 { "same".to_owned() } else { format!("{n}") };
            both[n as usize % 2].overviews.update(context, id, rename(name))
        });
        let outcomes = futures::future::try_join_all(updates).await.unwrap();
        let done = outcomes.iter().filter(|outcome| **outcome == Update::Updated).count();
        assert_eq!(done, 1, "{outcomes:?}");
        assert!(
            outcomes.iter().all(|it| matches!(it, Update::Updated | Update::PreconditionFailed))
        );
    }
    servers.end().await;
}

/// A removal does not take along a change that its client has not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_that_was_changed_is_not_removed() {
    let servers = TwoServers::new().await;
    let (first, second) = (&servers.first.overviews, &servers.second.overviews);
    for _ in 0..8 {
        let id = create(&servers.first, "old").await;
        let (updated, removed) = tokio::join!(
            first.update(if_named("old"), id, rename("new")),
            second.remove(if_named("old"), id),
        );
        match (updated.unwrap(), removed.unwrap()) {
            (Update::Updated, Remove::PreconditionFailed) => {
                assert_eq!(first.find(id, None).await.unwrap().unwrap().game_name, "new");
                assert_eq!(second.remove(if_named("new"), id).await.unwrap(), Remove::Removed);
            }
            (Update::Missing, Remove::Removed) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(second.remove(if_named("new"), id).await.unwrap(), Remove::Missing);
        let missing = first.update(if_named("new"), id, rename("more")).await.unwrap();
        assert_eq!((missing, first.find(id, None).await.unwrap()), (Update::Missing, None));
    }
    servers.end().await;
}

/// Another program's row may lack values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_with_nulls_is_changed_and_removed() {
    let servers = TwoServers::new().await;
    let first = &servers.first.overviews;
    servers.run("INSERT INTO $.overviews (game_id, game_name) VALUES (7, 'old')").await;
    assert_eq!(
        first.update(if_named("old"), GameId(7), rename("new")).await.unwrap(),
        Update::Updated
    );
    let game = first.find(GameId(7), None).await.unwrap().unwrap();
    assert_eq!((game.game_name.as_str(), game.tags.len()), ("new", 0));
    assert_eq!(first.remove(if_named("new"), GameId(7)).await.unwrap(), Remove::Removed);
    assert_eq!(first.find(GameId(7), None).await.unwrap(), None);
    servers.end().await;
}
