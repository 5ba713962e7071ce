//! One attempt, from its record in the pending index to its end: carries out the steps that
//! `saga::saga_state` asks for.
//!
//! A transition of the order is a conditional write through `orders_table`; operations on the user
//! and the items go to `account_batcher`. Every step may be repeated, by this server or another. Who
//! starts an attempt is in `coordinator`; `recovery` finishes those of servers that stopped.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use uuid::Uuid;

use super::account_batcher::AccountBatchers;
use super::accounts_table::AccountKey;
use super::contention::{BACKOFF, OPERATION_TIMEOUT, contended};
use super::orders_table::{OrderRow, OrdersTable};
use super::pending_index::PendingIndex;
use super::saga::account_batch::AccountRequest;
use super::saga::balance::{AccountOp, OpOutcome};
use super::saga::order_state::{OrderTransition, TransitionOutcome, transition_of};
use super::saga::saga_state::{SagaOutcome, SagaState, SagaStep};
use crate::cart::model::OrderId;
use crate::db::common::retry::{retry, until};
use crate::db::storage::{ActContext, ErrorKind, StorageError};

pub(super) struct SagaRunner {
    pub(super) orders: OrdersTable,
    pub(super) batchers: Arc<AccountBatchers>,
    pub(super) pending: PendingIndex,
    pub(super) unfinished: Gauge,
}

/// An attempt, and what the server that runs it knows of the order.
pub(super) struct AttemptContext {
    pub(super) order_id: OrderId,
    pub(super) attempt_id: Uuid,
    /// The version that was read before the attempt was recorded.
    version_before: Uuid,
    /// The request that started it, if it has an idempotency key: the order remembers it.
    pub(super) request_id: Option<Uuid>,
    /// The order as this attempt last read or wrote it; `None`: to be read.
    row: Option<OrderRow>,
    participants: Vec<AccountKey>,
    /// Its deadline is that of the commit; later steps have `step_timeout` each.
    pub(super) context: ActContext,
    /// [`OPERATION_TIMEOUT`]; less in tests.
    pub(super) step_timeout: Duration,
    /// Whether the attempt owns the order, or may: the answer to its write was lost.
    may_own_order: bool,
    failure: Option<StorageError>,
    _in_progress: Option<InProgress>,
}

/// Counts an attempt as unfinished as long as this lives.
struct InProgress(Gauge);

impl SagaRunner {
    /// Records a new attempt on an order that was read before. The record comes first, so that
    /// recovery finds the attempt whatever happens after its first change.
    pub(super) async fn begin(
        &self,
        order_id: &OrderId,
        row: OrderRow,
        context: ActContext,
        request_id: Option<Uuid>,
    ) -> Result<AttemptContext, StorageError> {
        let attempt_id = self.pending.add(order_id, context.deadline()).await?;
        let in_progress = Some(InProgress::new(&self.unfinished));
        let attempt = AttemptContext::new(order_id, attempt_id, row);
        Ok(AttemptContext { context, request_id, _in_progress: in_progress, ..attempt })
    }

    /// Runs an attempt to its end. After an error it stays in the pending index, and recovery goes on.
    pub(super) async fn run(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
    ) -> Result<SagaOutcome, StorageError> {
        loop {
            if let Some(outcome) = self.step(attempt, saga).await? {
                return Ok(outcome);
            }
        }
    }

    /// Runs a checkout to its commit point, or to its end without one.
    pub(super) async fn run_to_commit(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
    ) -> Result<SagaOutcome, StorageError> {
        while !saga.is_capturing() {
            if let Some(outcome) = self.step(attempt, saga).await? {
                return Ok(outcome);
            }
        }
        Ok(SagaOutcome::Completed)
    }

    /// Runs the next step; the outcome, if there was none left.
    pub(super) async fn step(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
    ) -> Result<Option<SagaOutcome>, StorageError> {
        let context = if saga.may_give_up() {
            attempt.context.clone()
        } else {
            // Capture, reversal and compensation cannot be given up: the client's deadline is not theirs.
            ActContext::new().with_timeout(attempt.step_timeout)
        };
        match saga.step() {
            SagaStep::End(outcome) => return Ok(Some(outcome)),
            // A commit after the deadline could meet recovery, which aborts after the lease.
            SagaStep::OrderTransition(OrderTransition::Commit { .. })
                if Instant::now() > context.deadline() =>
            {
                saga.give_up()
            }
            SagaStep::OrderTransition(transition) => {
                let done = self.transition(attempt, &transition, context.deadline()).await?;
                saga.on_transition(done);
            }
            SagaStep::AccountOps { op_id, ops } => {
                self.account_ops(attempt, saga, op_id, &ops, &context).await?
            }
        }
        Ok(None)
    }

