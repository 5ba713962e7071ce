//! The acts that touch an order, a user and items: checkout, cancel, and replacing a paid order.

use std::sync::Arc;

use tokio::time::Instant;

use super::acts::refusal;
use super::house::{Errand, House, busy};
use super::order::{State, Undo};
use super::pause::patience;
use super::rows::OrderRow;
use super::saga::{Course, Ending};
use crate::cart::model::{OrderId, UserId};
use crate::db::storage::{Done, Refused, StorageError};

impl House {
    pub(super) async fn checkout(self: &Arc<Self>, id: OrderId) -> Done {
        let _place = self.place().await?;
        let until = patience();
        let _turn = self.gate.enter(&id, until).await?;
        let mut certain = false;
        loop {
            let row = match (self.at_rest(&id, certain, until).await?, certain) {
                (None, true) => return Ok(Err(Refused::NoOrder)),
                (Some(row), true) if row.is_paid() => return Ok(Ok(())),
                (Some(row), true) if row.lines.is_empty() => return Ok(Err(Refused::Empty)),
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
    ) -> Result<Option<Result<(), Refused>>, StorageError> {
        let amounts = row.amounts();
        let mut errand = self.begin(id, row, until).await?;
        let mut course = Course::checkout(errand.attempt, amounts);
        let ending = self.drive(&mut errand, &mut course, false).await?;
        if ending == Ending::Well {
            self.settle(errand, course).await;
            return Ok(Some(Ok(())));
        }
        self.ended(&errand, ending).await;
        match ending {
            Ending::Refused(part, short) => Ok(Some(Err(refusal(errand.part(part), short)))),
            Ending::GaveUp => Err(errand.failure()),
            Ending::Elsewhere if Instant::now() > until => Err(busy()),
            Ending::Elsewhere | Ending::Well => Ok(None),
        }
    }

    pub(super) async fn cancel(self: &Arc<Self>, user: UserId, id: OrderId) -> Done {
        let _place = self.place().await?;
        let until = patience();
        let _turn = self.gate.enter(&id, until).await?;
        let mut certain = false;
        loop {
            let row = match (self.at_rest(&id, certain, until).await?, certain) {
                (None, true) => return Ok(Err(Refused::NoOrder)),
                (Some(row), true) if row.user != user => return Ok(Err(Refused::AnothersOrder)),
                (Some(row), true) if !row.is_paid() => return Ok(Err(Refused::NotPaid)),
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
        let mut errand: Errand = self.begin(id, row, until).await?;
        let mut course = Course::undo(errand.attempt, (of, epochs), how, amounts);
        let ending = self.drive(&mut errand, &mut course, true).await?;
        self.ended(&errand, ending).await;
        if ending == Ending::Elsewhere && Instant::now() > until {
            return Err(busy());
        }
        Ok(ending == Ending::Well)
    }
}
