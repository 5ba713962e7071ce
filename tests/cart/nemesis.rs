//! Many clients, while programs are killed and the database is cut off; once with the clients at the
//! programs themselves, once behind nginx, once on three nodes of which one dies.
//!
//! Afterwards nothing differs: not in the store by itself (`storefront audit`), and not between the
//! store and what the clients were told. What has no answer may have happened or not, but wholly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::balancer::Balancer;
use crate::clients::{Client, Shared};
use crate::expected_state::{ExpectedState, Shop};
use crate::server_group::ServerGroup;
use testkit::db_server::DbServer;
use testkit::proxy::Mode;
use testkit::wait::TIMEOUT;

const PROGRAMS: usize = 3;
const CLIENTS: usize = 24;

each_backend! {
    every_sum_stays_right_under_faults
    every_sum_stays_right_under_faults_behind_nginx
}

async fn every_sum_stays_right_under_faults(backend: &str) {
    rounds(backend, async || ServerGroup::behind_a_proxy(backend, PROGRAMS).await, 5).await;
}

/// Fewer faults, because after each one nginx first has to send requests to the restarted program.
async fn every_sum_stays_right_under_faults_behind_nginx(backend: &str) {
    let group = async || ServerGroup::behind_a_proxy(backend, PROGRAMS).await.behind_nginx().await;
    rounds(backend, group, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sum_stays_right_when_a_node_of_three_is_killed() {
    let cluster = DbServer::cluster().await;
    rounds("cassandra, three nodes", async || ServerGroup::on_a_cluster(&cluster, PROGRAMS), 2)
        .await;
}

/// One round; `scripts/soak nemesis` repeats it until its time is over, with twice as many faults.
async fn rounds(backend: &str, group: impl AsyncFn() -> ServerGroup, short: usize) {
    let minutes = testkit::random::minutes();
    let faults = if minutes > 0 { 2 * short } else { short };
    let mut rng = testkit::random::rng();
    let begun = Instant::now();
    loop {
        round(backend, group().await, faults, &mut rng).await;
        if begun.elapsed() >= Duration::from_secs(60 * minutes) {
            return;
        }
    }
}

async fn round(backend: &str, group: ServerGroup, faults: usize, rng: &mut StdRng) {
    let shop = Shop::open(&group).await;
    let (answered, unknown) = (AtomicU64::new(0), AtomicU64::new(0));
    let shared = Arc::new(Shared { group, shop, answered, unknown, stop: AtomicBool::new(false) });
    let clients = (0..CLIENTS).map(|_| {
        let rng = StdRng::seed_from_u64(rng.random());
        tokio::spawn(Client::new(Arc::clone(&shared), rng).run())
    });
    let run = Run { clients: clients.collect(), shared };
    for _ in 0..faults {
        run.until(&run.shared.answered, rng.random_range(50..400)).await;
        run.fault(rng).await;
    }
    run.until(&run.shared.answered, 200).await;
    run.settle(backend).await;
}

/// Clients at work.
struct Run {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<ExpectedState>>,
}

impl Run {
    /// Waits until so many more are counted, however slowly they come.
    async fn until(&self, count: &AtomicU64, more: u64) {
        let (mut counted, mut since) = (count.load(Ordering::Relaxed), Instant::now());
        let enough = counted + more;
        while counted < enough {
            self.pause(since, Duration::from_millis(2)).await;
            let now = count.load(Ordering::Relaxed);
            if now != counted {
                (counted, since) = (now, Instant::now());
            }
        }
    }

    /// Goes on waiting, unless a client has failed or nothing has happened for too long.
    async fn pause(&self, since: Instant, pause: Duration) {
        let failed = self.clients.iter().any(JoinHandle::is_finished);
        let failures = || self.shared.group.failures();
        assert!(!failed, "a client got a wrong answer\n{}", failures());
        assert!(since.elapsed() < TIMEOUT, "nothing happens any more\n{}", failures());
        tokio::time::sleep(pause).await;
    }

    /// Kills one or two programs, or a node, or cuts the database off for a while.
    async fn fault(&self, rng: &mut StdRng) {
        let (first, kind) = (rng.random_range(0..PROGRAMS), rng.random_range(0..4));
        let group = &self.shared.group;
        match (&group.cluster, &group.proxy, kind) {
            (Some(cluster), _, 0..3) => self.kill_node(cluster, first, rng).await,
            (_, Some(proxy), 0 | 1) => {
                let refused = rng.random_range(1..12);
                proxy.set(Mode::Cut);
                self.until(&self.shared.unknown, refused).await;
                proxy.restore();
            }
            (_, _, 3) => {
                let (one, other) = (self.kill(first), self.kill((first + 1) % PROGRAMS));
                futures::future::join(one, other).await;
            }
            _ => self.kill(first).await,
        }
    }

    /// Kills one node of three, sometimes a program as well, and starts the node again.
    async fn kill_node(&self, cluster: &Arc<DbServer>, program: usize, rng: &mut StdRng) {
        let name = format!("cassandra:{}", rng.random_range(1..4));
        let killed = name.clone();
        cluster.kill(&killed).await;
        self.until(&self.shared.answered, rng.random_range(50..400)).await;
        if rng.random() {
            self.kill(program).await;
        }
        cluster.start_again(&name).await;
    }

    async fn kill(&self, number: usize) {
        let shared = Arc::clone(&self.shared);
        let killed = tokio::task::spawn_blocking(move || shared.group.kill_and_start(number));
        killed.await.expect("another program starts");
        let Some(balancer) = &self.shared.group.balancer else { return };
        let (before, begun) = (balancer.answers_of(number), Instant::now());
        while balancer.answers_of(number) == before {
            self.pause(begun, Duration::from_millis(50)).await;
        }
    }

    /// Stops the clients and compares what they expect with the store.
    async fn settle(self, backend: &str) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut expected = ExpectedState::default();
        for client in self.clients {
            expected.add(client.await.expect("a client got only correct answers"));
        }
        let Shared { group, shop, answered, .. } =
            Arc::into_inner(self.shared).expect("all clients have gone");
        let tries = group.balancer.as_ref().map(Balancer::second_tries);
        let group = group.stop_and_restart_one().await;
        let report = group.agrees();
        let paid = expected.verify(&group, &shop).await;
        assert_eq!(report["paid_orders"], paid, "{report}");
        let (orders, unknown) = (expected.entries.len(), expected.unknown());
        println!(
            "{backend}: {} requests answered, {unknown} unknown, {orders} orders, {paid} paid, no difference",
            answered.into_inner()
        );
        if let Some(tries) = tries {
            println!("{backend}: nginx brought {tries} requests to a second program");
        }
    }
}
