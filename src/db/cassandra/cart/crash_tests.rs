//! Crash tests on a real Cassandra: a server stops after each step of a checkout and of a cancel, and
//! another server finishes the attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::audit::Auditor;
use super::coordinator::CheckoutCoordinator;
use super::metrics::CartMetrics;
use super::pending_index::SLOT_LEASE;
use super::runner::AttemptContext;
use super::saga::balance::AccountOp;
use super::saga::order_state::{OrderState, Reversal};
use super::saga::saga_state::{SagaOutcome, SagaState, SagaStep};
use super::{AccountKey, act_to_end, order_edits};
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::db::MigrationPolicy;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::idempotency::{Claim, IdempotencyKeys};
use crate::db::cassandra::{migrate, test_keyspace};
use crate::db::storage::{
    ActContext, CartRefusal, CartResult, ErrorKind, IdempotencyKey, StorageError,
};
use crate::telemetry::Registry;

/// What a user has, and what there is of each item.
pub(super) const MUCH: i64 = 10;

/// A keyspace and two servers on it, of which the first stops after some step.
pub(super) struct World {
    pub(super) cluster: Arc<Cluster>,
    pub(super) dying: Arc<CheckoutCoordinator>,
    pub(super) living: Arc<CheckoutCoordinator>,
    metrics: CartMetrics,
}

/// A user, two items, and an order of one of each at a price of 1.
pub(super) struct Bought {
    pub(super) order: OrderId,
    pub(super) user: UserId,
    pub(super) items: Vec<ItemId>,
}

impl World {
    pub(super) async fn new() -> Self {
        let cluster = Cluster::connect(&test_keyspace::settings()).await.unwrap();
        migrate::run(&cluster, MigrationPolicy::Migrate).await.unwrap();
        let metrics = CartMetrics::register(&Registry::default());
        let dying = CheckoutCoordinator::open(&cluster, &metrics).await.unwrap();
        let living = CheckoutCoordinator::open(&cluster, &metrics).await.unwrap();
        Self { cluster, dying, living, metrics }
    }

    async fn begin(&self, key: AccountKey, available: i64) {
        let begin = AccountOp::Create { available, price: 1 };
        self.living
            .runner
            .batchers
            .apply(ActContext::new(), None, key, begin)
            .await
            .unwrap()
            .unwrap();
    }

    pub(super) async fn order(&self, stock: [i64; 2]) -> Bought {
        let mut items = Vec::new();
        for stock in stock {
            let item = ItemId::new();
            self.begin(AccountKey::Item(item.clone()), stock).await;
            items.push(item);
        }
        self.order_of(items).await
    }

    /// An order of a new user.
    async fn order_of(&self, items: Vec<ItemId>) -> Bought {
        let (order, user) = (OrderId::new(), UserId::new());
        self.begin(AccountKey::User(user.clone()), MUCH).await;
        let (living, context) = (&self.living, ActContext::new);
        order_edits::create_order(living, context(), None, order.clone(), user.clone())
            .await
            .unwrap();
        for item in items.clone() {
            order_edits::add_item(living, context(), None, order.clone(), item, Amount::ONE)
                .await
                .unwrap()
                .unwrap();
        }
        Bought { order, user, items }
    }

