//! No act goes on after its deadline, whatever NATS does. The time is the clock's of the test.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::activities::model::MessageId;
use crate::config::queue::NatsQueue;
use crate::db::storage::{ActContext, ActivityStore, NewMessage};
use crate::db::{MigrationPolicy, embedded};
use crate::telemetry::Registry;

const TIMEOUT: Duration = Duration::from_millis(300);
/// What a timer may be late by.
const PRECISION: Duration = Duration::from_millis(20);

/// A store whose queue is at an address where nothing listens.
async fn without_a_server(folder: &std::path::Path) -> Arc<dyn ActivityStore> {
    let registry = Registry::default();
    let path = folder.join("store.db");
    let stores = embedded::open(path, MigrationPolicy::Migrate, &registry).await.unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let queue = NatsQueue {
        host: "127.0.0.1".to_owned(),
        port,
        login: None,
        tls: false,
        stream: "S".to_owned(),
    };
    tokio::time::pause();
    let (store, target) = (stores.activities.unwrap(), stores.transfers.unwrap());
    super::open(&queue, store, target, &registry).await.unwrap()
}

fn message() -> NewMessage {
    NewMessage { id: MessageId::new(), body: "{}".into() }
}

#[tokio::test]
async fn a_message_is_given_up_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let store = without_a_server(folder.path()).await;
    let context = ActContext::new().with_timeout(TIMEOUT);
    let end = context.deadline() + PRECISION;
    store.accept(context, message()).await.unwrap_err();
    assert!(Instant::now() <= end, "{:?} late", Instant::now() - end);
}

#[tokio::test]
async fn a_retry_is_given_up_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let store = without_a_server(folder.path()).await;
    let context = ActContext::new().with_timeout(TIMEOUT);
    let end = context.deadline() + PRECISION;
    store.retry(context, MessageId::new(), message()).await.unwrap_err();
    assert!(Instant::now() <= end, "{:?} late", Instant::now() - end);
}
