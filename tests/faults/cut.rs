//! Connections to the database break, and new ones are refused.

use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::Method;

use crate::ledger::Writers;
use testkit::games::game;
use testkit::process::Server;
use testkit::proxy::Mode;
use crate::shop::{
    AT_ONCE, Act, RECOVERY, Shop, answer, every_act, everything_works_again, is_unavailable,
};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_cut_off_every_request_is_refused_at_once() {
    let Shop { server, proxy, .. } = &Shop::open().await;
    everything_works_again(server).await;
    for _ in 0..2 * testkit::random::rounds(1) {
        proxy.set(Mode::Cut);
        for _ in 0..3 {
            for act in every_act() {
                is_unavailable(&answer(server, AT_ONCE, act).await);
            }
            let ready = (Method::GET, "/readyz", None);
            is_unavailable(&answer(server, AT_ONCE, ready).await);
            assert_eq!(server.status("/healthz").await, 200);
        }
        proxy.restore();
        everything_works_again(server).await;
    }
    assert!(server.log().contains("the connection to PostgreSQL broke"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_connections_break() {
    let mut rng = testkit::random::rng();
    let Shop { server, proxy, .. } = &Shop::open().await;
    let writers = Writers::start(server);
    for _ in 0..5 * testkit::random::rounds(1) {
        writers.acknowledged(rng.random_range(20..200)).await;
        proxy.set(Mode::Cut);
        writers.refused(rng.random_range(8..40)).await;
        proxy.restore();
    }
    writers.acknowledged(50).await;
    writers.are_right(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_without_the_database_is_survived_by_those_who_repeat() {
    let Shop { server, proxy, .. } = &Shop::open().await;
    everything_works_again(server).await;
    for id in 5_000..5_000 + 20 * testkit::random::rounds(1) {
        // Nobody asks meanwhile: who comes afterwards meets broken connections.
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
async fn repeated(server: &Server, act: Act<'_>) -> Vec<u16> {
    let mut statuses = Vec::new();
    let begun = Instant::now();
    loop {
        let answer = answer(server, AT_ONCE, act.clone()).await;
        statuses.push(answer.status().as_u16());
        if answer.status() != 503 {
            return statuses;
        }
        assert!(begun.elapsed() < RECOVERY, "{act:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
