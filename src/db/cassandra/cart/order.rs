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
pub(super) enum OrderTransition {
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

/// What is to be done about a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TransitionOutcome {
    /// Try to put this in the place of what was read.
    Change(State),
    /// It has been done already.
    Done,
    /// The order is not in the attempt's hands (any more), or not yet.
    Elsewhere,
}

/// Decides about a transition of an attempt.
pub(super) fn transition_of(
    state: &State,
    attempt: Uuid,
    transition: &OrderTransition,
) -> TransitionOutcome {
    let ours = state.attempt() == Some(attempt);
    match (transition, state) {
        (OrderTransition::Begin, State::Open) => {
            TransitionOutcome::Change(State::Pending { attempt })
        }
        (OrderTransition::Commit { epochs }, State::Pending { .. }) if ours => {
            TransitionOutcome::Change(State::Paid { attempt, epochs: epochs.clone() })
        }
        (OrderTransition::Abort, State::Pending { .. }) if ours => {
            TransitionOutcome::Change(State::Aborting { attempt })
        }
        (OrderTransition::Undo { how, of }, State::Paid { attempt: paid, epochs })
            if paid == of =>
        {
            TransitionOutcome::Change(State::Undoing { attempt, epochs: epochs.clone(), how: *how })
        }
        (OrderTransition::Reopen, State::Aborting { .. } | State::Undoing { .. }) if ours => {
            TransitionOutcome::Change(State::Open)
        }
        (OrderTransition::Begin, State::Pending { .. })
        | (OrderTransition::Commit { .. }, State::Paid { .. })
        | (OrderTransition::Abort, State::Aborting { .. })
        | (OrderTransition::Undo { .. }, State::Undoing { .. })
            if ours =>
        {
            TransitionOutcome::Done
        }
        (OrderTransition::Reopen, _) => TransitionOutcome::Done,
        _ => TransitionOutcome::Elsewhere,
    }
}

impl OrderTransition {
    /// Whether it takes the order into the attempt's hands. Such a transition is only made of the order as
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
        for transition in [
            OrderTransition::Commit { epochs: vec![] },
            OrderTransition::Abort,
            OrderTransition::Begin,
        ] {
            assert_eq!(
                transition_of(&pending, other, &transition),
                TransitionOutcome::Elsewhere,
                "{transition:?}"
            );
        }
        assert_eq!(
            transition_of(&pending, other, &OrderTransition::Reopen),
            TransitionOutcome::Done
        );
    }

    #[test]
    fn a_turn_that_was_done_is_not_done_again() {
        let attempt = Uuid::from_u128(1);
        let begin = OrderTransition::Begin;
        let TransitionOutcome::Change(pending) = transition_of(&State::Open, attempt, &begin)
        else {
            panic!()
        };
        assert_eq!(transition_of(&pending, attempt, &begin), TransitionOutcome::Done);
        let commit = OrderTransition::Commit { epochs: vec![0, 1] };
        let TransitionOutcome::Change(paid) = transition_of(&pending, attempt, &commit) else {
            panic!()
        };
        assert_eq!(transition_of(&paid, attempt, &commit), TransitionOutcome::Done);
        assert_eq!(
            transition_of(&paid, attempt, &OrderTransition::Abort),
            TransitionOutcome::Elsewhere
        );
    }
}
