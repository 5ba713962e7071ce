//! Accepting messages, and their order.

use std::time::Duration;

use storefront::activities::model::MessageId;
use storefront::db::storage::{Accept, IdempotencyKey, MessageState, QueueStatus};

use super::{
    accept, are_applied, body, find, lease, message, number, numbers, remove_number, store, work,
    work_in_batches,
};
use crate::world::{World, act, at_once};

pub async fn an_accepted_message_is_queued_until_it_is_applied(world: World) {
    let store = store(&world.stores);
    let other = super::store(&world.another_server().await);
    assert_eq!(store.queue_status().await.unwrap(), QueueStatus::default());
    assert_eq!(store.find(MessageId::new()).await.unwrap(), None);
    assert_eq!(store.body(MessageId::new()).await.unwrap(), None);
    let id = accept(&store, &[number("t", 1)]).await;
    let found = find(&other, id).await;
    assert_eq!(found.state, MessageState::Queued);
    assert_eq!((&found.error, found.activity, found.applied_at), (&None, None, None));
    assert_eq!((found.attempts, found.retry_of, found.retried_as), (0, None, None));
    let text = body(&[number("t", 1)]);
    assert_eq!(other.body(id).await.unwrap(), Some(text.clone()));
    let status = other.queue_status().await.unwrap();
    assert_eq!((status.messages, status.bytes), (1, text.len() as u64));
    assert!(status.oldest.is_some());
    work(&other).await;
    are_applied(&store, [id]).await;
    assert_eq!(find(&store, id).await.received_at, found.received_at);
    assert_eq!(store.queue_status().await.unwrap(), QueueStatus::default());
    assert_eq!(store.list(Some(MessageState::Queued), None, 10).await.unwrap(), []);
}

pub async fn messages_take_effect_in_the_order_of_their_answers(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    // Each sequence inserts and removes one number again and again; the last one decides.
    let sequences = (0..8_i64).map(|n| {
        let servers = servers.clone();
        async move {
            let mut ids = Vec::new();
            for step in 0..24_i64 {
                let store = &servers[((n + step) % 2) as usize];
                let even = step % 2 == 0;
                let activity = if even { number("t", n) } else { remove_number("t", n) };
                // The first message must find the table.
                ids.push(accept(store, &[number("t", -2), activity]).await);
            }
            ids.push(accept(&servers[0], &[number("t", n)]).await);
            ids
        }
    });
    let working = tokio::spawn({
        let store = servers[1].clone();
        async move {
            let lease = lease(&store).await;
            for _ in 0..20 {
                work_in_batches(&store, lease, 5).await;
                store.wait_for_messages(Duration::from_millis(20)).await;
            }
            store.release(lease).await.unwrap();
        }
    });
    let ids = at_once(sequences).await.concat();
    working.await.unwrap();
    work(&servers[0]).await;
    are_applied(&servers[1], ids).await;
    let all = numbers(&servers[0], "t", "n").await;
    let expected: Vec<i64> = std::iter::repeat_n(-2, 8 * 24).chain(0..8).collect();
    assert_eq!(all, expected);
}

pub async fn a_message_under_a_key_is_queued_once(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let key = |fingerprint| IdempotencyKey::new("a key", fingerprint, Duration::from_secs(3_600));
    let first = message(&[number("t", 1)]);
    let id = first.id;
    let send = async |server: usize, fingerprint| {
        let key = key(fingerprint);
        let context = act().with_key(Some(key.clone()));
        let new = message(&[number("t", 1)]);
        (servers[server].accept(context, new).await.unwrap(), key.is_replayed())
    };
    let accepted = servers[0].accept(act().with_key(Some(key(1))), first).await.unwrap();
    assert_eq!(accepted, Accept::Queued(id));
    assert_eq!(send(1, 1).await, (Accept::Queued(id), true));
    assert_eq!(send(1, 2).await, (Accept::KeyReused, false));
    work(&servers[0]).await;
    assert_eq!(send(1, 1).await, (Accept::Queued(id), true));
    work(&servers[1]).await;
    assert_eq!(numbers(&servers[0], "t", "n").await, [1]);
}

pub async fn of_many_repeats_at_once_one_is_queued(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let sent = (0..40_usize).map(|n| {
        let store = servers[n % 2].clone();
        async move {
            let key = format!("key {}", n % 4);
            let key = IdempotencyKey::new(key, 1, Duration::from_secs(3_600));
            let new = message(&[number("t", (n % 4) as i64)]);
            store.accept(act().with_key(Some(key)), new).await.unwrap()
        }
    });
    let accepted = at_once(sent).await;
    for n in 4..40 {
        assert_eq!(accepted[n], accepted[n % 4]);
    }
    work(&servers[0]).await;
    assert_eq!(numbers(&servers[0], "t", "n").await, [0, 1, 2, 3]);
}

pub async fn messages_are_listed_newest_first_and_once(world: World) {
    let store = store(&world.stores);
    let mut ids = Vec::new();
    for n in 0..23 {
        let table = if n % 5 == 4 { "missing" } else { "t" };
        let activity = if table == "t" { number(table, n) } else { remove_number(table, n) };
        ids.push(accept(&store, &[activity]).await);
    }
    work(&store).await;
    for n in 23..30 {
        ids.push(accept(&store, &[number("t", n)]).await);
    }
    ids.reverse();
    let states = [
        (None, ids.clone()),
        (Some(MessageState::Queued), ids[..7].to_vec()),
        (Some(MessageState::Rejected), ids[7..].iter().copied().skip(3).step_by(5).collect()),
    ];
    for (state, expected) in states {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(state, after, 4).await.unwrap();
            assert!(page.len() <= 4);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            assert!(state.is_none_or(|state| page.iter().all(|message| message.state == state)));
            all.extend(page.into_iter().map(|message| message.id));
        }
        assert_eq!(all, expected, "{state:?}");
    }
    assert_eq!(store.list(Some(MessageState::Applied), None, 100).await.unwrap().len(), 19);
}
