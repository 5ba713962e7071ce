//! What is done to orders and accounts one by one.

use tokio::time::Instant;
use uuid::Uuid;

use super::accounts::Key;
use super::house::{House, again, busy};
use super::ledger::{Expected, Move};
use super::lines;
use super::pause::{Pause, patience};
use super::plan::Ask;
use super::rows::OrderRow;
use super::saga::{Moved, Short};
use crate::cart::model::{Amount, Item, ItemId, OrderId, UserId};
use crate::db::storage::{Done, Kind, Refused, StorageError};

/// What becomes of an order.
pub(super) enum Edit {
    To(OrderRow),
    Gone,
}

/// A change whose answer was lost.
#[derive(Default)]
struct Lost {
    /// The order as it was, and as it may be now; `None`: gone.
    changes: Vec<(Option<Uuid>, Option<Uuid>)>,
}

impl House {
    /// Changes an order that is at rest.
    pub(super) async fn edit(
        &self,
        id: &OrderId,
        change: impl Fn(Option<&OrderRow>) -> Result<Edit, Refused>,
    ) -> Done {
        let until = patience();
        let _turn = self.gate.enter(id, until).await?;
        let (mut certain, mut lost, mut pause) = (false, Lost::default(), Pause::new());
        loop {
            let row = self.at_rest(id, certain, until).await?;
            if lost.was_done(row.as_ref())? {
                return Ok(Ok(()));
            }
            match change(row.as_ref()) {
                Err(refused) if certain => return Ok(Err(refused)),
                Err(_) => {
                    certain = true;
                    continue;
                }
                Ok(edit) => match self.write(id, row.as_ref(), &edit).await {
                    Ok(true) => return Ok(Ok(())),
                    Ok(false) if Instant::now() > until => return Err(busy()),
                    Ok(false) => {}
                    Err(error) => {
                        lost.note(row.as_ref(), &edit);
                        again(error, until)?;
                    }
                },
            }
            certain = true;
            pause.wait().await;
        }
    }

    async fn write(
        &self,
        id: &OrderId,
        row: Option<&OrderRow>,
        edit: &Edit,
    ) -> Result<bool, StorageError> {
        match (edit, row.map(|row| row.stamp)) {
            (Edit::To(new), stamp) => self.orders.replace(id, stamp, new).await,
            (Edit::Gone, Some(stamp)) => self.orders.remove(id, stamp).await,
            (Edit::Gone, None) => Ok(true),
        }
    }

    pub(super) async fn create_order(&self, id: OrderId, user: UserId) -> Result<(), StorageError> {
        let new = OrderRow::open(user, Vec::new());
        let mut pause = Pause::new();
        let until = patience();
        loop {
            match self.orders.replace(&id, None, &new).await {
                Ok(true) => return Ok(()),
                // The id is new, so only this very act can have been here.
                Ok(false) => return self.is_there(&id, &new).await,
                Err(error) => again(error, until)?,
            }
            pause.wait().await;
        }
    }

    async fn is_there(&self, id: &OrderId, new: &OrderRow) -> Result<(), StorageError> {
        match self.orders.find(id, true).await? {
            Some(found) if found.has_been(&[new.stamp]) => Ok(()),
            _ => Err(StorageError::new(Kind::Conflict, "the id of a new order is taken")),
        }
    }

    pub(super) async fn add_item(&self, id: OrderId, item: ItemId, quantity: Amount) -> Done {
        let price = self.find_item(&item).await?.map(|item| item.price);
        self.edit(&id, |row| {
            let row = unpaid(row)?;
            let price = price.ok_or_else(|| Refused::NoItem(item.clone()))?;
            let lines = lines::with(&row.lines, &item, quantity, price)?;
            Ok(Edit::To(OrderRow { lines, ..row.next() }))
        })
        .await
    }

    pub(super) async fn remove_item(&self, id: OrderId, item: ItemId) -> Done {
        self.edit(&id, |row| {
            let row = unpaid(row)?;
            let lines = lines::without_one(&row.lines, &item)?;
            Ok(Edit::To(OrderRow { lines, ..row.next() }))
        })
        .await
    }

