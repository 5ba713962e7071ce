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
pub(in crate::db) struct Balance {
    /// Moves on with every change.
    pub(in crate::db) version: i64,
    /// Credit or stock, for whoever comes.
    pub(in crate::db) available: i64,
    /// Reserved by checkouts that have not ended, or are not settled yet.
    pub(in crate::db) reserved: i64,
    /// CapturedByOrders by paid orders of this epoch.
    pub(in crate::db) captured: i64,
    /// Put in, since the epoch began.
    pub(in crate::db) added: i64,
    /// CapturedByOrders out directly.
    pub(in crate::db) removed: i64,
    /// CapturedByOrders by orders that were paid once and replaced since.
    pub(in crate::db) written_off: i64,
    /// Moves on when a test bed begins the partition anew; older orders are forgotten.
    pub(in crate::db) epoch: i64,
    /// What one costs, of an item.
    pub(in crate::db) price: i64,
}

/// What an op_id has done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) struct OpRecord {
    pub(in crate::db) state: OpState,
    pub(in crate::db) amount: i64,
}

/// How far it has come; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum OpState {
    /// The amount is reserved for it.
    Reserved,
    /// It has ended here.
    Done,
    /// It shall not happen here any more: what comes late finds this and does nothing.
    Released,
}

/// What an op_id wants of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum AccountOp {
    /// Begin the partition, or begin it anew.
    Create { available: i64, price: i64 },
    /// Put in.
    Add(i64),
    /// Take out, all or nothing.
    Remove(i64),
    /// Hold for a checkout.
    Reserve(i64),
    /// What is reserved is captured: the order is paid.
    Capture,
    /// What is reserved is available again, or never will be reserved: the checkout is aborted.
    Release,
    /// What an order took in that epoch is available again.
    Refund { amount: i64, epoch: i64 },
    /// What an order took in that epoch is gone: the order is replaced.
    WriteOff { amount: i64, epoch: i64 },
}

/// What somebody who wants a move believes to find. What is believed is not read: a wrong guess is
/// refused, and corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Expected {
    /// No such partition.
    NoAccount,
    /// No row of the op_id.
    NoRecord,
    /// The amount is reserved for the op_id.
    Reserved(i64),
}

/// What is to be done about a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Decision {
    /// Try to put these in the place of what was read.
    Change(Balance, OpRecord),
    /// It has been done, or there is nothing to do.
    Done,
    /// Something is reserved that may return: look again later.
    Wait,
    /// There is no such partition.
    Missing,
    /// There is too little, and nothing will return.
    Insufficient,
    /// There would be more than an amount can be.
    Overflow,
    /// The op_id was released by somebody else.
    Fenced,
}

