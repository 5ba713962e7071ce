//! Moving messages of a stream into the queue of the store.

use std::sync::Arc;

use storefront::activities::model::MessageId;
use storefront::activities::model::{Rejection, RejectionKind};
use storefront::db::Stores;
use storefront::db::storage::{
    Applied, MessageState, NewMessage, TransferTarget, TransferredMessage,
};
use testkit::database::OwnDatabase;
use uuid::Uuid;

use super::{accept, are_applied, body, find, lease, number, numbers, store, work};
use crate::world::{World, at_once};

type Target = Arc<dyn TransferTarget>;

fn target(stores: &Stores) -> Target {
    stores.transfers.clone().expect("the backend has a queue")
}

/// A message that inserts its sequence.
fn message(sequence: u64) -> TransferredMessage {
    let body = body(&[number("t", sequence as i64)]);
    TransferredMessage { sequence, message: NewMessage { id: MessageId::new(), body } }
}

async fn transfer(
    target: &Target,
    stream: Uuid,
    (from, to): (u64, u64),
    messages: &[&TransferredMessage],
) -> bool {
    let messages = messages.iter().map(|message| (*message).clone()).collect();
    target.transfer(stream, from, to, messages).await.unwrap()
}

pub async fn messages_of_a_stream_are_moved_once(world: World) {
    let servers = [world.stores.clone(), world.another_server().await];
    let (store, targets) = (store(&servers[0]), servers.each_ref().map(target));
    let (stream, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(targets[0].transferred_to(stream).await.unwrap(), 0);
    assert!(targets[0].streams().await.unwrap().is_empty());
    let messages: Vec<_> = (1..=9).map(message).collect();
    let [first, second, fourth] = [&messages[0], &messages[1], &messages[3]];
    assert!(!transfer(&targets[0], stream, (1, 2), &[second]).await, "the first is not there");
    assert!(transfer(&targets[0], stream, (0, 3), &[first, second]).await);
    assert_eq!(targets[1].transferred_to(stream).await.unwrap(), 3);
    assert_eq!(targets[1].streams().await.unwrap(), [stream]);
    assert!(!transfer(&targets[1], stream, (0, 3), &[first, second]).await);
    // Of several servers one moves the next messages.
    let tries = (0..6_usize).map(|n| {
        let (target, fourth) = (targets[n % 2].clone(), fourth.clone());
        async move { target.transfer(stream, 3, 4, vec![fourth]).await.unwrap() }
    });
    let moved = at_once(tries).await;
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1, "{moved:?}");
    assert_eq!(targets[0].transferred_to(stream).await.unwrap(), 4);
    let lease = lease(&store).await;
    let queued = store.next(lease, 10).await.unwrap();
    let ids: Vec<_> = queued.iter().map(|message| message.id).collect();
    let expected = [first, second, fourth].map(|message| message.message.id);
    assert_eq!(ids, expected, "in their order");
    assert_eq!(queued[0].received_at.as_millisecond(), expected[0].made_at());
    store.release(lease).await.unwrap();
    // Another stream with messages that are queued, and that have ended.
    assert!(transfer(&targets[1], other, (0, 1), &[first]).await);
    work(&store).await;
    assert!(transfer(&targets[1], other, (1, 3), &[second, &messages[4]]).await);
    assert_eq!(targets[0].transferred_to(other).await.unwrap(), 3);
    work(&store).await;
    are_applied(&store, expected).await;
    assert_eq!(numbers(&store, "t", "n").await, [1, 2, 4, 5]);
    assert_eq!(store.queue_status().await.unwrap().messages, 0);
}

/// As a message that was queued twice, while another server ended it.
#[tokio::test(flavor = "multi_thread")]
async fn a_queued_message_that_has_ended_is_removed_without_effects() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database.open().await);
    let first = accept(&store, &[number("t", 1)]).await;
    work(&store).await;
    let queue_again = format!(
        "INSERT INTO activity_queue (id, body, bytes) VALUES ('{first}', '{}', 1);
         INSERT INTO activity_queue_totals (messages, bytes) VALUES (1, 1);",
        body(&[number("t", 1)])
    );
    database.execute(&queue_again).await;
    let second = accept(&store, &[number("t", 2)]).await;
    let held = lease(&store).await;
    let queued = store.next(held, 10).await.unwrap();
    assert_eq!(queued.iter().map(|message| message.id).collect::<Vec<_>>(), [first, second]);
    store.apply(held, queued).await.unwrap();
    assert!(store.next(held, 10).await.unwrap().is_empty());
    // Nor does rejecting it change how it ended.
    database.execute(&queue_again).await;
    let again = store.next(held, 10).await.unwrap().remove(0);
    let rejection = Rejection {
        kind: RejectionKind::Unreadable,
        activity: None,
        table: None,
        column: None,
        error: "no".to_owned(),
    };
    let rejected = store.reject(held, again, rejection).await.unwrap();
    assert!(matches!(rejected, Applied::Outcomes(outcomes) if outcomes.len() == 1));
    assert!(store.next(held, 10).await.unwrap().is_empty());
    assert_eq!(find(&store, first).await.state, MessageState::Applied);
    are_applied(&store, [first, second]).await;
    assert_eq!(numbers(&store, "t", "n").await, [1, 2]);
    assert_eq!(store.queue_status().await.unwrap().messages, 0);
}
