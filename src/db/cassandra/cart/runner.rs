//! Carrying out a saga, step by step. Every step may be repeated, by anybody.

use tokio::time::Instant;
use uuid::Uuid;

use super::backoff::{Backoff, deadline};
use super::coordinator::{AttemptContext, CheckoutCoordinator, again};
use super::orders_table::OrderRow;
use super::saga::account_batch::AccountRequest;
use super::saga::balance::AccountOp;
use super::saga::order_state::{OrderTransition, TransitionOutcome, transition_of};
use super::saga::saga_state::{OpOutcome, SagaOutcome, SagaState, SagaStep};
use crate::db::storage::{ErrorKind, StorageError};

impl CheckoutCoordinator {
    /// Carries a saga out to its end, or until the order is paid.
    pub(super) async fn drive(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
        to_the_end: bool,
    ) -> Result<SagaOutcome, StorageError> {
        loop {
            if saga.is_capturing() && !to_the_end {
                return Ok(SagaOutcome::Completed);
            }
            if let Some(outcome) = self.step(attempt, saga).await? {
                return Ok(outcome);
            }
        }
    }

    /// Carries the next step out; the outcome, if that was it.
    pub(super) async fn step(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
    ) -> Result<Option<SagaOutcome>, StorageError> {
        let deadline = if saga.is_before_commit() { attempt.deadline } else { deadline() };
        match saga.step() {
            SagaStep::End(outcome) => return Ok(Some(outcome)),
            SagaStep::OrderTransition(OrderTransition::Commit { .. })
                if Instant::now() > deadline =>
            {
                saga.give_up()
            }
            SagaStep::OrderTransition(transition) => {
                saga.on_transition(self.transition(attempt, &transition, deadline).await?)
            }
            SagaStep::AccountOps { op_id, ops } => {
                self.participants(attempt, saga, op_id, &ops, deadline).await?
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
        let (mut known, mut backoff) = (attempt.row.take(), Backoff::new());
        loop {
            let serial = known.is_none();
            let row = match known.take() {
                Some(row) => Some(row),
                None => patiently(deadline, || self.orders.find(&attempt.id, true)).await?,
            };
            let Some(row) = row else { return Ok(false) };
            match transition_of(&row.state, attempt.attempt_id, transition) {
                TransitionOutcome::Change(_)
                    if transition.takes_ownership() && row.version != attempt.version_before =>
                {
                    return Ok(false);
                }
                TransitionOutcome::Change(state) => {
                    let new = OrderRow { state, ..row.next() };
                    if self.replace(attempt, &row, new, deadline).await? {
                        return Ok(true);
                    }
                    backoff.wait().await;
                }
                transition_outcome if serial => {
                    attempt.row = Some(row);
                    return Ok(transition_outcome == TransitionOutcome::Done);
                }
                // What was cache last may have changed since.
                _ => {}
            }
        }
    }

    /// Whether the order is `new` now; if not it is to be looked at again.
    async fn replace(
        &self,
        attempt: &mut AttemptContext,
        old: &OrderRow,
        new: OrderRow,
        deadline: Instant,
    ) -> Result<bool, StorageError> {
        match self.orders.replace(&attempt.id, Some(old.version), &new).await {
            Ok(true) => {
                (attempt.row, attempt.may_own_order) = (Some(new), true);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                attempt.may_own_order |= error.kind() == ErrorKind::Timeout;
                again(error, deadline).map(|()| false)
            }
        }
    }

    async fn participants(
        &self,
        attempt: &mut AttemptContext,
        saga: &mut SagaState,
        op_id: Uuid,
        ops: &[(usize, AccountOp)],
        deadline: Instant,
    ) -> Result<(), StorageError> {
        let requests = ops.iter().map(|&(participant, op)| {
            let request =
                AccountRequest { op_id, op, expected: saga.expected(participant), deadline };
            self.batchers.submit(attempt.participants[participant].clone(), request)
        });
        let answers = futures::future::join_all(requests).await;
        for (&(participant, _), answer) in ops.iter().zip(answers) {
            match answer {
                Ok(outcome) => saga.on_op(participant, outcome),
                // What was not decided is undone; the rest can only go forward, later.
                Err(error) if saga.is_before_commit() => {
                    attempt.failure = Some(error);
                    saga.on_op(participant, OpOutcome::TimedOut);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Repeats what may be repeated while it fails and there is time.
async fn patiently<T, F>(deadline: Instant, work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => again(error, deadline)?,
        }
        backoff.wait().await;
    }
}
