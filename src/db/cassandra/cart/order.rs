//! The states of an order, and what turns one into the next. Pure, as `ledger`.

use uuid::Uuid;

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// It may be changed.
    Open,
    /// A checkout is under way; when its lease is over, anybody may abort it.
    Pending { attempt: Uuid },
    /// A checkout is being undone.
    Aborting { attempt: Uuid },
    /// Paid, by that checkout.
    Paid { attempt: Uuid, epochs: Vec<i64> },
    /// What it took is being undone, which only goes forward.
    Undoing { attempt: Uuid, epochs: Vec<i64>, how: Undo },
}

/// What becomes of what a paid order took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Undo {
    /// It returns.
    Cancel,
    /// It is forgotten, because a test bed puts another order in this one's place.
    Erase,
}

/// What an attempt wants of the order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Turn {
    /// Begin a checkout.
    Begin,
    /// The order is paid: all is reserved. `epochs` are those of the user and of each item.
    Commit { epochs: Vec<i64> },
    /// Undo a checkout.
    Abort,
    /// All is undone.
    Reopen,
    /// Undo what that checkout took, which is settled.
    Undo { how: Undo, of: Uuid },
}

/// What is to be done about a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Try to put this in the place of what was read.
    Change(State),
    /// It has been done already.
    Done,
    /// The order is not in the attempt's hands (any more), or not yet.
    Elsewhere,
}

/// Decides about a turn of an attempt.
pub(super) fn rule(state: &State, attempt: Uuid, turn: &Turn) -> Ruling {
    let ours = state.attempt() == Some(attempt);
    match (turn, state) {
        (Turn::Begin, State::Open) => Ruling::Change(State::Pending { attempt }),
        (Turn::Commit { epochs }, State::Pending { .. }) if ours => {
            Ruling::Change(State::Paid { attempt, epochs: epochs.clone() })
        }
        (Turn::Abort, State::Pending { .. }) if ours => Ruling::Change(State::Aborting { attempt }),
        (Turn::Undo { how, of }, State::Paid { attempt: paid, epochs }) if paid == of => {
            Ruling::Change(State::Undoing { attempt, epochs: epochs.clone(), how: *how })
        }
        (Turn::Reopen, State::Aborting { .. } | State::Undoing { .. }) if ours => {
            Ruling::Change(State::Open)
        }
        (Turn::Begin, State::Pending { .. })
        | (Turn::Commit { .. }, State::Paid { .. })
        | (Turn::Abort, State::Aborting { .. })
        | (Turn::Undo { .. }, State::Undoing { .. })
            if ours =>
        {
            Ruling::Done
        }
        (Turn::Reopen, _) => Ruling::Done,
        _ => Ruling::Elsewhere,
    }
}

impl Turn {
    /// Whether it takes the order into the attempt's hands. Such a turn is only made of the order as
    /// it was before the attempt was noted: what recovery has looked at since is another.
    pub(super) const fn takes(&self) -> bool {
        matches!(self, Self::Begin | Self::Undo { .. })
    }
}

impl State {
    /// The attempt that will end soon, one way or the other.
    pub(super) const fn under_way(&self) -> Option<Uuid> {
        match self {
            Self::Open | Self::Paid { .. } => None,
            _ => self.attempt(),
        }
    }

    /// The attempt in whose hands the order is, or was last.
    pub(super) const fn attempt(&self) -> Option<Uuid> {
        match self {
            Self::Open => None,
            Self::Pending { attempt, .. }
            | Self::Aborting { attempt }
            | Self::Paid { attempt, .. }
            | Self::Undoing { attempt, .. } => Some(*attempt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_another_attempt_changes_nothing() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let pending = State::Pending { attempt: one };
        for turn in [Turn::Commit { epochs: vec![] }, Turn::Abort, Turn::Begin] {
            assert_eq!(rule(&pending, other, &turn), Ruling::Elsewhere, "{turn:?}");
        }
        assert_eq!(rule(&pending, other, &Turn::Reopen), Ruling::Done);
    }

    #[test]
    fn a_turn_that_was_done_is_not_done_again() {
        let attempt = Uuid::from_u128(1);
        let begin = Turn::Begin;
        let Ruling::Change(pending) = rule(&State::Open, attempt, &begin) else { panic!() };
        assert_eq!(rule(&pending, attempt, &begin), Ruling::Done);
        let commit = Turn::Commit { epochs: vec![0, 1] };
        let Ruling::Change(paid) = rule(&pending, attempt, &commit) else { panic!() };
        assert_eq!(rule(&paid, attempt, &commit), Ruling::Done);
        assert_eq!(rule(&paid, attempt, &Turn::Abort), Ruling::Elsewhere);
    }
}
