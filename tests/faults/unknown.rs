//! Creates whose answer is lost: they are stored, once, and no client is told that an id was taken by the
//! very game that was to get it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;

use crate::requests::{ANSWER_TIMEOUT, ProxiedServer, answer, everything_works_again};
use testkit::games::game;
use testkit::process::Server;
use testkit::proxy::Mode;
use testkit::wait::eventually;

const CREATES: u64 = 20;
/// Far above what the counter reaches.
const EXPLICIT: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn creates_whose_answer_is_lost_are_stored_once_and_never_refused() {
    let database = ProxiedServer::open().await;
    everything_works_again(&database.server).await;
    // Where the database can be reached again at once, a create that is repeated would be stored twice.
    for (round, is_back_at_once) in [false, true].into_iter().enumerate() {
        lost_answers(&database, round as u64, is_back_at_once).await;
    }
}

async fn lost_answers(database: &ProxiedServer, round: u64, is_back_at_once: bool) {
    let ProxiedServer { server, proxy, .. } = database;
    let of = |what: &str| {
        format!("SELECT count({what}) FROM overviews WHERE game_name LIKE 'unknown {round} %'")
    };
    let (count, distinct) = (of("*"), of("DISTINCT game_name"));

    // Answers come so late that they can be lost between the commit and their arrival. While the
    // first create is under way the others become one statement.
    proxy.set(Mode::Delay(Duration::from_secs(1)));
    let creates: Vec<_> =
        (0..CREATES).map(|n| tokio::spawn(create(Arc::clone(server), round, n))).collect();
    eventually("all are stored", async || database.column(&count).await == [CREATES.to_string()])
        .await;
    proxy.set(Mode::Cut);
    if is_back_at_once {
        proxy.restore();
    }
    let statuses: Vec<u16> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
    proxy.restore();
    assert!(statuses.iter().all(|status| matches!(status, 201 | 503)), "{statuses:?}");
    assert!(statuses.contains(&503), "answers were lost: {statuses:?}");

    everything_works_again(server).await;
    for sql in [&count, &distinct] {
        assert_eq!(database.column(sql).await, [CREATES.to_string()], "{sql}");
    }
}

/// The status of a create; every second one names its id.
async fn create(server: Arc<Server>, round: u64, n: u64) -> u16 {
    let mut game = game(&format!("unknown {round} {n}"));
    if n.is_multiple_of(2) {
        game["game_id"] = (EXPLICIT + round * CREATES + n).into();
    }
    let create = (Method::POST, "/api/overview", Some(game));
    answer(&server, ANSWER_TIMEOUT, create).await.status().as_u16()
}