/// Decides about a move from what was read at one moment.
pub(in crate::db) fn decide(
    balance: Option<Balance>,
    record: Option<OpRecord>,
    op: AccountOp,
) -> Decision {
    match (op, record.map(|record| record.state)) {
        (AccountOp::Reserve(_), Some(OpState::Done | OpState::Released)) => Decision::Fenced,
        (AccountOp::Capture | AccountOp::Release, _) => {
            balance.map_or(Decision::Done, |balance| balance.end(record, op))
        }
        (_, Some(_)) => Decision::Done,
        (AccountOp::Create { available, price }, None) => begin(balance, available, price),
        (AccountOp::Refund { .. } | AccountOp::WriteOff { .. }, None) if balance.is_none() => {
            Decision::Done
        }
        (_, None) => balance.map_or(Decision::Missing, |balance| balance.first(op)),
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
    pub(in crate::db) const fn may_unblock_others(&self) -> bool {
        !matches!(self, Self::Reserve(_) | Self::Remove(_) | Self::Create { .. })
    }
}

impl Balance {
    /// A move of an op_id that has no row yet.
    fn first(self, op: AccountOp) -> Decision {
        match op {
            AccountOp::Add(n) => self.add(n),
            AccountOp::Remove(n) => {
                self.reserve_or_remove(n, Self { removed: self.removed + n, ..self }, OpState::Done)
            }
            AccountOp::Reserve(n) => self.reserve_or_remove(
                n,
                Self { reserved: self.reserved + n, ..self },
                OpState::Reserved,
            ),
            AccountOp::Refund { amount, epoch } => {
                self.uncapture(amount, epoch, Self { available: self.available + amount, ..self })
            }
            AccountOp::WriteOff { amount, epoch } => self.uncapture(
                amount,
                epoch,
                Self { written_off: self.written_off + amount, ..self },
            ),
            AccountOp::Create { .. } | AccountOp::Capture | AccountOp::Release => Decision::Done,
        }
    }

    /// Counts what was captured as well: all of it may return some day, and must be an amount then.
    fn add(self, n: i64) -> Decision {
        let Some(added) = self.added.checked_add(n) else { return Decision::Overflow };
        if self.available + self.reserved + self.captured + n > MOST {
            return Decision::Overflow;
        }
        change(Self { available: self.available + n, added, ..self }, OpState::Done, n)
    }

    /// Nobody is refused what may return.
    fn reserve_or_remove(self, n: i64, after: Self, state: OpState) -> Decision {
        match self.available - n {
            0.. => change(Self { available: self.available - n, ..after }, state, n),
            reason if reason + self.reserved < 0 => Decision::Insufficient,
            _ => Decision::Wait,
        }
    }

    fn uncapture(self, amount: i64, epoch: i64, after: Self) -> Decision {
        if self.epoch != epoch {
            return Decision::Done;
        }
        change(Self { captured: self.captured - amount, ..after }, OpState::Done, amount)
    }

    /// The end of what a checkout may have reserved.
    fn end(self, record: Option<OpRecord>, op: AccountOp) -> Decision {
        let reserved =
            record.filter(|record| record.state == OpState::Reserved).map(|record| record.amount);
        match (op, reserved) {
            (AccountOp::Capture, Some(n)) => {
                let after =
                    Self { reserved: self.reserved - n, captured: self.captured + n, ..self };
                change(after, OpState::Done, n)
            }
            (AccountOp::Release, Some(n)) => {
                let after =
                    Self { reserved: self.reserved - n, available: self.available + n, ..self };
                change(after, OpState::Released, n)
            }
            (AccountOp::Release, None) if record.is_none() => change(self, OpState::Released, 0),
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

    fn after(record: Option<OpRecord>, op: AccountOp) -> (Balance, OpRecord) {
        match decide(Some(BALANCE), record, op) {
            Decision::Change(balance, record) => (balance, record),
            other => panic!("{op:?}: {other:?}"),
        }
    }

    fn record(state: OpState) -> Option<OpRecord> {
        Some(OpRecord { state, amount: 3 })
    }

    #[test]
    fn every_change_keeps_the_sum_and_moves_the_version() {
        for (before, op) in [
            (None, AccountOp::Add(4)),
            (None, AccountOp::Remove(5)),
            (None, AccountOp::Reserve(5)),
            (None, AccountOp::Refund { amount: 2, epoch: 1 }),
            (None, AccountOp::WriteOff { amount: 2, epoch: 1 }),
            (None, AccountOp::Release),
            (record(OpState::Reserved), AccountOp::Capture),
            (record(OpState::Reserved), AccountOp::Release),
        ] {
            let (balance, _) = after(before, op);
            let sum = balance.available
                + balance.reserved
                + balance.captured
                + balance.written_off
                + balance.removed;
            assert_eq!((sum, balance.version), (balance.added, 8), "{op:?}");
            assert!(
                balance.available >= 0 && balance.reserved >= 0 && balance.captured >= 0,
                "{op:?}"
            );
        }
    }

    #[test]
    fn what_may_return_is_waited_for() {
        for op in [AccountOp::Reserve, AccountOp::Remove] {
            assert_eq!(decide(Some(BALANCE), None, op(8)), Decision::Wait);
            assert_eq!(decide(Some(BALANCE), None, op(9)), Decision::Insufficient);
            assert_eq!(decide(None, None, op(1)), Decision::Missing);
        }
        let anew = AccountOp::Create { available: 1, price: 1 };
        assert_eq!(decide(Some(BALANCE), None, anew), Decision::Wait);
    }

    #[test]
    fn what_was_released_is_not_reserved() {
        for state in [OpState::Released, OpState::Done] {
            assert_eq!(
                decide(Some(BALANCE), record(state), AccountOp::Reserve(1)),
                Decision::Fenced
            );
            assert_eq!(decide(Some(BALANCE), record(state), AccountOp::Capture), Decision::Done);
        }
    }

    #[test]
    fn what_a_former_epoch_took_does_not_return() {
        let op = AccountOp::Refund { amount: 2, epoch: 0 };
        assert_eq!(decide(Some(BALANCE), None, op), Decision::Done);
    }

    #[test]
    fn all_that_was_taken_can_return() {
        assert_eq!(decide(Some(BALANCE), None, AccountOp::Add(MOST - 9)), Decision::Overflow);
        assert!(matches!(
            decide(Some(BALANCE), None, AccountOp::Add(MOST - 10)),
            Decision::Change(..)
        ));
    }
}
