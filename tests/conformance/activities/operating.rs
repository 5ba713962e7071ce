//! Rejected messages: grouped, retried and discarded.

use std::sync::Arc;
use std::time::Duration;

use storefront::activities::model::MessageId;
use storefront::db::storage::{Discard, IdempotencyKey, MessageState, NewMessage, Retry};

use super::{
    Store, accept, are_applied, body, delete, find, is_rejected, number, numbers, remove_number,
    store, work,
};
use crate::world::{World, act};

fn again() -> NewMessage {
    NewMessage { id: MessageId::new(), body: Arc::from("") }
}

async fn retry(store: &Store, id: MessageId, new: NewMessage) -> Retry {
    store.retry(act(), id, new).await.unwrap()
}

pub async fn rejections_are_grouped_by_their_cause(world: World) {
    let store = store(&world.stores);
    accept(&store, &[number("t", 1)]).await;
    let mut missing = Vec::new();
    for n in 0..3 {
        missing.push(accept(&store, &[remove_number("a \"table\"", n)]).await);
    }
    let column = accept(&store, &[delete("t", &[("c", "TEXT", "secret".into())])]).await;
    work(&store).await;
    let groups = store.rejections(None, 10).await.unwrap();
    let mut found: Vec<_> = groups.iter().map(|g| (g.cause.as_str(), g.count)).collect();
    found.sort_unstable();
    let cause = r#"missing_table "a ""table""""#;
    assert_eq!(found, [(r#"missing_column "t"."c""#, 1), (cause, 3)]);
    let example = |cause| groups.iter().find(|group| group.cause == cause).unwrap().example;
    assert_eq!(example(found[0].0), column);
    assert!(missing.contains(&example(cause)));
    let first = store.rejections(None, 1).await.unwrap();
    let second = store.rejections(Some(first[0].cause.clone()), 10).await.unwrap();
    assert_eq!([first, second].concat(), groups);
    assert_eq!(store.rejected_by(cause, 2).await.unwrap(), (missing[..2].to_vec(), 3));
    assert_eq!(store.rejected_by("none", 2).await.unwrap(), (vec![], 0));
    let Retry::Queued(_) = retry(&store, missing[0], again()).await else { panic!() };
    assert_eq!(store.discard(act(), missing[1]).await.unwrap(), Discard::Discarded);
    assert_eq!(store.rejected_by(cause, 5).await.unwrap(), (missing[2..].to_vec(), 1));
    let groups = store.rejections(None, 10).await.unwrap();
    let group = groups.iter().find(|group| group.cause == cause).unwrap();
    assert_eq!((group.count, group.example), (1, missing[2]));
}

pub async fn a_rejected_message_is_retried_behind_all_others(world: World) {
    let store = store(&world.stores);
    let id = accept(&store, &[remove_number("t", 1)]).await;
    let edited = accept(&store, &[remove_number("t", 2)]).await;
    work(&store).await;
    is_rejected(&store, id, 0).await;
    let queued = accept(&store, &[number("t", 1)]).await;
    assert_eq!(retry(&store, queued, again()).await, Retry::NotRejected(MessageState::Queued));
    let new = again();
    let retried_as = new.id;
    assert_eq!(retry(&store, id, new).await, Retry::Queued(retried_as));
    assert_eq!(store.body(retried_as).await.unwrap(), Some(body(&[remove_number("t", 1)])));
    assert_eq!(find(&store, retried_as).await.retry_of, Some(id));
    assert_eq!(find(&store, id).await.retried_as, Some(retried_as));
    assert_eq!(retry(&store, id, again()).await, Retry::AlreadyRetried(retried_as));
    let other = NewMessage { id: MessageId::new(), body: body(&[number("t", 3)]) };
    let edited_as = other.id;
    assert_eq!(retry(&store, edited, other).await, Retry::Queued(edited_as));
    assert_eq!(retry(&store, MessageId::new(), again()).await, Retry::Missing);
    work(&store).await;
    are_applied(&store, [queued, retried_as, edited_as]).await;
    assert_eq!(find(&store, retried_as).await.retry_of, Some(id));
    assert_eq!(retry(&store, retried_as, again()).await, Retry::NotRejected(MessageState::Applied));
    assert_eq!(numbers(&store, "t", "n").await, [3]);
}

pub async fn of_many_retries_at_once_one_is_queued(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let id = accept(&servers[0], &[remove_number("t", 1)]).await;
    work(&servers[0]).await;
    let tries = (0..10_usize).map(|n| {
        let store = servers[n % 2].clone();
        async move { retry(&store, id, again()).await }
    });
    let outcomes = crate::world::at_once(tries).await;
    let queued = outcomes.iter().filter(|outcome| matches!(outcome, Retry::Queued(_))).count();
    assert_eq!(queued, 1, "{outcomes:?}");
    assert_eq!(servers[0].queue_status().await.unwrap().messages, 1);
}

pub async fn retries_and_discards_under_a_key_happen_once(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let first = accept(&servers[0], &[remove_number("t", 1)]).await;
    let second = accept(&servers[0], &[remove_number("t", 2)]).await;
    work(&servers[0]).await;
    let key = |text, fingerprint| {
        Some(IdempotencyKey::new(text, fingerprint, Duration::from_secs(3_600)))
    };
    let retried = servers[0].retry(act().with_key(key("r", 1)), first, again()).await.unwrap();
    let repeated = servers[1].retry(act().with_key(key("r", 1)), first, again()).await.unwrap();
    assert!(matches!(retried, Retry::Queued(_)));
    assert_eq!(repeated, retried);
    let other = servers[1].retry(act().with_key(key("r", 2)), second, again()).await.unwrap();
    assert_eq!(other, Retry::KeyReused);
    for (fingerprint, expected) in
        [(3, Discard::Discarded), (3, Discard::Discarded), (4, Discard::KeyReused)]
    {
        let context = act().with_key(key("d", fingerprint));
        assert_eq!(servers[0].discard(context, second).await.unwrap(), expected);
    }
    assert_eq!(servers[0].queue_status().await.unwrap().messages, 1);
}

pub async fn only_a_rejected_message_is_discarded(world: World) {
    let store = store(&world.stores);
    let rejected = accept(&store, &[remove_number("t", 1)]).await;
    let applied = accept(&store, &[number("t", 1)]).await;
    work(&store).await;
    let queued = accept(&store, &[number("t", 2)]).await;
    let discard = async |id| store.discard(act(), id).await.unwrap();
    assert_eq!(discard(queued).await, Discard::NotRejected(MessageState::Queued));
    assert_eq!(discard(applied).await, Discard::NotRejected(MessageState::Applied));
    assert_eq!(discard(MessageId::new()).await, Discard::Missing);
    assert_eq!(discard(rejected).await, Discard::Discarded);
    assert_eq!(discard(rejected).await, Discard::Missing);
    assert_eq!(store.find(rejected).await.unwrap(), None);
    assert_eq!(store.rejections(None, 10).await.unwrap(), []);
}
