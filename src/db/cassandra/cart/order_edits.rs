//! Edits of an order without an attempt: create it, add and remove items, remove it.
//!
//! Each is one conditional write on the order's version, while no attempt is in progress on it. A
//! write whose answer was lost is resolved from the order's past versions, and a request with an
//! idempotency key that was done before from the order's last requests. Checkout and cancel are in
//! `coordinator`; the rules of an order's lines are in `crate::cart::rules`.

use tokio::time::Instant;
use uuid::Uuid;

use super::contention::{BACKOFF, contended};
use super::coordinator::{CheckoutCoordinator, is_done, is_repeat};
use super::orders_table::OrderRow;
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::cart::rules;
use crate::db::cassandra::idempotency::Claim;
use crate::db::common::retry::{retry, until};
use crate::db::storage::{ActContext, CartRefusal, CartResult, ErrorKind, StorageError};

/// What an edit makes of an order.
enum Edit {
    To(OrderRow),
    Removed,
}

impl Edit {
    /// The same as a change by a request, if it has a key.
    fn by(self, request_id: Option<Uuid>) -> Self {
        match self {
            Self::To(new) => Self::To(new.changed_by(request_id)),
            Self::Removed => Self::Removed,
        }
    }
}

/// Writes of one edit whose answers were lost.
#[derive(Default)]
struct UnknownWrites {
    /// The version before each, and the version after it; `None`: no order.
    changes: Vec<(Option<Uuid>, Option<Uuid>)>,
}

pub(super) async fn create_order(
    coordinator: &CheckoutCoordinator,
    context: ActContext,
    claim: Option<Claim>,
    id: OrderId,
    user: UserId,
) -> Result<(), StorageError> {
    let orders = &coordinator.runner.orders;
    let request_id = claim.as_ref().map(Claim::request_id);
    let new = OrderRow::open(user, Vec::new()).changed_by(request_id);
    let create = || orders.replace(&id, None, &new);
    if retry(BACKOFF, until(context.deadline()), create).await? {
        return Ok(());
    }
    // The id is new, so an order that is there was made by a try of this write.
    let found = orders.find(&id, true).await?;
    let is_ours = found.as_ref().is_some_and(|found| found.has_been(&[new.version]));
    if is_ours || is_done(claim.as_ref(), found.as_ref())? {
        return Ok(());
    }
    Err(StorageError::new(ErrorKind::Conflict, "the id of a new order is taken"))
}

pub(super) async fn add_item(
    coordinator: &CheckoutCoordinator,
    context: ActContext,
    claim: Option<Claim>,
    id: OrderId,
    item: ItemId,
    quantity: Amount,
) -> CartResult {
    let found = coordinator.runner.batchers.accounts.find_item(&item).await?;
    let price = found.map(|item| item.price);
    edit(coordinator, &context, claim.as_ref(), &id, |row| {
        let row = unpaid(row)?;
        let price = price.ok_or_else(|| CartRefusal::NoItem(item.clone()))?;
        let lines = rules::with_item(&row.lines, &item, quantity, price)?;
        Ok(Edit::To(OrderRow { lines, ..row.next() }))
    })
    .await
}

pub(super) async fn remove_item(
    coordinator: &CheckoutCoordinator,
    context: ActContext,
    claim: Option<Claim>,
    id: OrderId,
    item: ItemId,
) -> CartResult {
    edit(coordinator, &context, claim.as_ref(), &id, |row| {
        let row = unpaid(row)?;
        let lines = rules::without_one(&row.lines, &item)?;
        Ok(Edit::To(OrderRow { lines, ..row.next() }))
    })
    .await
}

pub(super) async fn remove_order(
    coordinator: &CheckoutCoordinator,
    context: ActContext,
    claim: Option<Claim>,
    id: OrderId,
) -> CartResult {
    let request_id = claim.as_ref().map(Claim::request_id);
    edit(coordinator, &context, claim.as_ref(), &id, |row| {
        Ok(unpaid(row)?.removed(request_id).map_or(Edit::Removed, Edit::To))
    })
    .await
}

