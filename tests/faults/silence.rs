//! A database that says nothing: connections stay open and nothing comes.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::acknowledged_writes::Writers;
use crate::every_route::every_route;
use crate::requests::{
    ANSWER_TIMEOUT, CART_ANSWER_TIMEOUT, ProxiedServer, answer, are_unavailable,
    everything_works_again, is_unavailable,
};
use testkit::proxy::Mode;

/// Nothing is sent for ever in vain, and nothing that comes late does harm.
async fn every_request_is_given_up(mode: Mode) {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    everything_works_again(server).await;
    let routes = every_route(server).await;
    for _ in 0..testkit::random::rounds(1) {
        proxy.set(mode);
        // The second time new connections are silent from the beginning.
        for _ in 0..2 {
            are_unavailable(server, &routes, CART_ANSWER_TIMEOUT).await;
            assert_eq!(server.status("/healthz").await, 200);
        }
        proxy.restore();
        everything_works_again(server).await;
    }
    server.has_logged("PostgreSQL did not answer in time").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_frozen_database_time_out_and_work_again_afterwards() {
    every_request_is_given_up(Mode::Freeze).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_silent_for_ever_are_replaced() {
    every_request_is_given_up(Mode::Swallow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_to_a_silent_database_wait_no_longer_than_one() {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    everything_works_again(server).await;
    proxy.set(Mode::Freeze);
    let change = json!({"developer": "new"});
    let asked = (0..40).map(|n| {
        let request = match n % 2 {
            0 => (Method::PUT, "/api/overview/1", Some(change.clone())),
            _ => (Method::GET, "/api/overview?limit=3", None),
        };
        answer(server, ANSWER_TIMEOUT, request)
    });
    join_all(asked).await.iter().for_each(is_unavailable);
    proxy.restore();
    everything_works_again(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_by_silence() {
    for (backend, mode) in
        [("postgres", Mode::Freeze), ("postgres", Mode::Swallow), ("cassandra", Mode::Freeze)]
    {
        let ProxiedServer { server, proxy, .. } = &ProxiedServer::on(backend).await;
        let writers = Writers::start(server);
        for _ in 0..testkit::random::rounds(1) {
            writers.acknowledged(100).await;
            proxy.set(mode);
            writers.refused(8).await;
            proxy.restore();
        }
        writers.acknowledged(100).await;
        writers.verify(server).await;
    }
}
