//! What is done to orders and accounts one by one.

use tokio::time::Instant;
use uuid::Uuid;

use super::accounts_table::AccountKey;
use super::backoff::{Backoff, deadline};
use super::coordinator::{CheckoutCoordinator, again, contended};
use super::orders_table::{OrderRow, amount};
use super::saga::account_batch::AccountRequest;
use super::saga::balance::{AccountOp, Expected};
use super::saga::saga_state::{OpOutcome, RefusalReason};
use crate::cart::model::{Amount, Item, ItemId, OrderId, UserId};
use crate::cart::rules;
use crate::db::storage::{CartRefusal, CartResult, ErrorKind, StorageError};

/// What becomes of an order.
pub(super) enum Edit {
    To(OrderRow),
    Gone,
}

/// A change whose answer was lost.
#[derive(Default)]
struct UnknownWrites {
    /// The order as it was, and as it may be now; `None`: gone.
    changes: Vec<(Option<Uuid>, Option<Uuid>)>,
}

impl CheckoutCoordinator {
    /// Changes an order that is at rest.
    pub(super) async fn edit(
        &self,
        id: &OrderId,
        change: impl Fn(Option<&OrderRow>) -> Result<Edit, CartRefusal>,
    ) -> CartResult {
        let deadline = deadline();
        let _guard = self.order_locks.enter(id, deadline).await?;
        let (mut serial, mut unknown, mut backoff) =
            (false, UnknownWrites::default(), Backoff::new());
        loop {
            let row = self.load_settled(id, serial, deadline).await?;
            if unknown.was_done(row.as_ref())? {
                return Ok(Ok(()));
            }
            match change(row.as_ref()) {
                Err(refused) if serial => return Ok(Err(refused)),
                Err(_) => {
                    serial = true;
                    continue;
                }
                Ok(edit) => match self.write(id, row.as_ref(), &edit).await {
                    Ok(true) => return Ok(Ok(())),
                    Ok(false) if Instant::now() > deadline => return Err(contended()),
                    Ok(false) => {}
                    Err(error) => {
                        unknown.note(row.as_ref(), &edit);
                        again(error, deadline)?;
                    }
                },
            }
            serial = true;
            backoff.wait().await;
        }
    }

    async fn write(
        &self,
        id: &OrderId,
        row: Option<&OrderRow>,
        edit: &Edit,
    ) -> Result<bool, StorageError> {
        match (edit, row.map(|row| row.version)) {
            (Edit::To(new), version) => self.orders.replace(id, version, new).await,
            (Edit::Gone, Some(version)) => self.orders.remove(id, version).await,
            (Edit::Gone, None) => Ok(true),
        }
    }

    pub(super) async fn create_order(&self, id: OrderId, user: UserId) -> Result<(), StorageError> {
        let new = OrderRow::open(user, Vec::new());
        let mut backoff = Backoff::new();
        let deadline = deadline();
        loop {
            match self.orders.replace(&id, None, &new).await {
                Ok(true) => return Ok(()),
                // The id is new, so only this very op_id can have been here.
                Ok(false) => return self.is_there(&id, &new).await,
                Err(error) => again(error, deadline)?,
            }
            backoff.wait().await;
        }
    }

    async fn is_there(&self, id: &OrderId, new: &OrderRow) -> Result<(), StorageError> {
        match self.orders.find(id, true).await? {
            Some(found) if found.has_been(&[new.version]) => Ok(()),
            _ => Err(StorageError::new(ErrorKind::Conflict, "the id of a new order is captured")),
        }
    }

    pub(super) async fn add_item(&self, id: OrderId, item: ItemId, quantity: Amount) -> CartResult {
        let price = self.find_item(&item).await?.map(|item| item.price);
        self.edit(&id, |row| {
            let row = unpaid(row)?;
            let price = price.ok_or_else(|| CartRefusal::NoItem(item.clone()))?;
            let lines = rules::with_item(&row.lines, &item, quantity, price)?;
            Ok(Edit::To(OrderRow { lines, ..row.next() }))
        })
        .await
    }

    pub(super) async fn remove_item(&self, id: OrderId, item: ItemId) -> CartResult {
        self.edit(&id, |row| {
            let row = unpaid(row)?;
            let lines = rules::without_one(&row.lines, &item)?;
            Ok(Edit::To(OrderRow { lines, ..row.next() }))
        })
        .await
    }

