//! Carrying out a saga, step by step. Every step may be repeated, by anybody.

use tokio::time::Instant;
use uuid::Uuid;

use super::account_batch::AccountRequest;
use super::backoff::{Backoff, deadline};
use super::balance::AccountOp;
use super::coordinator::{AttemptContext, CheckoutCoordinator, again};
use super::order::{OrderTransition, TransitionOutcome, transition_of};
use super::orders_table::OrderRow;
use super::saga::{OpOutcome, SagaOutcome, SagaState, Step};
use crate::db::storage::{ErrorKind, StorageError};

impl CheckoutCoordinator {
    /// Carries a saga out to its end, or until the order is paid.
    pub(super) async fn drive(
        &self,
        attempt_context: &mut AttemptContext,
        saga: &mut SagaState,
        to_the_end: bool,
    ) -> Result<SagaOutcome, StorageError> {
        loop {
            if saga.is_settling() && !to_the_end {
                return Ok(SagaOutcome::Well);
            }
            if let Some(outcome) = self.step(attempt_context, saga).await? {
                return Ok(outcome);
            }
        }
    }

    /// Carries the next step out; the outcome, if that was it.
    pub(super) async fn step(
        &self,
        attempt_context: &mut AttemptContext,
        saga: &mut SagaState,
    ) -> Result<Option<SagaOutcome>, StorageError> {
        let until = if saga.is_undecided() { attempt_context.until } else { deadline() };
        match saga.step() {
            Step::End(outcome) => return Ok(Some(outcome)),
            Step::OrderTransition(OrderTransition::Commit { .. }) if Instant::now() > until => {
                saga.give_up()
            }
            Step::OrderTransition(transition) => {
                saga.turned(self.transition(attempt_context, &transition, until).await?)
            }
            Step::Parts { op_id, moves } => {
                self.parts(attempt_context, saga, op_id, &moves, until).await?
            }
        }
        Ok(None)
    }

    /// Whether the transition was done, now or before.
    async fn transition(
        &self,
        attempt_context: &mut AttemptContext,
        transition: &OrderTransition,
        until: Instant,
    ) -> Result<bool, StorageError> {
        let (mut known, mut backoff) = (attempt_context.row.take(), Backoff::new());
        loop {
            let certain = known.is_none();
            let row = match known.take() {
                Some(row) => Some(row),
                None => patiently(until, || self.orders.find(&attempt_context.id, true)).await?,
            };
            let Some(row) = row else { return Ok(false) };
            match transition_of(&row.state, attempt_context.attempt, transition) {
                TransitionOutcome::Change(_)
                    if transition.takes() && row.version != attempt_context.before =>
                {
                    return Ok(false);
                }
                TransitionOutcome::Change(state) => {
                    let new = OrderRow { state, ..row.next() };
                    if self.replace(attempt_context, &row, new, until).await? {
                        return Ok(true);
                    }
                    backoff.wait().await;
                }
                transition_outcome if certain => {
                    attempt_context.row = Some(row);
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
        attempt_context: &mut AttemptContext,
        old: &OrderRow,
        new: OrderRow,
        until: Instant,
    ) -> Result<bool, StorageError> {
        match self.orders.replace(&attempt_context.id, Some(old.version), &new).await {
            Ok(true) => {
                (attempt_context.row, attempt_context.began) = (Some(new), true);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                attempt_context.began |= error.kind() == ErrorKind::Timeout;
                again(error, until).map(|()| false)
            }
        }
    }

    async fn parts(
        &self,
        attempt_context: &mut AttemptContext,
        saga: &mut SagaState,
        op_id: Uuid,
        moves: &[(usize, AccountOp)],
        until: Instant,
    ) -> Result<(), StorageError> {
        let requests = moves.iter().map(|&(part, wanted)| {
            let request = AccountRequest { op_id, wanted, expected: saga.expected(part), until };
            self.batchers.submit(attempt_context.parts[part].clone(), request)
        });
        let answers = futures::future::join_all(requests).await;
        for (&(part, _), answer) in moves.iter().zip(answers) {
            match answer {
                Ok(moved) => saga.moved(part, moved),
                // What was not decided is undone; the rest can only go forward, later.
                Err(error) if saga.is_undecided() => {
                    attempt_context.failure = Some(error);
                    saga.moved(part, OpOutcome::GaveUp);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Repeats what may be repeated while it fails and there is time.
async fn patiently<T, F>(until: Instant, work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => again(error, until)?,
        }
        backoff.wait().await;
    }
}
