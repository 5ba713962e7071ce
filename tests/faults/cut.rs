//! Connections to the database break, and new ones are refused.

use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::Method;

use crate::acknowledged_writes::Writers;
use crate::every_route::every_route;
use crate::requests::{
    AT_ONCE, CART_ANSWER_TIMEOUT, ProxiedServer, RECOVERY, Request, answer, are_unavailable,
    everything_works_again,
};
use testkit::games::game;
use testkit::process::Server;
use testkit::proxy::Mode;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_cut_off_every_route_is_refused_at_once() {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    everything_works_again(server).await;
    let routes = every_route(server).await;
    for _ in 0..2 * testkit::random::rounds(1) {
        proxy.set(Mode::Cut);
        for _ in 0..3 {
            are_unavailable(server, &routes, AT_ONCE).await;
            assert_eq!(server.status("/healthz").await, 200);
        }
        proxy.restore();
        everything_works_again(server).await;
    }
    server.has_logged("the connection to PostgreSQL broke").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_cassandra_is_cut_off_every_route_is_refused_in_time() {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::on("cassandra").await;
    everything_works_again(server).await;
    let routes = every_route(server).await;
    proxy.set(Mode::Cut);
    for _ in 0..2 {
        are_unavailable(server, &routes, CART_ANSWER_TIMEOUT).await;
        assert_eq!(server.status("/healthz").await, 200);
    }
    proxy.restore();
    everything_works_again(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_connections_break() {
    let mut rng = testkit::random::rng();
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    let writers = Writers::start(server);
    for _ in 0..5 * testkit::random::rounds(1) {
        writers.acknowledged(rng.random_range(20..200)).await;
        proxy.set(Mode::Cut);
        writers.refused(rng.random_range(8..40)).await;
        proxy.restore();
    }
    writers.acknowledged(50).await;
    writers.verify(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_retry_survive_a_short_outage() {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    everything_works_again(server).await;
    for id in 5_000..5_000 + 20 * testkit::random::rounds(1) {
        // No request is sent meanwhile, so the next one finds broken connections.
        proxy.set(Mode::Cut);
        proxy.restore();
        let mut mine = game("mine");
        mine["game_id"] = id.into();
        let created = repeated(server, (Method::POST, "/api/overview", Some(mine))).await;
        assert!(matches!(created[..], [201] | [.., 503, 201 | 409]), "{created:?}");
        let path = format!("/api/overview/{id}");
        assert!(repeated(server, (Method::GET, &path, None)).await.ends_with(&[200]));
    }
}

/// Repeats the request until it is answered; the statuses.
async fn repeated(server: &Server, request: Request<'_>) -> Vec<u16> {
    let mut statuses = Vec::new();
    let begun = Instant::now();
    loop {
        let answer = answer(server, AT_ONCE, request.clone()).await;
        statuses.push(answer.status().as_u16());
        if answer.status() != 503 {
            return statuses;
        }
        assert!(begun.elapsed() < RECOVERY, "{request:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