    pub(super) async fn remove_order(&self, id: OrderId) -> CartResult {
        self.edit(&id, |row| unpaid(row).map(|_| Edit::Gone)).await
    }

    pub(super) async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        let balance = self.batchers.accounts().balance(&AccountKey::Item(item.clone())).await?;
        balance
            .map(|balance| {
                Ok(Item { stock: amount(balance.available)?, price: amount(balance.price)? })
            })
            .transpose()
    }

    pub(super) async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        let balance = self.batchers.accounts().balance(&AccountKey::User(user.clone())).await?;
        balance.map(|balance| amount(balance.available)).transpose()
    }

    /// Makes one move of an account, under an id of its own.
    pub(super) async fn apply_op(&self, key: AccountKey, op: AccountOp) -> CartResult {
        let expected = match op {
            AccountOp::Create { .. } => Expected::NoAccount,
            _ => Expected::NoRecord,
        };
        let request = AccountRequest {
            op_id: Uuid::now_v7(),
            op,
            expected: Some(expected),
            deadline: deadline(),
        };
        match self.batchers.submit(key.clone(), request).await? {
            OpOutcome::Done { .. } => Ok(Ok(())),
            OpOutcome::Refused(reason) => Ok(Err(refusal(&key, reason))),
            OpOutcome::Fenced | OpOutcome::TimedOut => Err(contended()),
        }
    }
}

impl UnknownWrites {
    fn note(&mut self, row: Option<&OrderRow>, edit: &Edit) {
        let after = match edit {
            Edit::To(new) => Some(new.version),
            Edit::Gone => None,
        };
        self.changes.push((row.map(|row| row.version), after));
    }

    /// Whether one of the changes was made, if that can still be told.
    fn was_done(&self, now: Option<&OrderRow>) -> Result<bool, StorageError> {
        for (before, after) in &self.changes {
            let known = |version: &Option<Uuid>| match (version, now) {
                (Some(version), Some(row)) => row.has_been(&[*version]),
                (None, None) => true,
                _ => false,
            };
            if known(after) {
                return Ok(true);
            }
            if now.is_some() && before.is_some() && !known(before) {
                return Err(StorageError::new(
                    ErrorKind::Timeout,
                    "it cannot be told what was changed",
                ));
            }
        }
        Ok(false)
    }
}

/// An order that may be changed.
fn unpaid(row: Option<&OrderRow>) -> Result<&OrderRow, CartRefusal> {
    match row {
        None => Err(CartRefusal::NoOrder),
        Some(row) if row.is_paid() => Err(CartRefusal::Paid),
        Some(row) => Ok(row),
    }
}

/// Why an account refused.
pub(super) fn refusal(key: &AccountKey, reason: RefusalReason) -> CartRefusal {
    match (reason, key) {
        (RefusalReason::Missing, AccountKey::User(id)) => CartRefusal::NoUser(id.clone()),
        (RefusalReason::Missing, AccountKey::Item(id)) => CartRefusal::NoItem(id.clone()),
        (RefusalReason::Insufficient, AccountKey::User(_)) => CartRefusal::NotEnoughCredit,
        (RefusalReason::Insufficient, AccountKey::Item(id)) => CartRefusal::OutOfStock(id.clone()),
        (RefusalReason::Overflow, _) => CartRefusal::AmountOverflow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(changes: &[(Option<&OrderRow>, Option<&OrderRow>)]) -> UnknownWrites {
        let mut unknown = UnknownWrites::default();
        for (before, after) in changes {
            unknown.note(*before, &after.map_or(Edit::Gone, |row| Edit::To(row.clone())));
        }
        unknown
    }

    #[test]
    fn what_was_done_although_its_answer_was_lost_is_known() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let (second, other) = (first.next(), first.next());
        let unknown = changes(&[(Some(&first), Some(&second))]);
        for (now, done) in
            [(&second, true), (&second.next(), true), (&first, false), (&other, false)]
        {
            assert_eq!(unknown.was_done(Some(now)).unwrap(), done);
        }
        assert!(!unknown.was_done(None).unwrap());
        assert!(changes(&[(Some(&first), None)]).was_done(None).unwrap());
    }

    #[test]
    fn what_is_too_long_ago_cannot_be_told() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let unknown = changes(&[(Some(&first), Some(&first.next()))]);
        let now = (0..20).fold(first.next(), |row, _| row.next());
        assert_eq!(unknown.was_done(Some(&now)).unwrap_err().kind(), ErrorKind::Timeout);
    }
}