/// Edits an order while no attempt is in progress on it.
async fn edit(
    coordinator: &CheckoutCoordinator,
    context: &ActContext,
    claim: Option<&Claim>,
    id: &OrderId,
    change: impl Fn(Option<&OrderRow>) -> Result<Edit, CartRefusal>,
) -> CartResult {
    let deadline = context.deadline();
    let _guard = coordinator.lock_order(id, deadline).await?;
    let request_id = claim.map(Claim::request_id);
    let (mut serial, mut unknown) = (is_repeat(claim), UnknownWrites::default());
    let mut backoff = BACKOFF;
    loop {
        let row = coordinator.recovery.load_settled(id, serial, deadline).await?;
        // An own write counts first; only if it is unknown do the requests tell.
        let was_done = unknown.was_done(row.as_ref());
        if matches!(was_done, Ok(true)) || is_done(claim, row.as_ref())? || was_done? {
            return Ok(Ok(()));
        }
        let edit = change(row.as_ref().filter(|row| !row.is_removed()));
        match edit.map(|edit| edit.by(request_id)) {
            Err(refused) if serial => return Ok(Err(refused)),
            // A plain read may lag: a refusal needs a SERIAL read.
            Err(_) => {
                serial = true;
                continue;
            }
            Ok(edit) => match write(coordinator, id, row.as_ref(), &edit).await {
                Ok(true) => return Ok(Ok(())),
                Ok(false) if Instant::now() > deadline => return Err(contended()),
                Ok(false) => {}
                Err(error) if until(deadline)(&error) => unknown.record(row.as_ref(), &edit),
                Err(error) => return Err(error),
            },
        }
        serial = true;
        backoff.wait().await;
    }
}

async fn write(
    coordinator: &CheckoutCoordinator,
    id: &OrderId,
    row: Option<&OrderRow>,
    edit: &Edit,
) -> Result<bool, StorageError> {
    let orders = &coordinator.runner.orders;
    match (edit, row.map(|row| row.version)) {
        (Edit::To(new), version) => orders.replace(id, version, new).await,
        (Edit::Removed, Some(version)) => orders.remove(id, version).await,
        (Edit::Removed, None) => Ok(true),
    }
}

impl UnknownWrites {
    fn record(&mut self, row: Option<&OrderRow>, edit: &Edit) {
        let after = match edit {
            Edit::To(new) => Some(new.version),
            Edit::Removed => None,
        };
        self.changes.push((row.map(|row| row.version), after));
    }

    /// Whether one of the writes was done, if the past versions reach back far enough to tell.
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
                let text = "too many changes since: whether the write was done is unknown";
                return Err(StorageError::new(ErrorKind::Timeout, text));
            }
        }
        Ok(false)
    }
}

/// An order that may be edited.
fn unpaid(row: Option<&OrderRow>) -> Result<&OrderRow, CartRefusal> {
    match row {
        None => Err(CartRefusal::NoOrder),
        Some(row) if row.is_paid() => Err(CartRefusal::Paid),
        Some(row) => Ok(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(changes: &[(Option<&OrderRow>, Option<&OrderRow>)]) -> UnknownWrites {
        let mut unknown = UnknownWrites::default();
        for (before, after) in changes {
            unknown.record(*before, &after.map_or(Edit::Removed, |row| Edit::To(row.clone())));
        }
        unknown
    }

    #[test]
    fn a_write_that_was_done_although_its_answer_was_lost_is_recognised() {
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
    fn after_too_many_changes_a_lost_answer_stays_unknown() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let unknown = changes(&[(Some(&first), Some(&first.next()))]);
        let now = (0..20).fold(first.next(), |row, _| row.next());
        assert_eq!(unknown.was_done(Some(&now)).unwrap_err().kind(), ErrorKind::Timeout);
    }
}
