//! Crash tests on a real Cassandra: a server stops after each step of a checkout and of a cancel, and
//! another server finishes the attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audit::Auditor;
use super::coordinator::CheckoutCoordinator;
use super::metrics::CartMetrics;
use super::pending_index::tests::expired_attempt_id;
use super::runner::AttemptContext;
use super::saga::balance::AccountOp;
use super::saga::order_state::{OrderState, Reversal};
use super::saga::saga_state::{SagaOutcome, SagaState};
use super::{AccountKey, act, order_edits};
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::config::database::{Database, Url};
use crate::config::{SettingsLoader, Sources};
use crate::db::MigrationPolicy;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::migrate;
use crate::db::storage::ActContext;
use crate::telemetry::Registry;

const SERVER: &str = "STOREFRONT_TEST_CASSANDRA";
/// What a user has, and what there is of each item.
pub(super) const MUCH: i64 = 10;

/// A keyspace and two servers on it, of which the first stops after some step.
pub(super) struct World {
    pub(super) cluster: Arc<Cluster>,
    dying: Arc<CheckoutCoordinator>,
    pub(super) living: Arc<CheckoutCoordinator>,
    metrics: CartMetrics,
}

/// A user, two items, and an order of one of each at a price of 1.
pub(super) struct Bought {
    pub(super) order: OrderId,
    user: UserId,
    pub(super) items: Vec<ItemId>,
}

impl World {
    pub(super) async fn new() -> Self {
        let server = std::env::var(SERVER).expect("`. scripts/test-servers` sets the server");
        let address = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let url = format!("{address}/storefront_test_{:016x}?timeout=20000", rand::random::<u64>());
        let flags = BTreeMap::from([("database_url", url)]);
        let mut loader = SettingsLoader::of(Sources { flags, ..Sources::default() });
        let database = Database::read(&mut loader);
        let Url::Cassandra(settings) = loader.finish(database).expect("a sound URL").url else {
            panic!("{SERVER} is not a Cassandra");
        };
        let cluster = Cluster::connect(&settings).await.unwrap();
        migrate::run(&cluster, MigrationPolicy::Migrate).await.unwrap();
        let metrics = CartMetrics::register(&Registry::default());
        let dying = CheckoutCoordinator::open(&cluster, &metrics).await.unwrap();
        let living = CheckoutCoordinator::open(&cluster, &metrics).await.unwrap();
        Self { cluster, dying, living, metrics }
    }

    async fn begin(&self, key: AccountKey, available: i64) {
        let begin = AccountOp::Create { available, price: 1 };
        self.living.runner.batchers.apply(ActContext::new(), key, begin).await.unwrap().unwrap();
    }

    pub(super) async fn order(&self, stock: [i64; 2]) -> Bought {
        let (order, user) = (OrderId::new(), UserId::new());
        self.begin(AccountKey::User(user.clone()), MUCH).await;
        order_edits::create_order(&self.living, ActContext::new(), order.clone(), user.clone())
            .await
            .unwrap();
        let mut items = Vec::new();
        for stock in stock {
            let item = ItemId::new();
            self.begin(AccountKey::Item(item.clone()), stock).await;
            let added = order_edits::add_item(
                &self.living,
                ActContext::new(),
                order.clone(),
                item.clone(),
                Amount::ONE,
            )
            .await;
            added.unwrap().unwrap();
            items.push(item);
        }
        Bought { order, user, items }
    }

    /// The other server recovers.
    pub(super) async fn recover(&self) {
        assert_eq!(self.living.recovery.pass().await.unwrap(), 0);
    }

    async fn available(&self, key: AccountKey) -> i64 {
        let balance = self.living.runner.batchers.accounts.balance(&key).await.unwrap().unwrap();
        assert_eq!(balance.reserved, 0, "{key:?}");
        balance.available
    }

    /// No attempt is in progress, and the sums are right; whether the order is paid.
    pub(super) async fn is_whole(&self, bought: &Bought, stock: [i64; 2]) -> bool {
        let row = self.living.runner.orders.find(&bought.order, true).await.unwrap().unwrap();
        assert_eq!(row.state.attempt_in_progress(), None);
        let captured = i64::from(row.is_paid());
        assert_eq!(
            self.available(AccountKey::User(bought.user.clone())).await,
            MUCH - 2 * captured
        );
        for (item, stock) in bought.items.iter().zip(stock) {
            assert_eq!(self.available(AccountKey::Item(item.clone())).await, stock - captured);
        }
        row.is_paid()
    }

    pub(super) async fn end(self) {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        let audit = auditor.audit(&self.living).await.unwrap();
        assert_eq!((audit.different, audit.unfinished), (0, 0), "{:?}", audit.differences);
        assert_eq!(self.metrics.unfinished.get(), 0);
        let text = self.cluster.text("DROP KEYSPACE $");
        self.cluster.session().query_unpaged(text, ()).await.unwrap();
    }

