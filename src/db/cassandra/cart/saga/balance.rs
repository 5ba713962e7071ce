//! The balance of one account, a user's credit or an item's stock, and what each operation makes of
//! it. Pure: the statements are in `accounts_table`, many operations at once in `account_batch`;
//! `model_check` runs these very functions.
//!
//! An account is one partition: its balance, and the record of every operation that changed it,
//! under the operation's id. Both change in one conditional batch that tests both, so an operation
//! that is repeated, or late, finds its record and does nothing.

use crate::cart::model::Amount;

const MAX_AMOUNT: i64 = Amount::MAX.signed();

/// The sums of a user (credits) or of an item (pieces). At any moment
/// `available + reserved + captured + written_off + removed = added`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(in crate::db) struct Balance {
    /// Grows with every change; every conditional write tests it.
    pub(in crate::db) version: i64,
    /// Credit or stock that may be reserved or removed.
    pub(in crate::db) available: i64,
    /// Reserved by checkouts that are not paid yet, or not captured yet.
    pub(in crate::db) reserved: i64,
    /// Captured by paid orders of this epoch.
    pub(in crate::db) captured: i64,
    /// Added since the epoch began.
    pub(in crate::db) added: i64,
    /// Removed by operations without an order.
    pub(in crate::db) removed: i64,
    /// Captured by paid orders that fixtures have replaced since.
    pub(in crate::db) written_off: i64,
    /// Grows when fixtures reset the account; what older orders captured is not refunded any more.
    pub(in crate::db) epoch: i64,
    /// The price of one piece, of an item.
    pub(in crate::db) price: i64,
}

/// The record of an operation on this account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) struct OpRecord {
    pub(in crate::db) state: OpState,
    pub(in crate::db) amount: i64,
}

/// The state of an operation; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum OpState {
    /// Its amount is reserved.
    Reserved,
    /// It was applied, or its reservation was captured.
    Done,
    /// Its reservation was released, or fenced before it was made: a late `Reserve` fails.
    Released,
}

/// An operation on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum AccountOp {
    /// Create the account, or reset it in a new epoch.
    Create { available: i64, price: i64 },
    /// Add to what is available.
    Add(i64),
    /// Remove from what is available, all or nothing.
    Remove(i64),
    /// Reserve for a checkout.
    Reserve(i64),
    /// Capture the reservation: the order is paid.
    Capture,
    /// Release the reservation, or fence one that was not made yet: the checkout is aborted.
    Release,
    /// Make what an order captured in that epoch available again.
    Refund { amount: i64, epoch: i64 },
    /// Write off what an order captured in that epoch: fixtures replace the order.
    WriteOff { amount: i64, epoch: i64 },
}

/// What the caller of an operation expects to find. It saves a read: the batch is planned from it,
/// and where it is wrong the condition refuses the batch and the account is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Expected {
    /// No account.
    NoAccount,
    /// No record of the operation.
    NoRecord,
    /// The amount is reserved for the operation.
    Reserved(i64),
}

/// What an operation makes of an account as it was read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Decision {
    /// Write these in place of what was read, if it has not changed since.
    Change(Balance, OpRecord),
    /// It was done before, or there is nothing to do.
    NoOp,
    /// What is missing is reserved and may be released: read again later.
    Wait,
    Refused(RefusalReason),
    /// Recovery has released the operation.
    Fenced,
}

/// Why an account refuses an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum RefusalReason {
    /// There is no such account.
    Missing,
    /// There is too little, even if everything reserved were released.
    Insufficient,
    /// There would be more than an amount can be.
    Overflow,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum OpOutcome {
    /// It is done, in that epoch of the account; `before`: it was done already.
    Done {
        epoch: i64,
        before: bool,
    },
    Refused(RefusalReason),
    /// Recovery has released the operation.
    Fenced,
    /// Its deadline passed while it waited for a release, or for other writes to the account.
    TimedOut,
}

