//! What a user's or an item's partition holds, and when it may change how. Pure: the statements are
//! in `accounts`, and `saga_model` checks these very functions.
//!
//! A partition has a head, with the free amount and all sums, and a row for each act that ever
//! changed it, under the act's id. Both change together, under the condition that neither has
//! changed since: so an act that is repeated, or late, does nothing.

use crate::cart::model::Amount;

const MOST: i64 = Amount::MAX.signed();

/// The sums of a user (in credits) or of an item (in pieces). At any moment
/// `free + held + taken + erased + removed = added`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Head {
    /// Moves on with every change.
    pub(super) version: i64,
    /// Credit or stock, for whoever comes.
    pub(super) free: i64,
    /// Reserved by checkouts that have not ended, or are not settled yet.
    pub(super) held: i64,
    /// Taken by paid orders of this epoch.
    pub(super) taken: i64,
    /// Put in, since the epoch began.
    pub(super) added: i64,
    /// Taken out directly.
    pub(super) removed: i64,
    /// Taken by orders that were paid once and replaced since.
    pub(super) erased: i64,
    /// Moves on when a test bed begins the partition anew; older orders are forgotten.
    pub(super) epoch: i64,
    /// What one costs, of an item.
    pub(super) price: i64,
}

/// What an act has done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) state: RowState,
    pub(super) amount: i64,
}

/// How far it has come; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RowState {
    /// The amount is held for it.
    Reserved,
    /// It has ended here.
    Done,
    /// It shall not happen here any more: what comes late finds this and does nothing.
    Released,
}

/// What an act wants of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Move {
    /// Begin the partition, or begin it anew.
    Begin { free: i64, price: i64 },
    /// Put in.
    Add(i64),
    /// Take out, all or nothing.
    Remove(i64),
    /// Hold for a checkout.
    Reserve(i64),
    /// What is held is taken: the order is paid.
    Settle,
    /// What is held is free again, or never will be held: the checkout is aborted.
    Release,
    /// What an order took in that epoch is free again.
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
    /// No row of the act.
    Nothing,
    /// The amount is held for the act.
    Reserved(i64),
}

/// What is to be done about a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try to put these in the place of what was read.
    Change(Head, Row),
    /// It has been done, or there is nothing to do.
    Done,
    /// Something is held that may return: look again later.
    Wait,
    /// There is no such partition.
    Missing,
    /// There is too little, and nothing will return.
    TooLittle,
    /// There would be more than an amount can be.
    TooMuch,
    /// The act was released by somebody else.
    Fenced,
}

/// Decides about a move from what was read at one moment.
pub(super) fn decide(head: Option<Head>, row: Option<Row>, wanted: Move) -> Verdict {
    match (wanted, row.map(|row| row.state)) {
        (Move::Reserve(_), Some(RowState::Done | RowState::Released)) => Verdict::Fenced,
        (Move::Settle | Move::Release, _) => {
            head.map_or(Verdict::Done, |head| head.end(row, wanted))
        }
        (_, Some(_)) => Verdict::Done,
        (Move::Begin { free, price }, None) => begin(head, free, price),
        (Move::Return { .. } | Move::Erase { .. }, None) if head.is_none() => Verdict::Done,
        (_, None) => head.map_or(Verdict::Missing, |head| head.first(wanted)),
    }
}

/// What is held returns to nobody who is not there any more: a bed waits for its end.
fn begin(head: Option<Head>, free: i64, price: i64) -> Verdict {
    let new = Head { free, price, added: free, ..Head::default() };
    match head {
        None => Verdict::Change(Head { version: 1, ..new }, done(free)),
        Some(head) if head.held > 0 => Verdict::Wait,
        Some(Head { version, epoch, .. }) => {
            Verdict::Change(Head { version: version + 1, epoch: epoch + 1, ..new }, done(free))
        }
    }
}

impl Move {
    /// Whether it ends something, for which others may wait.
    pub(super) const fn gives(&self) -> bool {
        !matches!(self, Self::Reserve(_) | Self::Remove(_) | Self::Begin { .. })
    }
}

impl Head {
    /// A move of an act that has no row yet.
    fn first(self, wanted: Move) -> Verdict {
        match wanted {
            Move::Add(n) => self.add(n),
            Move::Remove(n) => {
                self.take(n, Self { removed: self.removed + n, ..self }, RowState::Done)
            }
            Move::Reserve(n) => {
                self.take(n, Self { held: self.held + n, ..self }, RowState::Reserved)
            }
            Move::Return { amount, epoch } => {
                self.untake(amount, epoch, Self { free: self.free + amount, ..self })
            }
            Move::Erase { amount, epoch } => {
                self.untake(amount, epoch, Self { erased: self.erased + amount, ..self })
            }
            Move::Begin { .. } | Move::Settle | Move::Release => Verdict::Done,
        }
    }

