//! Many clients under faults: programs are killed, stopped for a while or started with a wrong clock,
//! the database is cut off, one item is wanted by far more clients than it can serve; once with the
//! clients at the programs themselves, once behind nginx, once on three nodes of which one dies.
//! Everything runs with the shipped settings.
//!
//! Afterwards nothing differs: not in the store by itself (`storefront audit`), and not between the
//! store and what the clients were told. What has no answer may have happened or not, but wholly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::balancer::Balancer;
use crate::clients::{Client, Shared, Workload};
use crate::expected_state::{ExpectedState, Shop};
use crate::server_group::ServerGroup;
use testkit::db_server::DbServer;
use testkit::proxy::Mode;
use testkit::wait::TIMEOUT;

const PROGRAMS: usize = 3;
const CLIENTS: usize = 24;
/// Further clients while one item is saturated.
const ONE_ITEM_CLIENTS: usize = 48;
/// Longer than the ten seconds after which a write gives up.
const SATURATED: Duration = Duration::from_secs(12);
/// Short stops, and in seconds those longer than the lease of an attempt on Cassandra, which is fifteen
/// and three for clocks that differ.
const SHORT_STOP_MS: std::ops::Range<u64> = 50..2_000;
const LONG_STOP: std::ops::Range<u64> = 19..23;
/// Seconds by which a clock is wrong, in either direction.
const SKEW: std::ops::Range<i64> = 30..90;

each_backend! {
    every_sum_stays_right_under_faults
    every_sum_stays_right_under_faults_behind_nginx
}

async fn every_sum_stays_right_under_faults(backend: &str) {
    let mut kinds = vec![Fault::Kill, Fault::KillTwo, Fault::Stop, Fault::Skew, Fault::Saturate];
    kinds.extend((backend != "embedded").then_some(Fault::Cut));
    // Only on Cassandra a server that does not answer loses its attempts to others.
    kinds.extend((backend == "cassandra").then_some(Fault::LongStop));
    let group = async || ServerGroup::behind_a_proxy(backend, PROGRAMS).await;
    rounds(backend, group, &kinds, 5).await;
}

