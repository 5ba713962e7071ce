//! What a user's or an item's partition holds, and when it may change how. Pure: the statements are
//! in `accounts`, and `saga_model` checks these very functions.
//!
//! A partition has a balance, with the available amount and all sums, and a row for each op_id that ever
//! changed it, under the op_id's id. Both change together, under the condition that neither has
//! changed since: so an op_id that is repeated, or late, does nothing.

use crate::cart::model::Amount;

const MOST: i64 = Amount::MAX.signed();

/// The sums of a user (in credits) or of an item (in pieces). At any moment
/// `available + reserved + captured + written_off + removed = added`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Balance {
    /// Moves on with every change.
    pub(super) version: i64,
    /// Credit or stock, for whoever comes.
    pub(super) available: i64,
    /// Reserved by checkouts that have not ended, or are not settled yet.
    pub(super) reserved: i64,
    /// Taken by paid orders of this epoch.
    pub(super) captured: i64,
    /// Put in, since the epoch began.
    pub(super) added: i64,
    /// Taken out directly.
    pub(super) removed: i64,
    /// Taken by orders that were paid once and replaced since.
    pub(super) written_off: i64,
    /// Moves on when a test bed begins the partition anew; older orders are forgotten.
    pub(super) epoch: i64,
    /// What one costs, of an item.
    pub(super) price: i64,
}

/// What an op_id has done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct OpRecord {
    pub(super) state: OpState,
    pub(super) amount: i64,
}

/// How far it has come; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum OpState {
    /// The amount is reserved for it.
    Reserved,
    /// It has ended here.
    Done,
    /// It shall not happen here any more: what comes late finds this and does nothing.
    Released,
}

/// What an op_id wants of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AccountOp {
    /// Begin the partition, or begin it anew.
    Begin { available: i64, price: i64 },
    /// Put in.
    Add(i64),
    /// Take out, all or nothing.
    Remove(i64),
    /// Hold for a checkout.
    Reserve(i64),
    /// What is reserved is captured: the order is paid.
    Settle,
    /// What is reserved is available again, or never will be reserved: the checkout is aborted.
    Release,
    /// What an order took in that epoch is available again.
    Return { amount: i64, epoch: i64 },
    /// What an order took in that epoch is gone: the order is replaced.
    Erase { amount: i64, epoch: i64 },
}

/// What somebody who wants a move believes to find. What is believed is not read: a wrong guess is
/// refused, and corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// No such partition.
    NoPartition,
    /// No row of the op_id.
    Nothing,
    /// The amount is reserved for the op_id.
    Reserved(i64),
}

/// What is to be done about a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Try to put these in the place of what was read.
    Change(Balance, OpRecord),
    /// It has been done, or there is nothing to do.
    Done,
    /// Something is reserved that may return: look again later.
    Wait,
    /// There is no such partition.
    Missing,
    /// There is too little, and nothing will return.
    TooLittle,
    /// There would be more than an amount can be.
    TooMuch,
    /// The op_id was released by somebody else.
    Fenced,
}

/// Decides about a move from what was read at one moment.
pub(super) fn decide(
    balance: Option<Balance>,
    row: Option<OpRecord>,
    wanted: AccountOp,
) -> Decision {
    match (wanted, row.map(|row| row.state)) {
        (AccountOp::Reserve(_), Some(OpState::Done | OpState::Released)) => Decision::Fenced,
        (AccountOp::Settle | AccountOp::Release, _) => {
            balance.map_or(Decision::Done, |balance| balance.end(row, wanted))
        }
        (_, Some(_)) => Decision::Done,
        (AccountOp::Begin { available, price }, None) => begin(balance, available, price),
        (AccountOp::Return { .. } | AccountOp::Erase { .. }, None) if balance.is_none() => {
            Decision::Done
        }
        (_, None) => balance.map_or(Decision::Missing, |balance| balance.first(wanted)),
    }
}

/// What is reserved returns to nobody who is not there any more: a bed waits for its end.
fn begin(balance: Option<Balance>, available: i64, price: i64) -> Decision {
    let new = Balance { available, price, added: available, ..Balance::default() };
    match balance {
        None => Decision::Change(Balance { version: 1, ..new }, done(available)),
        Some(balance) if balance.reserved > 0 => Decision::Wait,
        Some(Balance { version, epoch, .. }) => Decision::Change(
            Balance { version: version + 1, epoch: epoch + 1, ..new },
            done(available),
        ),
    }
}

impl AccountOp {
    /// Whether it ends something, for which others may wait.
    pub(super) const fn gives(&self) -> bool {
        !matches!(self, Self::Reserve(_) | Self::Remove(_) | Self::Begin { .. })
    }
}

impl Balance {
    /// A move of an op_id that has no row yet.
    fn first(self, wanted: AccountOp) -> Decision {
        match wanted {
            AccountOp::Add(n) => self.add(n),
            AccountOp::Remove(n) => {
                self.take(n, Self { removed: self.removed + n, ..self }, OpState::Done)
            }
            AccountOp::Reserve(n) => {
                self.take(n, Self { reserved: self.reserved + n, ..self }, OpState::Reserved)
            }
            AccountOp::Return { amount, epoch } => {
                self.untake(amount, epoch, Self { available: self.available + amount, ..self })
            }
            AccountOp::Erase { amount, epoch } => {
                self.untake(amount, epoch, Self { written_off: self.written_off + amount, ..self })
            }
            AccountOp::Begin { .. } | AccountOp::Settle | AccountOp::Release => Decision::Done,
        }
    }