    /// Counts what was taken as well: all of it may return some day, and must be an amount then.
    fn add(self, n: i64) -> Verdict {
        let Some(added) = self.added.checked_add(n) else { return Verdict::TooMuch };
        if self.free + self.held + self.taken + n > MOST {
            return Verdict::TooMuch;
        }
        change(Self { free: self.free + n, added, ..self }, RowState::Done, n)
    }

    /// Nobody is refused what may return.
    fn take(self, n: i64, after: Self, state: RowState) -> Verdict {
        match self.free - n {
            0.. => change(Self { free: self.free - n, ..after }, state, n),
            short if short + self.held < 0 => Verdict::TooLittle,
            _ => Verdict::Wait,
        }
    }

    fn untake(self, amount: i64, epoch: i64, after: Self) -> Verdict {
        if self.epoch != epoch {
            return Verdict::Done;
        }
        change(Self { taken: self.taken - amount, ..after }, RowState::Done, amount)
    }

    /// The end of what a checkout may have reserved.
    fn end(self, row: Option<Row>, wanted: Move) -> Verdict {
        let held = row.filter(|row| row.state == RowState::Reserved).map(|row| row.amount);
        match (wanted, held) {
            (Move::Settle, Some(n)) => {
                let after = Self { held: self.held - n, taken: self.taken + n, ..self };
                change(after, RowState::Done, n)
            }
            (Move::Release, Some(n)) => {
                let after = Self { held: self.held - n, free: self.free + n, ..self };
                change(after, RowState::Released, n)
            }
            (Move::Release, None) if row.is_none() => change(self, RowState::Released, 0),
            _ => Verdict::Done,
        }
    }
}

const fn done(amount: i64) -> Row {
    Row { state: RowState::Done, amount }
}

const fn change(after: Head, state: RowState, amount: i64) -> Verdict {
    Verdict::Change(Head { version: after.version + 1, ..after }, Row { state, amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        version: 7,
        free: 5,
        held: 3,
        taken: 2,
        added: 10,
        removed: 0,
        erased: 0,
        epoch: 1,
        price: 4,
    };

    fn after(row: Option<Row>, wanted: Move) -> (Head, Row) {
        match decide(Some(HEAD), row, wanted) {
            Verdict::Change(head, row) => (head, row),
            other => panic!("{wanted:?}: {other:?}"),
        }
    }

    fn row(state: RowState) -> Option<Row> {
        Some(Row { state, amount: 3 })
    }

    #[test]
    fn every_change_keeps_the_sum_and_moves_the_version() {
        for (before, wanted) in [
            (None, Move::Add(4)),
            (None, Move::Remove(5)),
            (None, Move::Reserve(5)),
            (None, Move::Return { amount: 2, epoch: 1 }),
            (None, Move::Erase { amount: 2, epoch: 1 }),
            (None, Move::Release),
            (row(RowState::Reserved), Move::Settle),
            (row(RowState::Reserved), Move::Release),
        ] {
            let (head, _) = after(before, wanted);
            let sum = head.free + head.held + head.taken + head.erased + head.removed;
            assert_eq!((sum, head.version), (head.added, 8), "{wanted:?}");
            assert!(head.free >= 0 && head.held >= 0 && head.taken >= 0, "{wanted:?}");
        }
    }

    #[test]
    fn what_may_return_is_waited_for() {
        for wanted in [Move::Reserve, Move::Remove] {
            assert_eq!(decide(Some(HEAD), None, wanted(8)), Verdict::Wait);
            assert_eq!(decide(Some(HEAD), None, wanted(9)), Verdict::TooLittle);
            assert_eq!(decide(None, None, wanted(1)), Verdict::Missing);
        }
        let anew = Move::Begin { free: 1, price: 1 };
        assert_eq!(decide(Some(HEAD), None, anew), Verdict::Wait);
    }

    #[test]
    fn what_was_released_is_not_reserved() {
        for state in [RowState::Released, RowState::Done] {
            assert_eq!(decide(Some(HEAD), row(state), Move::Reserve(1)), Verdict::Fenced);
            assert_eq!(decide(Some(HEAD), row(state), Move::Settle), Verdict::Done);
        }
    }

    #[test]
    fn what_a_former_epoch_took_does_not_return() {
        let wanted = Move::Return { amount: 2, epoch: 0 };
        assert_eq!(decide(Some(HEAD), None, wanted), Verdict::Done);
    }

    #[test]
    fn all_that_was_taken_can_return() {
        assert_eq!(decide(Some(HEAD), None, Move::Add(MOST - 9)), Verdict::TooMuch);
        assert!(matches!(decide(Some(HEAD), None, Move::Add(MOST - 10)), Verdict::Change(..)));
    }
}