    /// Runs so many steps of an attempt whose lease has expired, and stops; the outcome, if it ended.
    pub(super) async fn run(
        &self,
        bought: &Bought,
        steps: usize,
        saga: impl FnOnce(&AttemptContext, &OrderState, Vec<i64>) -> SagaState,
    ) -> Option<SagaOutcome> {
        let row = self.dying.runner.orders.find(&bought.order, true).await.unwrap().unwrap();
        let (state, amounts) = (row.state.clone(), row.amounts());
        let mut attempt = AttemptContext::new(&bought.order, expired_attempt_id(), row);
        self.dying.runner.pending.add(attempt.attempt_id, &attempt.order_id).await.unwrap();
        let mut saga = saga(&attempt, &state, amounts);
        for _ in 0..steps {
            let ended = self.dying.runner.step(&mut attempt, &mut saga).await.unwrap();
            if ended.is_some() {
                return ended;
            }
        }
        None
    }
}

pub(super) fn checkout(attempt: &AttemptContext, _: &OrderState, amounts: Vec<i64>) -> SagaState {
    SagaState::checkout(attempt.attempt_id, amounts)
}

pub(super) fn cancel(attempt: &AttemptContext, state: &OrderState, amounts: Vec<i64>) -> SagaState {
    let OrderState::Paid { attempt_id, epochs } = state else { panic!("{state:?}") };
    SagaState::reversal(
        attempt.attempt_id,
        (*attempt_id, epochs.clone()),
        Reversal::Cancel,
        amounts,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_stops_after_any_step_is_finished() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0.. {
        let bought = world.order([MUCH, MUCH]).await;
        let ended = world.run(&bought, steps, checkout).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        world.living.checkout(ActContext::new(), bought.order).await.unwrap().unwrap();
        if ended.is_some() {
            break;
        }
    }
    // Begin, one user, two items, and then the commit.
    assert_eq!(paid, [false, false, false, false, false, true, true, true]);
    while world.metrics.unfinished.get() > 0 {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_stops_while_it_is_aborted_is_finished() {
    let world = World::new().await;
    for steps in 0.. {
        let bought = world.order([MUCH, 0]).await;
        let ended = world.run(&bought, steps, checkout).await;
        world.recover().await;
        assert!(!world.is_whole(&bought, [MUCH, 0]).await);
        if ended.is_some() {
            break;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_stops_after_any_step_is_finished() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0.. {
        let bought = world.order([MUCH, MUCH]).await;
        world.living.checkout(ActContext::new(), bought.order.clone()).await.unwrap().unwrap();
        let ended = world.run(&bought, steps, cancel).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        if ended.is_some() {
            break;
        }
    }
    assert_eq!(paid, [true, true, false, false, false, false]);
    world.end().await;
}

/// The owner goes on after recovery has aborted its attempt: it finds that out, and releases what it
/// reserved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_resumes_late_leaves_no_reservation() {
    let world = World::new().await;
    for steps in 0..5 {
        let bought = world.order([MUCH, MUCH]).await;
        let row = world.dying.runner.orders.find(&bought.order, true).await.unwrap().unwrap();
        let mut saga = SagaState::checkout(expired_attempt_id(), row.amounts());
        let mut attempt = AttemptContext::new(&bought.order, saga.attempt_id(), row);
        world.dying.runner.pending.add(attempt.attempt_id, &attempt.order_id).await.unwrap();
        for _ in 0..steps {
            world.dying.runner.step(&mut attempt, &mut saga).await.unwrap();
        }
        world.recover().await;
        let outcome = world.dying.runner.run(&mut attempt, &mut saga).await.unwrap();
        assert_eq!(outcome, SagaOutcome::NotOwner, "after {steps} steps");
        assert!(!world.is_whole(&bought, [MUCH, MUCH]).await);
    }
    world.end().await;
}

/// Two servers recover at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_recoverers_at_once_do_no_harm() {
    let world = World::new().await;
    let mut all = Vec::new();
    for steps in 0..8 {
        let bought = world.order([MUCH, MUCH]).await;
        world.run(&bought, steps, checkout).await;
        all.push(bought);
    }
    let passes = [&world.dying, &world.living].map(|coordinator| {
        let coordinator = Arc::clone(coordinator);
        act(ActContext::new(), async move { coordinator.recovery.pass().await })
    });
    futures::future::try_join_all(passes).await.unwrap();
    world.recover().await;
    for bought in &all {
        world.is_whole(bought, [MUCH, MUCH]).await;
    }
    world.end().await;
}
