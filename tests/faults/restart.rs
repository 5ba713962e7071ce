//! The database server itself is killed and started again.

use std::sync::Arc;

use rand::RngExt;

use crate::ledger::Writers;
use crate::own_server::OwnServer;
use crate::shop::{AT_ONCE, answer, every_act, everything_works_again, is_unavailable, serve};

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_postgres_is_killed() {
    let mut rng = crate::random();
    let database = Arc::new(OwnServer::start());
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(serve(folder.path(), &database.url));
    let writers = Writers::start(&server);
    for _ in 0..2 * crate::rounds() {
        writers.acknowledged(rng.random_range(50..500)).await;
        while_others_work(&database, OwnServer::kill).await;
        writers.refused(20).await;
        for act in every_act() {
            is_unavailable(&answer(&server, AT_ONCE, act).await);
        }
        while_others_work(&database, OwnServer::start_again).await;
        everything_works_again(&server).await;
    }
    writers.acknowledged(50).await;
    writers.are_right(&server).await;
}

async fn while_others_work(database: &Arc<OwnServer>, act: fn(&OwnServer)) {
    let database = Arc::clone(database);
    tokio::task::spawn_blocking(move || act(&database)).await.unwrap();
}