    /// Whether the transition was done, now or before.
    async fn transition(
        &self,
        attempt: &mut AttemptContext,
        transition: &OrderTransition,
        deadline: Instant,
    ) -> Result<bool, StorageError> {
        let (mut known, mut backoff) = (attempt.row.take(), BACKOFF);
        loop {
            let serial = known.is_none();
            let row = match known.take() {
                Some(row) => Some(row),
                None => {
                    let find = || self.orders.find(&attempt.order_id, true);
                    retry(BACKOFF, until(deadline), find).await?
                }
            };
            let Some(row) = row else { return Ok(false) };
            match transition_of(&row.state, attempt.attempt_id, transition) {
                // Recovery, or another attempt, has changed the order since the attempt was recorded.
                TransitionOutcome::Change(_)
                    if transition.takes_ownership() && row.version != attempt.version_before =>
                {
                    return Ok(false);
                }
                TransitionOutcome::Change(state) => {
                    let request_id = attempt.request_id.filter(|_| transition.is_commit_point());
                    let new = OrderRow { state, ..row.next() }.changed_by(request_id);
                    if self.replace(attempt, &row, new, deadline).await? {
                        return Ok(true);
                    }
                    backoff.wait().await;
                }
                outcome if serial => {
                    attempt.row = Some(row);
                    return Ok(outcome == TransitionOutcome::AlreadyDone);
                }
                // The known row may be stale: only a SERIAL read proves that another owns the order.
                _ => {}
            }
        }
    }

    /// Whether the order is `new` now; if not, it is to be read again.
    async fn replace(
        &self,
        attempt: &mut AttemptContext,
        old: &OrderRow,
        new: OrderRow,
        deadline: Instant,
    ) -> Result<bool, StorageError> {
        match self.orders.replace(&attempt.order_id, Some(old.version), &new).await {
            Ok(true) => {
                (attempt.row, attempt.may_own_order) = (Some(new), true);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                // A write that timed out may have been done: the attempt then owns the order.
                attempt.may_own_order |= error.kind() == ErrorKind::Timeout;
                if until(deadline)(&error) { Ok(false) } else { Err(error) }
            }
        }
    }

    async fn account_ops(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
        op_id: Uuid,
        ops: &[(usize, AccountOp)],
        context: &ActContext,
    ) -> Result<(), StorageError> {
        let requests = ops.iter().map(|&(participant, op)| {
            let request = AccountRequest { op_id, op, expected: saga.expected(participant) };
            let key = attempt.participant(participant).clone();
            self.batchers.submit(key, context.clone(), request)
        });
        let answers = futures::future::join_all(requests).await;
        let mut failure = None;
        for (&(participant, _), answer) in ops.iter().zip(answers) {
            let outcome = match answer {
                Ok(outcome) => outcome,
                // Before the commit point everything is compensated.
                Err(error) if saga.may_give_up() => {
                    attempt.failure = Some(error);
                    OpOutcome::TimedOut
                }
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            // After the commit point running out of time ends nothing.
            if !saga.on_op(participant, outcome) {
                failure.get_or_insert_with(contended);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Removes an ended attempt from the pending index, if nothing is left for recovery to find.
    pub(super) async fn finish(&self, attempt: &AttemptContext, outcome: SagaOutcome) {
        if outcome.is_left_to_recovery(attempt.may_own_order) {
            return;
        }
        if let Err(error) = self.pending.remove(attempt.attempt_id).await {
            tracing::debug!(%error, "recovery will remove an ended attempt from the pending index");
        }
    }
}

impl AttemptContext {
    pub(super) fn new(order_id: &OrderId, attempt_id: Uuid, row: OrderRow) -> Self {
        let items = row.lines.iter().map(|line| AccountKey::Item(line.item.clone()));
        Self {
            order_id: order_id.clone(),
            attempt_id,
            version_before: row.version,
            participants: std::iter::once(AccountKey::User(row.user.clone()))
                .chain(items)
                .collect(),
            request_id: None,
            row: Some(row),
            context: ActContext::new(),
            step_timeout: OPERATION_TIMEOUT,
            may_own_order: false,
            failure: None,
            _in_progress: None,
        }
    }

    /// An attempt that owns its order, for recovery.
    pub(super) fn owner(order_id: &OrderId, attempt_id: Uuid, row: OrderRow) -> Self {
        Self { may_own_order: true, ..Self::new(order_id, attempt_id, row) }
    }

    /// The account of a participant.
    pub(super) fn participant(&self, participant: usize) -> &AccountKey {
        &self.participants[participant]
    }

    /// Why it gave up.
    pub(super) fn failure(&mut self) -> StorageError {
        self.failure.take().unwrap_or_else(contended)
    }
}

impl InProgress {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}