    /// The other server recovers.
    pub(super) async fn recover(&self) {
        recover(&self.living, &[&self.dying, &self.living]).await;
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

    /// Waits for captures in the background.
    async fn captured(&self) {
        while self.metrics.unfinished.get() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn end(self) {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        let audit = auditor.audit(&self.living).await.unwrap();
        assert_eq!((audit.different, audit.unfinished), (0, 0), "{:?}", audit.differences);
        assert_eq!(self.metrics.unfinished.get(), 0);
        let text = self.cluster.text("DROP KEYSPACE $");
        self.cluster.session().query_unpaged(text, ()).await.unwrap();
    }

    /// A new attempt of the server that will stop.
    pub(super) async fn attempt(
        &self,
        bought: &Bought,
        saga: impl FnOnce(&AttemptContext, &OrderState, Vec<i64>) -> SagaState,
    ) -> (AttemptContext, SagaState) {
        let runner = &self.dying.runner;
        let row = runner.orders.find(&bought.order, true).await.unwrap().unwrap();
        let (state, amounts) = (row.state.clone(), row.amounts());
        let deadline = ActContext::new().deadline();
        let attempt_id = runner.pending.add(&bought.order, deadline).await.unwrap();
        let attempt = AttemptContext::new(&bought.order, attempt_id, row);
        let saga = saga(&attempt, &state, amounts);
        (attempt, saga)
    }

    /// Runs so many steps of an attempt, and stops; the outcome, if it ended.
    pub(super) async fn run(
        &self,
        bought: &Bought,
        steps: usize,
        saga: impl FnOnce(&AttemptContext, &OrderState, Vec<i64>) -> SagaState,
    ) -> Option<SagaOutcome> {
        let (mut attempt, mut saga) = self.attempt(bought, saga).await;
        for _ in 0..steps {
            let ended = self.dying.runner.step(&mut attempt, &mut saga).await.unwrap();
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    /// Runs an attempt to its first operation of that kind, for which there is no time left, and on
    /// as the coordinator does; the error.
    async fn run_out_of_time(
        &self,
        (mut attempt, mut saga): (AttemptContext, SagaState),
        at: fn(AccountOp) -> bool,
    ) -> Option<ErrorKind> {
        let runner = &self.dying.runner;
        while !matches!(saga.step(), SagaStep::AccountOps { ops, .. } if at(ops[0].1)) {
            assert_eq!(runner.step(&mut attempt, &mut saga).await.unwrap(), None);
        }
        attempt.step_timeout = Duration::ZERO;
        attempt.context = ActContext::new().with_timeout(Duration::ZERO);
        match runner.run(&mut attempt, &mut saga).await {
            Ok(outcome) => {
                runner.finish(&attempt, outcome).await;
                None
            }
            Err(error) => Some(error.kind()),
        }
    }
}

/// A server recovers what others have left, when every lease has expired on its clock.
async fn recover(recoverer: &CheckoutCoordinator, others: &[&Arc<CheckoutCoordinator>]) {
    recoverer.recovery.pass(Instant::now).await.unwrap();
    for other in others {
        other.runner.pending.leave_slot().await;
    }
    assert_eq!(recoverer.recovery.pass(after_every_lease).await.unwrap(), 0);
}

fn after_every_lease() -> Instant {
    Instant::now() + SLOT_LEASE
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
        world.living.checkout(ActContext::new(), None, bought.order).await.unwrap().unwrap();
        if ended.is_some() {
            break;
        }
    }
    // Begin, one user, two items, and then the commit.
    assert_eq!(paid, [false, false, false, false, false, true, true, true]);
    world.captured().await;
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
        world
            .living
            .checkout(ActContext::new(), None, bought.order.clone())
            .await
            .unwrap()
            .unwrap();
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

/// A request with a key: its server stops after any step of a checkout, another one recovers it, and
/// the order is cancelled if it was paid. Only if it was not does a repeat of the request pay it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_of_a_request_that_stops_after_any_step_is_paid_once() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0..8 {
        let bought = world.order([MUCH, MUCH]).await;
        let request = Request::new(&world).await;
        request.stop(&world, &bought, steps, checkout).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        if paid[steps] {
            let (context, user) = (ActContext::new(), bought.user.clone());
            world.living.cancel(context, None, user, bought.order.clone()).await.unwrap().unwrap();
        }
        let is_replayed = request.repeat_checkout(&world, &bought).await;
        world.recover().await;
        assert_eq!(is_replayed, paid[steps], "after {steps} steps");
        assert_eq!(world.is_whole(&bought, [MUCH, MUCH]).await, !paid[steps], "{steps} steps");
    }
    assert_eq!(paid, [false, false, false, false, false, true, true, true]);
    world.end().await;
}

/// The same of a cancel: where it was done before, the order is paid again and stays so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_a_request_that_stops_after_any_step_is_done_once() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0..6 {
        let bought = world.order([MUCH, MUCH]).await;
        let pay = async || {
            let order = bought.order.clone();
            world.living.checkout(ActContext::new(), None, order).await.unwrap().unwrap();
            world.captured().await;
        };
        pay().await;
        let request = Request::new(&world).await;
        request.stop(&world, &bought, steps, cancel).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        pay().await;
        let is_replayed = request.repeat_cancel(&world, &bought).await;
        assert_eq!(is_replayed, !paid[steps], "after {steps} steps");
        assert_eq!(world.is_whole(&bought, [MUCH, MUCH]).await, !paid[steps], "{steps} steps");
    }
    assert_eq!(paid, [true, true, false, false, false, false]);
    world.end().await;
}

/// A request with a key, which two servers try.
struct Request {
    dying: Arc<IdempotencyKeys>,
    living: Arc<IdempotencyKeys>,
    text: String,
}

impl Request {
    async fn new(world: &World) -> Self {
        let open = || IdempotencyKeys::open(&world.cluster);
        let text = Uuid::now_v7().to_string();
        Self { dying: open().await.unwrap(), living: open().await.unwrap(), text }
    }

    fn context(&self) -> ActContext {
        let key = IdempotencyKey::new(&self.text, 1, Duration::from_secs(60));
        ActContext::new().with_key(Some(key))
    }

    /// The first try, which stops after so many steps of its attempt.
    async fn stop(
        &self,
        world: &World,
        bought: &Bought,
        steps: usize,
        saga: impl FnOnce(&AttemptContext, &OrderState, Vec<i64>) -> SagaState,
    ) {
        let act = |claim: Option<Claim>| async move {
            let (mut attempt, mut saga) = world.attempt(bought, saga).await;
            attempt.request_id = claim.map(|claim| claim.request_id());
            for _ in 0..steps {
                world.dying.runner.step(&mut attempt, &mut saga).await?;
            }
            Err(StorageError::new(ErrorKind::Internal, "stopped"))
        };
        let stopped: CartResult = self.dying.once(&self.context(), String::new(), act).await;
        stopped.unwrap_err();
    }

