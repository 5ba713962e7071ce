//! Nodes of a Cassandra cluster die and come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::acknowledged_writes::Writers;
use crate::every_route::{every_route, is_read};
use crate::replica_check::what_a_node_missed_is_reported_and_repaired;
use crate::requests::{
    ANSWER_TIMEOUT, CART_ANSWER_TIMEOUT, RouteRequest, answer, are_unavailable, every_request,
    everything_works_again, serve,
};
use testkit::db_server::DbServer;
use testkit::process::Server;

/// A cluster needs some time to be sure that a node is dead. Until then a page of the catalogue may
/// wait for that node in vain.
const NOTICED: Duration = Duration::from_secs(40);

/// One test, because a cluster takes half a minute to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_three_nodes() {
    let mut rng = testkit::random::rng();
    let cluster = DbServer::cluster().await;
    what_a_node_missed_is_reported_and_repaired(&cluster, &mut rng).await;
    one_node_of_three_is_not_missed_and_two_lose_nothing(&cluster, &mut rng).await;
}

async fn one_node_of_three_is_not_missed_and_two_lose_nothing(
    cluster: &Arc<DbServer>,
    rng: &mut impl RngExt,
) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}?replication=3", cluster.value("cassandra"));
    let server = Arc::new(serve(folder.path(), &url));
    let routes = every_route(&server).await;
    let writers = Writers::start(&server);
    for _ in 0..testkit::random::rounds(1) {
        writers.acknowledged(rng.random_range(50..300)).await;
        let [first, second] = two_of_three(rng);
        // Two of three are a quorum: clients notice nothing, once the requests that the
        // node had in hand are over.
        let name = first.clone();
        cluster.kill(&name).await;
        writers.undisturbed(50).await;
        the_loss_is_noticed(&server).await;
        everything_works_again(&server).await;

        // One does not.
        let name = second.clone();
        cluster.kill(&name).await;
        writers.refused(8).await;
        all_are_unavailable(&server, &routes).await;
        cluster.start_again(&second).await;
        everything_works_again(&server).await;
        writers.undisturbed(20).await;
        cluster.start_again(&first).await;
    }
    writers.undisturbed(20).await;
    writers.verify(&server).await;
}

/// As many of each write at once: those of one order wait for each other.
const AT_ONCE: usize = 3;

/// While nodes that died are not noticed, each statement times out; a write of several statements, and
/// one that has waited for others, must be answered by its deadline all the same. Fixtures are left out:
/// they are repeated for a minute after a timeout.
async fn all_are_unavailable(server: &Server, routes: &[RouteRequest]) {
    let routes = routes.iter().filter(|(_, path, _)| !path.contains("/batch_init/")).cloned();
    let (reads, writes): (Vec<_>, Vec<_>) = routes.partition(is_read);
    let writes: Vec<_> = std::iter::repeat_n(writes, AT_ONCE).flatten().collect();
    futures::future::join(
        are_unavailable(server, &reads, ANSWER_TIMEOUT),
        are_unavailable(server, &writes, CART_ANSWER_TIMEOUT),
    )
    .await;
}

/// Waits until every kind of request has worked for three seconds.
async fn the_loss_is_noticed(server: &Server) {
    let (begun, mut in_a_row) = (Instant::now(), 0);
    while in_a_row < 30 {
        let requests =
            every_request().into_iter().map(|request| answer(server, ANSWER_TIMEOUT, request));
        let answers = futures::future::join_all(requests).await;
        let all_work = answers.iter().all(|answer| answer.status() != 503);
        in_a_row = if all_work { in_a_row + 1 } else { 0 };
        assert!(begun.elapsed() < NOTICED, "requests go on being refused");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Two nodes, each as likely as the others.
fn two_of_three(rng: &mut impl RngExt) -> [String; 2] {
    let first = rng.random_range(0..3);
    let second = (first + rng.random_range(1..3)) % 3;
    [first, second].map(|node| format!("cassandra:{}", node + 1))
}
