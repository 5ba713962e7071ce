//! Leases, fences and redelivery.

use std::time::Duration;

use storefront::activities::model::{Rejection, RejectionKind};
use storefront::db::storage::{Applied, MessageState};

use super::{
    accept, are_applied, find, lease, number, numbers, remove_number, store, work, work_in_batches,
};
use crate::world::{World, at_once};

pub async fn one_of_many_takes_over(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let seen = servers[0].worker().await.unwrap();
    assert_eq!(seen.owner, None);
    let tries = (0..16_usize).map(|n| {
        let (store, seen) = (servers[n % 2].clone(), seen.clone());
        async move { store.take_over(&seen, &format!("worker {n}")).await.unwrap() }
    });
    let leases: Vec<_> = at_once(tries).await.into_iter().flatten().collect();
    let [lease] = leases.try_into().unwrap();
    assert!(lease.token > seen.token);
    let record = servers[1].worker().await.unwrap();
    assert_eq!(record.token, lease.token);
    assert!(record.owner.is_some());
    assert!(servers[0].renew(lease).await.unwrap());
    let renewed = servers[1].worker().await.unwrap();
    assert_eq!((renewed.token, renewed.owner.is_some()), (lease.token, true));
    assert_ne!(renewed, record, "others see that it lives");
    assert_eq!(servers[1].take_over(&record, "late").await.unwrap(), None);
    servers[0].release(lease).await.unwrap();
    assert_eq!(servers[1].worker().await.unwrap().owner, None);
}

pub async fn a_worker_that_lost_its_lease_does_nothing(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let id = accept(&servers[0], &[number("t", 1)]).await;
    let old = lease(&servers[0]).await;
    let messages = servers[0].next(old, 10).await.unwrap();
    let new = lease(&servers[1]).await;
    assert_eq!(servers[0].apply(old, messages.clone()).await.unwrap(), Applied::LeaseLost);
    let rejection = Rejection {
        kind: RejectionKind::WorkerDied,
        activity: None,
        table: None,
        column: None,
        error: "late".to_owned(),
    };
    let rejected = servers[0].reject(old, messages[0].clone(), rejection).await.unwrap();
    assert_eq!(rejected, Applied::LeaseLost);
    assert_eq!(servers[0].note_attempt(old, id).await.unwrap(), None);
    assert!(!servers[0].renew(old).await.unwrap());
    servers[0].release(old).await.unwrap();
    assert_eq!(find(&servers[0], id).await.state, MessageState::Queued);
    assert_eq!(servers[0].tables().await.unwrap(), []);
    assert!(servers[1].renew(new).await.unwrap(), "a late release does not end another's lease");
    work_in_batches(&servers[1], new, 10).await;
    are_applied(&servers[0], [id]).await;
    assert_eq!(numbers(&servers[0], "t", "n").await, [1]);
}

pub async fn a_message_that_is_applied_again_has_no_effect(world: World) {
    let store = store(&world.stores);
    let applied = accept(&store, &[number("t", 1)]).await;
    let rejected = accept(&store, &[remove_number("missing", 1)]).await;
    let lease = lease(&store).await;
    let messages = store.next(lease, 10).await.unwrap();
    store.apply(lease, messages.clone()).await.unwrap();
    let third = accept(&store, &[number("t", 3)]).await;
    let mut again = messages;
    again.extend(store.next(lease, 10).await.unwrap());
    store.apply(lease, again).await.unwrap();
    are_applied(&store, [applied, third]).await;
    assert_eq!(find(&store, rejected).await.state, MessageState::Rejected);
    assert_eq!(numbers(&store, "t", "n").await, [1, 3]);
    assert_eq!(store.tables().await.unwrap()[0].rows, 2);
}

/// What one worker knows of the tables must not survive another worker's changes.
pub async fn a_worker_sees_the_columns_that_another_added(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let mut ids = Vec::new();
    for n in 0..6_i64 {
        let column = format!("c{n}");
        let cells = [("n", "INTEGER", n.into()), (column.as_str(), "INTEGER", n.into())];
        ids.push(accept(&servers[0], &[super::insert("t", &cells)]).await);
        work(&servers[n as usize % 2]).await;
        // By a column that the other server's worker has added, and of no row. Alone: what the database
        // says of a column that is added twice would correct the worker.
        let none = [(column.as_str(), "INTEGER", (-1).into())];
        ids.push(accept(&servers[0], &[super::delete("t", &none)]).await);
        work(&servers[(n as usize + 1) % 2]).await;
        let known = [(column.as_str(), "INTEGER", (10 + n).into())];
        ids.push(accept(&servers[0], &[super::insert("t", &known)]).await);
        work(&servers[(n as usize + 1) % 2]).await;
    }
    are_applied(&servers[0], ids).await;
    for n in 0..6 {
        let values = numbers(&servers[1], "t", &format!("c{n}")).await;
        assert_eq!(values[values.len() - 2..], [n, 10 + n]);
    }
}

pub async fn attempts_are_counted_and_end_in_a_rejection(world: World) {
    let store = store(&world.stores);
    let id = accept(&store, &[number("t", 1)]).await;
    let other = accept(&store, &[number("t", 2)]).await;
    let lease = lease(&store).await;
    for attempt in 1..=3 {
        assert_eq!(store.note_attempt(lease, id).await.unwrap(), Some(attempt));
        assert_eq!(find(&store, id).await.attempts, attempt);
    }
    let messages = store.next(lease, 1).await.unwrap();
    assert_eq!((messages[0].id, messages[0].attempts), (id, 3));
    let rejection = Rejection {
        kind: RejectionKind::WorkerDied,
        activity: None,
        table: None,
        column: None,
        error: "The worker died.".to_owned(),
    };
    let outcome = store.reject(lease, messages[0].clone(), rejection.clone()).await.unwrap();
    assert_eq!(outcome, Applied::Outcomes(vec![Some(rejection)]));
    let found = find(&store, id).await;
    assert_eq!((found.state, found.attempts), (MessageState::Rejected, 3));
    assert_eq!((found.activity, found.error.as_deref()), (None, Some("The worker died.")));
    assert_eq!(store.rejections(None, 10).await.unwrap()[0].cause, "worker_died");
    work_in_batches(&store, lease, 10).await;
    are_applied(&store, [other]).await;
    assert_eq!(numbers(&store, "t", "n").await, [2]);
}

pub async fn old_messages_are_pruned_and_rejected_ones_stay(world: World) {
    let store = store(&world.stores);
    let applied = accept(&store, &[number("t", 1)]).await;
    let rejected = accept(&store, &[remove_number("missing", 1)]).await;
    let lease = lease(&store).await;
    work_in_batches(&store, lease, 10).await;
    let queued = accept(&store, &[number("t", 2)]).await;
    let kept = store.prune(lease, Duration::from_secs(3_600), 100).await.unwrap();
    assert_eq!(kept, 0);
    are_applied(&store, [applied]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut pruned = 0;
    for _ in 0..10 {
        pruned += store.prune(lease, Duration::ZERO, 100).await.unwrap();
    }
    assert_eq!(pruned, 1);
    assert_eq!(store.find(applied).await.unwrap(), None);
    assert_eq!(find(&store, rejected).await.state, MessageState::Rejected);
    assert_eq!(find(&store, queued).await.state, MessageState::Queued);
    assert_eq!(numbers(&store, "t", "n").await, [1], "its rows stay");
    super::lease(&store).await;
    assert_eq!(store.prune(lease, Duration::ZERO, 100).await.unwrap(), 0);
}