/// Fewer faults, because after each one nginx first has to send requests to the restarted program. nginx
/// does not notice a server that is stopped, so that soon all clients wait for it.
async fn every_sum_stays_right_under_faults_behind_nginx(backend: &str) {
    let mut kinds = vec![Fault::Kill, Fault::KillTwo, Fault::Stop, Fault::Skew];
    kinds.extend((backend != "embedded").then_some(Fault::Cut));
    let group = async || ServerGroup::behind_a_proxy(backend, PROGRAMS).await.behind_nginx().await;
    rounds(backend, group, &kinds, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sum_stays_right_when_a_node_of_three_is_killed() {
    let cluster = DbServer::cluster().await;
    let group = async || ServerGroup::on_a_cluster(&cluster, PROGRAMS);
    let kinds = [Fault::KillNode, Fault::KillNode, Fault::Kill, Fault::Stop, Fault::Skew];
    rounds("cassandra, three nodes", group, &kinds, 2).await;
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A program is killed and started again.
    Kill,
    /// Two at the same time.
    KillTwo,
    /// A program is killed and started again with a wrong clock.
    Skew,
    /// A program is stopped and goes on later.
    Stop,
    /// The same for longer than its attempts belong to it.
    LongStop,
    /// The database resets all connections and takes no new ones for a while.
    Cut,
    /// Through all programs many more clients check out orders of one item.
    Saturate,
    /// One of three nodes is killed and started again.
    KillNode,
}

/// One round; `scripts/soak nemesis` repeats it until its time is over, with twice as many faults.
async fn rounds(
    backend: &str,
    group: impl AsyncFn() -> ServerGroup,
    kinds: &[Fault],
    short: usize,
) {
    let minutes = testkit::random::minutes();
    let faults = if minutes > 0 { 2 * short } else { short };
    let mut rng = testkit::random::rng();
    let begun = Instant::now();
    loop {
        let faults = draw(kinds, faults, &mut rng);
        println!("{backend}: {faults:?}");
        Run::start(group().await, &mut rng).await.endure(backend, &faults, &mut rng).await;
        if begun.elapsed() >= Duration::from_secs(60 * minutes) {
            return;
        }
    }
}

/// So many faults; none is drawn again before each was.
fn draw(kinds: &[Fault], many: usize, rng: &mut StdRng) -> Vec<Fault> {
    let mut drawn = Vec::new();
    while drawn.len() < many {
        let mut shuffled = kinds.to_vec();
        shuffled.shuffle(rng);
        drawn.extend(shuffled);
    }
    drawn.truncate(many);
    drawn
}

/// Clients at work.
struct Run {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<ExpectedState>>,
    /// What clients expect that have gone.
    expected: ExpectedState,
}

impl Run {
    async fn start(group: ServerGroup, rng: &mut StdRng) -> Self {
        let shop = Shop::open(&group).await;
        let (answered, unknown) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { group, shop, answered, unknown });
        let (stop, clients) = (Arc::new(AtomicBool::new(false)), Vec::new());
        let mut run = Self { shared, stop, clients, expected: ExpectedState::default() };
        run.clients = run.clients(CLIENTS, Workload::Mixed, &run.stop, rng);
        run
    }

    fn clients(
        &self,
        many: usize,
        workload: Workload,
        stop: &Arc<AtomicBool>,
        rng: &mut StdRng,
    ) -> Vec<JoinHandle<ExpectedState>> {
        let client = || {
            let rng = StdRng::seed_from_u64(rng.random());
            tokio::spawn(Client::new(Arc::clone(&self.shared), workload, stop, rng).run())
        };
        std::iter::repeat_with(client).take(many).collect()
    }

    /// The faults, one after the other, and the comparison at the end.
    async fn endure(mut self, backend: &str, faults: &[Fault], rng: &mut StdRng) {
        for fault in faults {
            self.until(&self.shared.answered, rng.random_range(50..400)).await;
            self.fault(*fault, rng).await;
        }
        self.until(&self.shared.answered, 200).await;
        self.settle(backend).await;
    }

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

    /// Lets the clients work for that long.
    async fn wait(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.pause(begun, Duration::from_millis(20)).await;
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

    async fn fault(&mut self, fault: Fault, rng: &mut StdRng) {
        let first = rng.random_range(0..PROGRAMS);
        let stop_ms = rng.random_range(SHORT_STOP_MS);
        match fault {
            Fault::Kill => self.kill(first, 0).await,
            Fault::KillTwo => {
                let (one, other) = (self.kill(first, 0), self.kill((first + 1) % PROGRAMS, 0));
                futures::future::join(one, other).await;
            }
            // Always the same program: only one clock is wrong.
            Fault::Skew => {
                let by = rng.random_range(SKEW);
                self.kill(0, if rng.random() { by } else { -by }).await;
            }
            Fault::Stop => self.stop(first, Duration::from_millis(stop_ms)).await,
            Fault::LongStop => {
                self.stop(first, Duration::from_secs(rng.random_range(LONG_STOP))).await;
            }
            Fault::Cut => {
                let refused = rng.random_range(1..12);
                let proxy = self.shared.group.proxy.as_ref().expect("a way by a proxy");
                proxy.set(Mode::Cut);
                self.until(&self.shared.unknown, refused).await;
                proxy.restore();
            }
            Fault::Saturate => self.saturate(rng).await,
            Fault::KillNode => self.kill_node(first, rng).await,
        }
    }

    /// Kills one node of three, sometimes a program as well, and starts the node again.
    async fn kill_node(&self, program: usize, rng: &mut StdRng) {
        let cluster = self.shared.group.cluster.as_ref().expect("nodes");
        let name = format!("cassandra:{}", rng.random_range(1..4));
        cluster.kill(&name).await;
        self.until(&self.shared.answered, rng.random_range(50..400)).await;
        if rng.random() {
            self.kill(program, 0).await;
        }
        cluster.start_again(&name).await;
    }

    /// Kills a program and starts another, whose clock is so many seconds ahead.
    async fn kill(&self, number: usize, ahead: i64) {
        let shared = Arc::clone(&self.shared);
        let killed =
            tokio::task::spawn_blocking(move || shared.group.kill_and_start(number, ahead));
        killed.await.expect("another program starts");
        let Some(balancer) = &self.shared.group.balancer else { return };
        let (before, begun) = (balancer.answers_of(number), Instant::now());
        while balancer.answers_of(number) == before {
            self.pause(begun, Duration::from_millis(50)).await;
        }
    }

    /// Stops a program for that long.
    async fn stop(&self, number: usize, time: Duration) {
        self.shared.group.stop(number);
        self.wait(time).await;
        self.shared.group.resume(number);
    }

    /// Many clients want one item, which may be sold out all the time.
    async fn saturate(&mut self, rng: &mut StdRng) {
        let stop = Arc::new(AtomicBool::new(false));
        let workload = Workload::OneItem(rng.random_range(0..2));
        let clients = self.clients(ONE_ITEM_CLIENTS, workload, &stop, rng);
        self.wait(SATURATED).await;
        stop.store(true, Ordering::Relaxed);
        self.gather(clients).await;
    }

    async fn gather(&mut self, clients: Vec<JoinHandle<ExpectedState>>) {
        for client in clients {
            self.expected.add(client.await.expect("a client got only correct answers"));
        }
    }

    /// Stops the clients and compares what they expect with the store.
    async fn settle(mut self, backend: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut self.clients);
        self.gather(clients).await;
        let Self { shared, expected, .. } = self;
        let Shared { group, shop, answered, .. } =
            Arc::into_inner(shared).expect("all clients have gone");
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
