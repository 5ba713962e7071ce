//! The op_ids that touch an order, a user and items: checkout, cancel, and replacing a paid order.

use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::deadline;
use super::coordinator::{AttemptContext, CheckoutCoordinator, busy};
use super::order::{State, Undo};
use super::order_edits::refusal;
use super::orders_table::OrderRow;
use super::saga::{SagaOutcome, SagaState};
use crate::cart::model::{OrderId, UserId};
use crate::db::storage::{CartRefusal, CartResult, StorageError};

impl CheckoutCoordinator {
    pub(super) async fn checkout(self: &Arc<Self>, id: OrderId) -> CartResult {
        let _place = self.place().await?;
        let until = deadline();
        let _turn = self.order_locks.enter(&id, until).await?;
        let mut certain = false;
        loop {
            let row = match (self.load_settled(&id, certain, until).await?, certain) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.is_paid() => return Ok(Ok(())),
                (Some(row), true) if row.lines.is_empty() => return Ok(Err(CartRefusal::Empty)),
                (Some(row), _) if !row.is_paid() && !row.lines.is_empty() => row,
                _ => {
                    certain = true;
                    continue;
                }
            };
            if let Some(outcome) = self.attempt(&id, row, until).await? {
                return Ok(outcome);
            }
            certain = true;
        }
    }

    /// One attempt to check an order out; `None`: somebody else was faster.
    async fn attempt(
        self: &Arc<Self>,
        id: &OrderId,
        row: OrderRow,
        until: Instant,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let amounts = row.amounts();
        let mut attempt_context = self.begin(id, row, until).await?;
        let mut saga = SagaState::checkout(attempt_context.attempt, amounts);
        let outcome = self.drive(&mut attempt_context, &mut saga, false).await?;
        if outcome == SagaOutcome::Well {
            self.settle(attempt_context, saga).await;
            return Ok(Some(Ok(())));
        }
        self.ended(&attempt_context, outcome).await;
        match outcome {
            SagaOutcome::Refused(part, reason) => {
                Ok(Some(Err(refusal(attempt_context.part(part), reason))))
            }
            SagaOutcome::GaveUp => Err(attempt_context.failure()),
            SagaOutcome::Elsewhere if Instant::now() > until => Err(busy()),
            SagaOutcome::Elsewhere | SagaOutcome::Well => Ok(None),
        }
    }

    pub(super) async fn cancel(self: &Arc<Self>, user: UserId, id: OrderId) -> CartResult {
        let _place = self.place().await?;
        let until = deadline();
        let _turn = self.order_locks.enter(&id, until).await?;
        let mut certain = false;
        loop {
            let row = match (self.load_settled(&id, certain, until).await?, certain) {
                (None, true) => return Ok(Err(CartRefusal::NoOrder)),
                (Some(row), true) if row.user != user => return Ok(Err(CartRefusal::WrongUser)),
                (Some(row), true) if !row.is_paid() => return Ok(Err(CartRefusal::NotPaid)),
                (Some(row), _) if row.user == user && row.is_paid() => row,
                _ => {
                    certain = true;
                    continue;
                }
            };
            if self.undo(&id, row, Undo::Cancel, until).await? {
                return Ok(Ok(()));
            }
            certain = true;
        }
    }

    /// Undoes what a paid order took, and opens it; `false`: somebody else was faster.
    pub(super) async fn undo(
        &self,
        id: &OrderId,
        row: OrderRow,
        how: Undo,
        until: Instant,
    ) -> Result<bool, StorageError> {
        let State::Paid { attempt: of, epochs } = row.state.clone() else { return Ok(false) };
        let amounts = row.amounts();
        let mut attempt_context: AttemptContext = self.begin(id, row, until).await?;
        let mut saga = SagaState::undo(attempt_context.attempt, (of, epochs), how, amounts);
        let outcome = self.drive(&mut attempt_context, &mut saga, true).await?;
        self.ended(&attempt_context, outcome).await;
        if outcome == SagaOutcome::Elsewhere && Instant::now() > until {
            return Err(busy());
        }
        Ok(outcome == SagaOutcome::Well)
    }
}