    pub(super) async fn remove_order(&self, id: OrderId) -> Done {
        self.edit(&id, |row| unpaid(row).map(|_| Edit::Gone)).await
    }

    pub(super) async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        let head = self.desks.accounts().head(&Key::Item(item.clone())).await?;
        head.map(|head| {
            Ok(Item { stock: lines::amount(head.free)?, price: lines::amount(head.price)? })
        })
        .transpose()
    }

    pub(super) async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        let head = self.desks.accounts().head(&Key::User(user.clone())).await?;
        head.map(|head| lines::amount(head.free)).transpose()
    }

    /// Makes one move of an account, under an id of its own.
    pub(super) async fn direct(&self, key: Key, wanted: Move) -> Done {
        let expected = match wanted {
            Move::Begin { .. } => Expected::NoPartition,
            _ => Expected::Nothing,
        };
        let ask = Ask { act: Uuid::now_v7(), wanted, expected: Some(expected), until: patience() };
        match self.desks.ask(key.clone(), ask).await? {
            Moved::Done { .. } => Ok(Ok(())),
            Moved::Refused(short) => Ok(Err(refusal(&key, short))),
            Moved::Fenced | Moved::GaveUp => Err(busy()),
        }
    }
}

impl Lost {
    fn note(&mut self, row: Option<&OrderRow>, edit: &Edit) {
        let after = match edit {
            Edit::To(new) => Some(new.stamp),
            Edit::Gone => None,
        };
        self.changes.push((row.map(|row| row.stamp), after));
    }

    /// Whether one of the changes was made, if that can still be told.
    fn was_done(&self, now: Option<&OrderRow>) -> Result<bool, StorageError> {
        for (before, after) in &self.changes {
            let known = |stamp: &Option<Uuid>| match (stamp, now) {
                (Some(stamp), Some(row)) => row.has_been(&[*stamp]),
                (None, None) => true,
                _ => false,
            };
            if known(after) {
                return Ok(true);
            }
            if now.is_some() && before.is_some() && !known(before) {
                return Err(StorageError::new(Kind::Timeout, "it cannot be told what was changed"));
            }
        }
        Ok(false)
    }
}

/// An order that may be changed.
fn unpaid(row: Option<&OrderRow>) -> Result<&OrderRow, Refused> {
    match row {
        None => Err(Refused::NoOrder),
        Some(row) if row.is_paid() => Err(Refused::Paid),
        Some(row) => Ok(row),
    }
}

/// Why an account refused.
pub(super) fn refusal(key: &Key, short: Short) -> Refused {
    match (short, key) {
        (Short::Missing, Key::User(id)) => Refused::NoUser(id.clone()),
        (Short::Missing, Key::Item(id)) => Refused::NoItem(id.clone()),
        (Short::TooLittle, Key::User(_)) => Refused::NotEnoughCredit,
        (Short::TooLittle, Key::Item(id)) => Refused::OutOfStock(id.clone()),
        (Short::TooMuch, _) => Refused::TooMuch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(changes: &[(Option<&OrderRow>, Option<&OrderRow>)]) -> Lost {
        let mut lost = Lost::default();
        for (before, after) in changes {
            lost.note(*before, &after.map_or(Edit::Gone, |row| Edit::To(row.clone())));
        }
        lost
    }

    #[test]
    fn what_was_done_although_its_answer_was_lost_is_known() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let (second, other) = (first.next(), first.next());
        let lost = changes(&[(Some(&first), Some(&second))]);
        for (now, done) in
            [(&second, true), (&second.next(), true), (&first, false), (&other, false)]
        {
            assert_eq!(lost.was_done(Some(now)).unwrap(), done);
        }
        assert!(!lost.was_done(None).unwrap());
        assert!(changes(&[(Some(&first), None)]).was_done(None).unwrap());
    }

    #[test]
    fn what_is_too_long_ago_cannot_be_told() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let lost = changes(&[(Some(&first), Some(&first.next()))]);
        let now = (0..20).fold(first.next(), |row, _| row.next());
        assert_eq!(lost.was_done(Some(&now)).unwrap_err().kind(), Kind::Timeout);
    }
}
