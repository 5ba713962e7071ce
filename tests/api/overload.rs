//! More than the server takes on: refused at once, and told to come back.

use crate::client::Request;
use crate::helpers::{Setup, TestStore, created};
use testkit::games::game;
use testkit::wait::eventually;

async fn with_limits(connections: usize, in_flight: usize) -> TestStore {
    let mut setup = Setup::default();
    setup.limits.max_connections = connections;
    setup.limits.max_in_flight = in_flight;
    TestStore::start_with(setup).await
}

#[tokio::test]
async fn more_requests_than_allowed_at_once_are_503() {
    let store = with_limits(100, 2).await;
    let (mut one, mut two) = (store.begin_upload().await, store.begin_upload().await);
    let answer = store.post_json(game("third")).await;
    insta::assert_snapshot!(answer.golden());
    answer.problem(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(store.metrics.shed.get(), 1);
    assert_eq!(store.get("/api/overview/1").await.status, 404, "reads have a limit of their own");
    assert_eq!(created(&one.finish().await), 1);
    assert_eq!(store.create(&game("third")).await, 2);
    assert_eq!(created(&two.finish().await), 3);
    assert_eq!(store.metrics.in_flight.get(), 0);
}

#[tokio::test]
async fn a_client_that_disconnects_frees_its_place() {
    let store = with_limits(100, 1).await;
    let upload = store.begin_upload().await;
    let write = async || store.send(Request::new("POST", "/payment/create_user")).await.status;
    assert_eq!(write().await, 503);
    drop(upload);
    eventually("requests are accepted again", async || write().await == 200).await;
    assert!(store.page("").await.0.is_empty(), "half a request creates nothing");
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_usable() {
    let store = with_limits(100, 1).await;
    let mut other = store.connect().await;
    let mut upload = store.begin_upload().await;
    let request = Request::new("POST", "/payment/create_user");
    assert_eq!(other.ask(&request).await.status, 503);
    upload.finish().await;
    assert_eq!(other.ask(&request).await.status, 200);
}

#[tokio::test]
async fn more_connections_than_allowed_are_503_and_closed() {
    let store = with_limits(2, 100).await;
    let (mut one, two) = (store.connect().await, store.connect().await);
    // The refusal comes without a request, so that bytes of one cannot undo it.
    let refused = String::from_utf8(store.raw("").await).unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.ends_with("\r\n\r\n"), "{refused}");
    assert_eq!(store.metrics.shed.get(), 1);
    assert_eq!(one.ask(&Request::new("GET", "/healthz")).await.status, 200);
    drop(two);
    eventually("requests are accepted again", async || {
        store.raw("GET /healthz HTTP/1.0\r\n\r\n").await.ends_with(b"ok")
    })
    .await;
}