    /// Counts what was captured as well: all of it may return some day, and must be an amount then.
    fn add(self, n: i64) -> Decision {
        let Some(added) = self.added.checked_add(n) else { return Decision::TooMuch };
        if self.available + self.reserved + self.captured + n > MOST {
            return Decision::TooMuch;
        }
        change(Self { available: self.available + n, added, ..self }, OpState::Done, n)
    }

    /// Nobody is refused what may return.
    fn take(self, n: i64, after: Self, state: OpState) -> Decision {
        match self.available - n {
            0.. => change(Self { available: self.available - n, ..after }, state, n),
            reason if reason + self.reserved < 0 => Decision::TooLittle,
            _ => Decision::Wait,
        }
    }

    fn untake(self, amount: i64, epoch: i64, after: Self) -> Decision {
        if self.epoch != epoch {
            return Decision::Done;
        }
        change(Self { captured: self.captured - amount, ..after }, OpState::Done, amount)
    }

    /// The end of what a checkout may have reserved.
    fn end(self, row: Option<OpRecord>, wanted: AccountOp) -> Decision {
        let reserved = row.filter(|row| row.state == OpState::Reserved).map(|row| row.amount);
        match (wanted, reserved) {
            (AccountOp::Settle, Some(n)) => {
                let after =
                    Self { reserved: self.reserved - n, captured: self.captured + n, ..self };
                change(after, OpState::Done, n)
            }
            (AccountOp::Release, Some(n)) => {
                let after =
                    Self { reserved: self.reserved - n, available: self.available + n, ..self };
                change(after, OpState::Released, n)
            }
            (AccountOp::Release, None) if row.is_none() => change(self, OpState::Released, 0),
            _ => Decision::Done,
        }
    }
}

const fn done(amount: i64) -> OpRecord {
    OpRecord { state: OpState::Done, amount }
}

const fn change(after: Balance, state: OpState, amount: i64) -> Decision {
    Decision::Change(Balance { version: after.version + 1, ..after }, OpRecord { state, amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCE: Balance = Balance {
        version: 7,
        available: 5,
        reserved: 3,
        captured: 2,
        added: 10,
        removed: 0,
        written_off: 0,
        epoch: 1,
        price: 4,
    };

    fn after(row: Option<OpRecord>, wanted: AccountOp) -> (Balance, OpRecord) {
        match decide(Some(BALANCE), row, wanted) {
            Decision::Change(balance, row) => (balance, row),
            other => panic!("{wanted:?}: {other:?}"),
        }
    }

    fn row(state: OpState) -> Option<OpRecord> {
        Some(OpRecord { state, amount: 3 })
    }

    #[test]
    fn every_change_keeps_the_sum_and_moves_the_version() {
        for (before, wanted) in [
            (None, AccountOp::Add(4)),
            (None, AccountOp::Remove(5)),
            (None, AccountOp::Reserve(5)),
            (None, AccountOp::Return { amount: 2, epoch: 1 }),
            (None, AccountOp::Erase { amount: 2, epoch: 1 }),
            (None, AccountOp::Release),
            (row(OpState::Reserved), AccountOp::Settle),
            (row(OpState::Reserved), AccountOp::Release),
        ] {
            let (balance, _) = after(before, wanted);
            let sum = balance.available
                + balance.reserved
                + balance.captured
                + balance.written_off
                + balance.removed;
            assert_eq!((sum, balance.version), (balance.added, 8), "{wanted:?}");
            assert!(
                balance.available >= 0 && balance.reserved >= 0 && balance.captured >= 0,
                "{wanted:?}"
            );
        }
    }

    #[test]
    fn what_may_return_is_waited_for() {
        for wanted in [AccountOp::Reserve, AccountOp::Remove] {
            assert_eq!(decide(Some(BALANCE), None, wanted(8)), Decision::Wait);
            assert_eq!(decide(Some(BALANCE), None, wanted(9)), Decision::TooLittle);
            assert_eq!(decide(None, None, wanted(1)), Decision::Missing);
        }
        let anew = AccountOp::Begin { available: 1, price: 1 };
        assert_eq!(decide(Some(BALANCE), None, anew), Decision::Wait);
    }

    #[test]
    fn what_was_released_is_not_reserved() {
        for state in [OpState::Released, OpState::Done] {
            assert_eq!(decide(Some(BALANCE), row(state), AccountOp::Reserve(1)), Decision::Fenced);
            assert_eq!(decide(Some(BALANCE), row(state), AccountOp::Settle), Decision::Done);
        }
    }

    #[test]
    fn what_a_former_epoch_took_does_not_return() {
        let wanted = AccountOp::Return { amount: 2, epoch: 0 };
        assert_eq!(decide(Some(BALANCE), None, wanted), Decision::Done);
    }

    #[test]
    fn all_that_was_taken_can_return() {
        assert_eq!(decide(Some(BALANCE), None, AccountOp::Add(MOST - 9)), Decision::TooMuch);
        assert!(matches!(
            decide(Some(BALANCE), None, AccountOp::Add(MOST - 10)),
            Decision::Change(..)
        ));
    }
}