    /// Whether the repeat found it done.
    async fn repeat_checkout(&self, world: &World, bought: &Bought) -> bool {
        let (context, order) = (self.context(), bought.order.clone());
        let checkout = |claim| world.living.checkout(context.clone(), claim, order);
        self.living.once(&context, String::new(), checkout).await.unwrap().unwrap();
        context.key().unwrap().is_replayed()
    }

    async fn repeat_cancel(&self, world: &World, bought: &Bought) -> bool {
        let (context, order, user) = (self.context(), bought.order.clone(), bought.user.clone());
        let cancel = |claim| world.living.cancel(context.clone(), claim, user, order);
        self.living.once(&context, String::new(), cancel).await.unwrap().unwrap();
        context.key().unwrap().is_replayed()
    }
}

/// The owner goes on after recovery has aborted its attempt: it finds that out, and releases what it
/// reserved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_resumes_late_leaves_no_reservation() {
    let world = World::new().await;
    for steps in 0..5 {
        let bought = world.order([MUCH, MUCH]).await;
        let (mut attempt, mut saga) = world.attempt(&bought, checkout).await;
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
    let both = [&world.dying, &world.living];
    let passes = both.map(|coordinator| {
        let coordinator = Arc::clone(coordinator);
        act_to_end(ActContext::new(), async move {
            coordinator.recovery.pass(Instant::now).await?;
            coordinator.recovery.pass(after_every_lease).await
        })
    });
    futures::future::try_join_all(passes).await.unwrap();
    world.recover().await;
    for bought in &all {
        world.is_whole(bought, [MUCH, MUCH]).await;
    }
    world.end().await;
}

/// The last pieces are reserved when there is no time left to capture, release or refund them: the
/// attempt stays in the pending index, and recovery finishes it. The next customer is answered at
/// once, because nothing stays reserved that an order of theirs would wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_runs_out_of_time_after_its_commit_point_is_finished() {
    let world = World::new().await;
    let is_capture = |op: AccountOp| matches!(op, AccountOp::Capture);
    let is_release = |op: AccountOp| matches!(op, AccountOp::Release);
    let is_refund = |op: AccountOp| matches!(op, AccountOp::Refund { .. });

    let bought = world.order([1, 1]).await;
    let attempt = world.attempt(&bought, checkout).await;
    let failed = world.run_out_of_time(attempt, is_capture).await;
    world.recover().await;
    assert!(world.is_whole(&bought, [1, 1]).await);
    assert_eq!(failed, Some(ErrorKind::Conflict));
    let next = world.order_of(bought.items.clone()).await;
    let refused = world.living.checkout(ActContext::new(), None, next.order).await.unwrap();
    assert!(matches!(refused, Err(CartRefusal::OutOfStock(_))), "{refused:?}");

    let attempt = world.attempt(&bought, cancel).await;
    let failed = world.run_out_of_time(attempt, is_refund).await;
    world.recover().await;
    assert!(!world.is_whole(&bought, [1, 1]).await);
    assert_eq!(failed, Some(ErrorKind::Conflict));

    let short = world.order([1, 0]).await;
    let attempt = world.attempt(&short, checkout).await;
    let failed = world.run_out_of_time(attempt, is_release).await;
    world.recover().await;
    assert!(!world.is_whole(&short, [1, 0]).await);
    assert_eq!(failed, Some(ErrorKind::Conflict));
    let next = world.order_of(vec![short.items[0].clone()]).await;
    world.living.checkout(ActContext::new(), None, next.order).await.unwrap().unwrap();
    world.captured().await;
    world.end().await;
}

/// Before the commit point of a cancel nothing has changed, so it can be given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_runs_out_of_time_before_its_commit_point_changes_nothing() {
    let world = World::new().await;
    let bought = world.order([1, 1]).await;
    world.run(&bought, 5, checkout).await;
    let attempt = world.attempt(&bought, cancel).await;
    assert_eq!(
        world.run_out_of_time(attempt, |op: AccountOp| matches!(op, AccountOp::Capture)).await,
        None
    );
    world.recover().await;
    assert!(world.is_whole(&bought, [1, 1]).await);
    world.end().await;
}

/// A slot that was found empty is not closed while its owner may begin an attempt in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_kept_as_long_as_it_takes_attempts() {
    let world = World::new().await;
    let bought = world.order([MUCH, MUCH]).await;
    let (ended, _) = world.attempt(&bought, checkout).await;
    world.dying.runner.pending.remove(ended.attempt_id).await.unwrap();
    world.living.recovery.pass(Instant::now).await.unwrap();
    let soon = || Instant::now() + SLOT_LEASE / 2;
    assert_eq!(world.living.recovery.pass(soon).await.unwrap(), 0);
    // In the same slot, because little time has passed.
    world.run(&bought, 3, checkout).await;
    world.recover().await;
    assert!(!world.is_whole(&bought, [MUCH, MUCH]).await);
    assert!(world.living.recovery.pass(after_every_lease).await.is_ok());
    assert!(world.living.runner.pending.slots().await.unwrap().is_empty());
    world.end().await;
}
