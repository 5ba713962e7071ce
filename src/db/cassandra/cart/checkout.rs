//! The op_ids that touch an order, a user and items: checkout, cancel, and replacing a paid order.

use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::deadline;
use super::coordinator::{AttemptContext, CheckoutCoordinator, contended};
use super::order_edits::refusal;
use super::orders_table::OrderRow;
use super::saga::order_state::{OrderState, Reversal};
use super::saga::saga_state::{SagaOutcome, SagaState};
use crate::cart::model::{OrderId, UserId};
use crate::db::storage::{CartRefusal, CartResult, StorageError};

impl CheckoutCoordinator {
    pub(super) async fn checkout(self: &Arc<Self>, id: OrderId) -> CartResult {
        let _permit = self.admit().await?;
        let deadline = deadline();
        let _guard = self.order_locks.enter(&id, deadline).await?;
        let mut serial = false;
        loop {
            let row = match (self.load_settled(&id, serial, deadline).await?, serial) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.is_paid() => return Ok(Ok(())),
                (Some(row), true) if row.lines.is_empty() => return Ok(Err(CartRefusal::Empty)),
                (Some(row), _) if !row.is_paid() && !row.lines.is_empty() => row,
                _ => {
                    serial = true;
                    continue;
                }
            };
            if let Some(outcome) = self.attempt(&id, row, deadline).await? {
                return Ok(outcome);
            }
            serial = true;
        }
    }

    /// One attempt to check an order out; `None`: somebody else was faster.
    async fn attempt(
        self: &Arc<Self>,
        id: &OrderId,
        row: OrderRow,
        deadline: Instant,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let amounts = row.amounts();
        let mut attempt = self.begin(id, row, deadline).await?;
        let mut saga = SagaState::checkout(attempt.attempt_id, amounts);
        let outcome = self.drive(&mut attempt, &mut saga, false).await?;
        if outcome == SagaOutcome::Completed {
            self.capture_later(attempt, saga).await;
            return Ok(Some(Ok(())));
        }
        self.finish(&attempt, outcome).await;
        match outcome {
            SagaOutcome::Refused(participant, reason) => {
                Ok(Some(Err(refusal(attempt.participant(participant), reason))))
            }
            SagaOutcome::TimedOut => Err(attempt.failure()),
            SagaOutcome::NotOwner if Instant::now() > deadline => Err(contended()),
            SagaOutcome::NotOwner | SagaOutcome::Completed => Ok(None),
        }
    }

    pub(super) async fn cancel(self: &Arc<Self>, user: UserId, id: OrderId) -> CartResult {
        let _permit = self.admit().await?;
        let deadline = deadline();
        let _guard = self.order_locks.enter(&id, deadline).await?;
        let mut serial = false;
        loop {
            let row = match (self.load_settled(&id, serial, deadline).await?, serial) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.user != user => return Ok(Err(CartRefusal::WrongUser)),
                (Some(row), true) if !row.is_paid() => return Ok(Err(CartRefusal::NotPaid)),
                (Some(row), _) if row.user == user && row.is_paid() => row,
                _ => {
                    serial = true;
                    continue;
                }
            };
            if self.reverse(&id, row, Reversal::Cancel, deadline).await? {
                return Ok(Ok(()));
            }
            serial = true;
        }
    }

    /// Undoes what a paid order took, and opens it; `false`: somebody else was faster.
    pub(super) async fn reverse(
        &self,
        id: &OrderId,
        row: OrderRow,
        reversal: Reversal,
        deadline: Instant,
    ) -> Result<bool, StorageError> {
        let OrderState::Paid { attempt_id: of, epochs } = row.state.clone() else {
            return Ok(false);
        };
        let amounts = row.amounts();
        let mut attempt: AttemptContext = self.begin(id, row, deadline).await?;
        let mut saga = SagaState::reversal(attempt.attempt_id, (of, epochs), reversal, amounts);
        let outcome = self.drive(&mut attempt, &mut saga, true).await?;
        self.finish(&attempt, outcome).await;
        if outcome == SagaOutcome::NotOwner && Instant::now() > deadline {
            return Err(contended());
        }
        Ok(outcome == SagaOutcome::Completed)
    }
}
