//! The database's disk is full.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::acknowledged_writes::Writers;
use crate::requests::{ANSWER_TIMEOUT, answer, everything_works_again, is_unavailable, serve};
use testkit::games::game;
use testkit::process::Server;
use testkit::small_disk::SmallDisk;

#[tokio::test(flavor = "multi_thread")]
async fn no_write_is_acknowledged_falsely_when_the_disk_of_postgres_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let database = SmallDisk::of_postgres().await;
    let server = Arc::new(serve(folder.path(), database.url()));
    let writers = Writers::start(&server);
    let told = all_filled(&server, ANSWER_TIMEOUT).await;
    writers.refused(8).await;
    all_there(&server, &told).await;
    server.has_logged("the disk of PostgreSQL is full").await;
    assert_eq!(server.get("/readyz").await, "ready");

    // The operator enlarges the disk; no restart is needed.
    database.enlarge().await;
    everything_works_again(&server).await;
    all_there(&server, &told).await;
    writers.verify(&server).await;
}

/// A node that cannot write its tables answers no write once its memory is full, and cannot end by
/// itself; its log has what the tables have not.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_cassandra_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = SmallDisk::of_cassandra().await;
    let server = Arc::new(serve(folder.path(), database.url()));
    // A create is several statements, each of which may time out.
    let writers = Writers::start(&server);
    let told = all_filled(&server, 3 * ANSWER_TIMEOUT).await;
    writers.refused(8).await;
    let acknowledged = writers.stop().await;
    all_there(&server, &told).await;
    assert_eq!(server.get("/readyz").await, "ready");

    // The operator enlarges the disk and starts the node again.
    database.enlarge().await;
    everything_works_again(&server).await;
    all_there(&server, &told).await;
    acknowledged.verify(&server).await;
}

/// Some clients write until each is refused, in time; the places of what was acknowledged.
async fn all_filled(server: &Arc<Server>, within: Duration) -> Vec<String> {
    let clients = (0..8).map(|_| {
        let server = Arc::clone(server);
        tokio::spawn(async move { fill(&server, within).await })
    });
    let told = futures::future::try_join_all(clients).await.unwrap().concat();
    assert!(told.len() > 100, "{} writes before the disk was full", told.len());
    told
}

/// Writes until refused; the places of what was acknowledged.
async fn fill(server: &Server, within: Duration) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let create = (Method::POST, "/api/overview", Some(large_game()));
        let answer = answer(server, within, create).await;
        if answer.status() != 201 {
            is_unavailable(&answer);
            return told;
        }
        told.push(answer.headers()["location"].to_str().unwrap().to_owned());
    }
}

/// No database compresses a random text by much.
fn large_game() -> Value {
    let mut game = game("large");
    let text = std::iter::repeat_with(|| format!("{:016x}", rand::random::<u64>()));
    game["description"] = text.take(1_000).collect::<String>().into();
    game
}

async fn all_there(server: &Server, told: &[String]) {
    for path in told {
        assert_eq!(server.status(path).await, 200, "{path} was acknowledged");
    }
}
