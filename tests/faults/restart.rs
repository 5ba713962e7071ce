//! The database server itself is killed and started again.

use std::sync::Arc;

use rand::RngExt;

use crate::acknowledged_writes::Writers;
use crate::every_route::every_route;
use crate::requests::{AT_ONCE, are_unavailable, everything_works_again, serve};
use testkit::db_server::DbServer;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_postgres_is_killed() {
    let mut rng = testkit::random::rng();
    let database = Arc::new(DbServer::start(&["postgres"]));
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(serve(folder.path(), database.value("postgres")));
    let routes = every_route(&server).await;
    let writers = Writers::start(&server);
    for _ in 0..2 * testkit::random::rounds(1) {
        writers.acknowledged(rng.random_range(50..500)).await;
        database.kill("postgres").await;
        writers.refused(20).await;
        are_unavailable(&server, &routes, AT_ONCE).await;
        database.start_again("postgres").await;
        everything_works_again(&server).await;
    }
    writers.acknowledged(50).await;
    writers.verify(&server).await;
}