/// Decides an operation from what was read at one moment.
pub(in crate::db) fn decide(
    balance: Option<Balance>,
    record: Option<OpRecord>,
    op: AccountOp,
) -> Decision {
    match (op, record.map(|record| record.state)) {
        (AccountOp::Reserve(_), Some(OpState::Done | OpState::Released)) => Decision::Fenced,
        (AccountOp::Capture | AccountOp::Release, _) => {
            balance.map_or(Decision::NoOp, |balance| balance.end(record, op))
        }
        (_, Some(_)) => Decision::NoOp,
        (AccountOp::Create { available, price }, None) => begin(balance, available, price),
        (AccountOp::Refund { .. } | AccountOp::WriteOff { .. }, None) if balance.is_none() => {
            Decision::NoOp
        }
        (_, None) => {
            balance.map_or(Decision::Refused(RefusalReason::Missing), |balance| balance.first(op))
        }
    }
}

/// A reset waits while reservations are open, or their release would be lost. It writes no record:
/// its id is in the balance's row (`created_by`).
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
    /// Whether it ends something that other operations may wait for.
    pub(in crate::db) const fn may_unblock_others(&self) -> bool {
        !matches!(self, Self::Reserve(_) | Self::Remove(_) | Self::Create { .. })
    }
}

impl Balance {
    /// An operation that has no record yet.
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
            AccountOp::Create { .. } | AccountOp::Capture | AccountOp::Release => Decision::NoOp,
        }
    }

    /// Counts what was captured as well: a refund of all of it must still be an amount.
    fn add(self, n: i64) -> Decision {
        let Some(added) = self.added.checked_add(n) else {
            return Decision::Refused(RefusalReason::Overflow);
        };
        if self.available + self.reserved + self.captured + n > MAX_AMOUNT {
            return Decision::Refused(RefusalReason::Overflow);
        }
        change(Self { available: self.available + n, added, ..self }, OpState::Done, n)
    }

    /// A refusal must be true: while a release could still give enough, the operation waits.
    fn reserve_or_remove(self, n: i64, after: Self, state: OpState) -> Decision {
        match self.available - n {
            0.. => change(Self { available: self.available - n, ..after }, state, n),
            missing if missing + self.reserved < 0 => {
                Decision::Refused(RefusalReason::Insufficient)
            }
            _ => Decision::Wait,
        }
    }

    fn uncapture(self, amount: i64, epoch: i64, after: Self) -> Decision {
        if self.epoch != epoch {
            return Decision::NoOp;
        }
        change(Self { captured: self.captured - amount, ..after }, OpState::Done, amount)
    }

    /// Ends a reservation that may have been made. A release without one leaves a fence.
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
            _ => Decision::NoOp,
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
    fn every_change_keeps_the_sum_and_raises_the_version() {
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
    fn an_operation_waits_for_what_may_be_released() {
        for op in [AccountOp::Reserve, AccountOp::Remove] {
            assert_eq!(decide(Some(BALANCE), None, op(8)), Decision::Wait);
            assert_eq!(
                decide(Some(BALANCE), None, op(9)),
                Decision::Refused(RefusalReason::Insufficient)
            );
            assert_eq!(decide(None, None, op(1)), Decision::Refused(RefusalReason::Missing));
        }
        let reset = AccountOp::Create { available: 1, price: 1 };
        assert_eq!(decide(Some(BALANCE), None, reset), Decision::Wait);
    }

    #[test]
    fn a_released_operation_is_not_reserved_again() {
        for state in [OpState::Released, OpState::Done] {
            assert_eq!(
                decide(Some(BALANCE), record(state), AccountOp::Reserve(1)),
                Decision::Fenced
            );
            assert_eq!(decide(Some(BALANCE), record(state), AccountOp::Capture), Decision::NoOp);
        }
    }

    #[test]
    fn a_former_epoch_is_not_refunded() {
        let op = AccountOp::Refund { amount: 2, epoch: 0 };
        assert_eq!(decide(Some(BALANCE), None, op), Decision::NoOp);
    }

    #[test]
    fn a_refund_of_everything_is_still_an_amount() {
        assert_eq!(
            decide(Some(BALANCE), None, AccountOp::Add(MAX_AMOUNT - 9)),
            Decision::Refused(RefusalReason::Overflow)
        );
        assert!(matches!(
            decide(Some(BALANCE), None, AccountOp::Add(MAX_AMOUNT - 10)),
            Decision::Change(..)
        ));
    }
}
