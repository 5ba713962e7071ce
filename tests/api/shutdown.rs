//! The end of a server: what is under way is finished, what is new is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use storefront::server::listener::ShutdownOutcome;

use crate::client::{Connection, Request};
use crate::helpers::{Setup, TestStore, created};
use testkit::wait::eventually;

async fn with_shutdown_timeout(timeout: Duration) -> TestStore {
    let mut setup = Setup::default();
    setup.limits.shutdown_timeout = timeout;
    TestStore::start_with(setup).await
}

async fn refuses_connections(store: &TestStore) {
    eventually("new connections are refused", async || {
        Connection::open(store.address).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let store = TestStore::start().await;
    let mut idle = store.connect().await;
    assert_eq!(idle.ask(&Request::new("GET", "/healthz")).await.status, 200);
    store.stop();
    assert!(idle.rest().await.is_empty(), "an idle connection is closed");
    assert_eq!(store.ended().await, ShutdownOutcome::Drained);
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_new_connections_are_refused() {
    let store = TestStore::start().await;
    let mut upload = store.begin_upload().await;
    store.stop();
    refuses_connections(&store).await;
    let answer = upload.finish().await;
    assert_eq!(created(&answer), 1);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(upload.connection.rest().await.is_empty());
    let database = Arc::clone(&store.database);
    assert_eq!(store.ended().await, ShutdownOutcome::Drained);
    let again = TestStore::start_on(&database).await;
    assert_eq!(again.find(1).await.unwrap()["game_name"], "Slow", "the answer was true");
}

#[tokio::test]
async fn the_deadline_ends_the_wait_for_a_request() {
    let timeout = Duration::from_millis(200);
    let store = with_shutdown_timeout(timeout).await;
    let _upload = store.begin_upload().await;
    let begun = Instant::now();
    store.stop();
    assert_eq!(store.ended().await, ShutdownOutcome::Cut(1));
    assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_at_once() {
    let store = with_shutdown_timeout(Duration::from_secs(3_600)).await;
    let _uploads = (store.begin_upload().await, store.begin_upload().await);
    store.stop();
    refuses_connections(&store).await;
    store.stop_now();
    assert_eq!(store.ended().await, ShutdownOutcome::Cut(2));
}

#[tokio::test]
async fn a_connection_gets_no_further_request_answered() {
    let store = TestStore::start().await;
    let mut upload = store.begin_upload().await;
    store.stop();
    refuses_connections(&store).await;
    assert_eq!(upload.finish().await.status, 201);
    let _refused = upload.connection.send(&Request::new("GET", "/healthz").bytes()).await;
    assert!(upload.connection.rest().await.is_empty());
    assert_eq!(store.ended().await, ShutdownOutcome::Drained);
}
