//! The checkout coordinator: checkout, cancel, and the reversal of a paid order for fixtures.
//!
//! A checkout, which has its permit: wait for the order's lock in this process, read the order, record
//! an attempt and run it to its commit point (`runner`, which asks `saga::saga_state` for each step),
//! answer, and capture afterwards. Edits of open orders are in `order_edits`; attempts of servers
//! that stopped are in `recovery`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::account_batcher::AccountBatchers;
use super::accounts_table::AccountsTable;
use super::contention::contended;
use super::metrics::CartMetrics;
use super::orders_table::{OrderRow, OrdersTable};
use super::pending_index::PendingIndex;
use super::recovery::Recovery;
use super::runner::{AttemptContext, SagaRunner};
use super::saga::order_state::{OrderState, Reversal};
use super::saga::saga_state::{SagaOutcome, SagaState};
use crate::cart::model::{OrderId, UserId};
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::idempotency::Claim;
use crate::db::common::keyed_lock::{KeyGuard, KeyedLock};
use crate::db::storage::{ActContext, CartRefusal, CartResult, ErrorKind, StorageError};

/// Paid orders that are captured after their answer; more are captured before it, which slows
/// clients down to what the cluster can capture.
const MAX_BACKGROUND_CAPTURES: usize = 256;
/// Checkouts and cancels of this process in progress at once. Others wait before they begin, when
/// they have reserved nothing and no lease of theirs runs.
const MAX_ATTEMPTS: usize = 128;
/// How long they wait.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct CheckoutCoordinator {
    pub(super) runner: Arc<SagaRunner>,
    pub(super) recovery: Arc<Recovery>,
    order_locks: KeyedLock<OrderId>,
    permits: Arc<Semaphore>,
    background_captures: Arc<Semaphore>,
}

impl CheckoutCoordinator {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &CartMetrics,
    ) -> Result<Arc<Self>, StorageError> {
        let runner = Arc::new(SagaRunner {
            orders: OrdersTable::open(cluster).await?,
            batchers: AccountBatchers::new(AccountsTable::open(cluster).await?),
            pending: PendingIndex::open(cluster).await?,
            unfinished: metrics.unfinished.clone(),
        });
        let recovered = metrics.recovered.clone();
        Ok(Arc::new(Self {
            recovery: Arc::new(Recovery::new(Arc::clone(&runner), recovered)),
            runner,
            order_locks: KeyedLock::default(),
            permits: Arc::new(Semaphore::new(MAX_ATTEMPTS)),
            background_captures: Arc::new(Semaphore::new(MAX_BACKGROUND_CAPTURES)),
        }))
    }

    pub(super) async fn checkout(
        &self,
        context: ActContext,
        claim: Option<Claim>,
        id: OrderId,
    ) -> CartResult {
        let deadline = context.deadline();
        let _guard = self.lock_order(&id, deadline).await?;
        let mut serial = is_repeat(claim.as_ref());
        loop {
            // A plain read may lag: it may start an attempt, whose writes have conditions, but a
            // refusal or "paid already" needs a SERIAL read.
            let row = self.recovery.load_settled(&id, serial, deadline).await?;
            if is_done(claim.as_ref(), row.as_ref())? {
                return Ok(Ok(()));
            }
            let row = match (row.filter(|row| !row.is_removed()), serial) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.is_paid() => return Ok(Ok(())),
                (Some(row), true) if row.lines.is_empty() => return Ok(Err(CartRefusal::Empty)),
                (Some(row), _) if !row.is_paid() && !row.lines.is_empty() => row,
                _ => {
                    serial = true;
                    continue;
                }
            };
            if let Some(outcome) = self.attempt(&id, row, &context, claim.as_ref()).await? {
                return Ok(outcome);
            }
            serial = true;
        }
    }

    /// One attempt to check an order out; `None`: another attempt owns the order.
    async fn attempt(
        &self,
        id: &OrderId,
        row: OrderRow,
        context: &ActContext,
        claim: Option<&Claim>,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let (amounts, request_id) = (row.amounts(), claim.map(Claim::request_id));
        let mut attempt = self.runner.begin(id, row, context.clone(), request_id).await?;
        let mut saga = SagaState::checkout(attempt.attempt_id, amounts);
        let outcome = self.runner.run_to_commit(&mut attempt, &mut saga).await?;
        if outcome == SagaOutcome::Completed {
            self.capture(attempt, saga).await;
            return Ok(Some(Ok(())));
        }
        self.runner.finish(&attempt, outcome).await;
        match outcome {
            SagaOutcome::Refused(participant, reason) => {
                Ok(Some(Err(attempt.participant(participant).refusal(reason))))
            }
            SagaOutcome::TimedOut => Err(attempt.failure()),
            SagaOutcome::NotOwner if Instant::now() > context.deadline() => Err(contended()),
            SagaOutcome::NotOwner | SagaOutcome::Completed => Ok(None),
        }
    }

    /// Captures a paid order, after its answer if few others do. What fails here stays in the
    /// pending index, and recovery captures it.
    async fn capture(&self, mut attempt: AttemptContext, mut saga: SagaState) {
        // The permit of the request is for its answer: a capture behind it must not hold it.
        attempt.context = ActContext::new();
        let runner = Arc::clone(&self.runner);
        let work = async move {
            match runner.run(&mut attempt, &mut saga).await {
                Ok(outcome) => runner.finish(&attempt, outcome).await,
                Err(error) => tracing::debug!(%error, "a paid order is left to recovery"),
            }
        };
        match Arc::clone(&self.background_captures).try_acquire_owned() {
            Err(_) => work.await,
            Ok(permit) => drop(tokio::spawn(async move {
                work.await;
                drop(permit);
            })),
        }
    }

    pub(super) async fn cancel(
        &self,
        context: ActContext,
        claim: Option<Claim>,
        user: UserId,
        id: OrderId,
    ) -> CartResult {
        let deadline = context.deadline();
        let _guard = self.lock_order(&id, deadline).await?;
        let mut serial = is_repeat(claim.as_ref());
        loop {
            let row = self.recovery.load_settled(&id, serial, deadline).await?;
            if is_done(claim.as_ref(), row.as_ref())? {
                return Ok(Ok(()));
            }
            let row = match (row.filter(|row| !row.is_removed()), serial) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.user != user => return Ok(Err(CartRefusal::WrongUser)),
                (Some(row), true) if !row.is_paid() => return Ok(Err(CartRefusal::NotPaid)),
                (Some(row), _) if row.user == user && row.is_paid() => row,
                _ => {
                    serial = true;
                    continue;
                }
            };
            let request_id = claim.as_ref().map(Claim::request_id);
            if self.reverse(&id, row, Reversal::Cancel, &context, request_id).await? {
                return Ok(Ok(()));
            }
            serial = true;
        }
    }

    /// Reverses what a paid order captured, and reopens it; `false`: another attempt owns the order.
    pub(super) async fn reverse(
        &self,
        id: &OrderId,
        row: OrderRow,
        reversal: Reversal,
        context: &ActContext,
        request_id: Option<Uuid>,
    ) -> Result<bool, StorageError> {
        let OrderState::Paid { attempt_id: of, epochs } = row.state.clone() else {
            return Ok(false);
        };
        let amounts = row.amounts();
        let mut attempt = self.runner.begin(id, row, context.clone(), request_id).await?;
        let mut saga = SagaState::reversal(attempt.attempt_id, (of, epochs), reversal, amounts);
        let outcome = self.runner.run(&mut attempt, &mut saga).await?;
        self.runner.finish(&attempt, outcome).await;
        match outcome {
            SagaOutcome::TimedOut => Err(attempt.failure()),
            SagaOutcome::NotOwner if Instant::now() > context.deadline() => Err(contended()),
            outcome => Ok(outcome == SagaOutcome::Completed),
        }
    }

    /// Waits for the permit of a checkout or cancel, which holds it until its end. The time that the
    /// context allows starts with the permit: an attempt that waits for one has reserved nothing yet.
    pub(super) async fn admit(
        &self,
        context: ActContext,
    ) -> Result<(OwnedSemaphorePermit, ActContext), StorageError> {
        let allowed = context.deadline().saturating_duration_since(Instant::now());
        let permit = timeout(ADMISSION_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        let too_many = || {
            StorageError::new(
                ErrorKind::Unavailable,
                "too many checkouts and cancels are in progress",
            )
        };
        let permit = permit.map_err(|_| too_many())?.map_err(|_| too_many())?;
        Ok((permit, context.with_timeout(allowed)))
    }

    /// Locks an order against other writes of this process, which then do not lose LWTs to each
    /// other. Correctness rests on the conditions alone.
    pub(super) async fn lock_order(
        &self,
        id: &OrderId,
        deadline: Instant,
    ) -> Result<KeyGuard<'_, OrderId>, StorageError> {
        self.order_locks.lock(id, deadline).await.map_err(|_| contended())
    }
}

/// Whether another try of a request with a key has changed the order, so that nothing is left to do.
pub(super) fn is_done(claim: Option<&Claim>, row: Option<&OrderRow>) -> Result<bool, StorageError> {
    let (Some(claim), Some(row)) = (claim, row) else { return Ok(false) };
    let is_done = row.was_changed_by(claim.request_id())?;
    if is_done {
        claim.found_done();
    }
    Ok(is_done)
}

/// Whether the request may have been done, so that a plain read is of no use.
pub(super) fn is_repeat(claim: Option<&Claim>) -> bool {
    claim.is_some_and(Claim::is_repeat)
}
