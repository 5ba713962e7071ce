//! The states of an order, and what turns one into the next. Pure, as `ledger`.

use uuid::Uuid;

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) enum OrderState {
    /// It may be changed.
    Open,
    /// A checkout is under way; when its lease is over, anybody may abort it.
    Pending { attempt_id: Uuid },
    /// A checkout is being undone.
    Aborting { attempt_id: Uuid },
    /// Paid, by that checkout.
    Paid { attempt_id: Uuid, epochs: Vec<i64> },
    /// What it took is being undone, which only goes forward.
    Reversing { attempt_id: Uuid, epochs: Vec<i64>, reversal: Reversal },
}

/// What becomes of what a paid order took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum Reversal {
    /// It returns.
    Cancel,
    /// It is forgotten, because a test bed puts another order in this one's place.
    WriteOff,
}

/// What an attempt wants of the order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) enum OrderTransition {
    /// Begin a checkout.
    Begin,
    /// The order is paid: all is reserved. `epochs` are those of the user and of each item.
    Commit { epochs: Vec<i64> },
    /// Reversal a checkout.
    Abort,
    /// All is undone.
    Reopen,
    /// Reversal what that checkout took, which is settled.
    Reverse { reversal: Reversal, of: Uuid },
}

/// What is to be done about a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::db) enum TransitionOutcome {
    /// Try to put this in the place of what was read.
    Change(OrderState),
    /// It has been done already.
    Done,
    /// The order is not in the attempt's hands (any more), or not yet.
    NotOwner,
}

/// Decides about a transition of an attempt.
pub(in crate::db) fn transition_of(
    state: &OrderState,
    attempt_id: Uuid,
    transition: &OrderTransition,
) -> TransitionOutcome {
    let ours = state.attempt_id() == Some(attempt_id);
    match (transition, state) {
        (OrderTransition::Begin, OrderState::Open) => {
            TransitionOutcome::Change(OrderState::Pending { attempt_id })
        }
        (OrderTransition::Commit { epochs }, OrderState::Pending { .. }) if ours => {
            TransitionOutcome::Change(OrderState::Paid { attempt_id, epochs: epochs.clone() })
        }
        (OrderTransition::Abort, OrderState::Pending { .. }) if ours => {
            TransitionOutcome::Change(OrderState::Aborting { attempt_id })
        }
        (
            OrderTransition::Reverse { reversal, of },
            OrderState::Paid { attempt_id: paid, epochs },
        ) if paid == of => TransitionOutcome::Change(OrderState::Reversing {
            attempt_id,
            epochs: epochs.clone(),
            reversal: *reversal,
        }),
        (OrderTransition::Reopen, OrderState::Aborting { .. } | OrderState::Reversing { .. })
            if ours =>
        {
            TransitionOutcome::Change(OrderState::Open)
        }
        (OrderTransition::Begin, OrderState::Pending { .. })
        | (OrderTransition::Commit { .. }, OrderState::Paid { .. })
        | (OrderTransition::Abort, OrderState::Aborting { .. })
        | (OrderTransition::Reverse { .. }, OrderState::Reversing { .. })
            if ours =>
        {
            TransitionOutcome::Done
        }
        (OrderTransition::Reopen, _) => TransitionOutcome::Done,
        _ => TransitionOutcome::NotOwner,
    }
}

impl OrderTransition {
    /// Whether it takes the order into the attempt's hands. Such a transition is only made of the order as
    /// it was before the attempt was noted: what recovery has looked at since is another.
    pub(in crate::db) const fn takes_ownership(&self) -> bool {
        matches!(self, Self::Begin | Self::Reverse { .. })
    }
}

impl OrderState {
    /// The attempt that will end soon, one way or the other.
    pub(in crate::db) const fn attempt_in_progress(&self) -> Option<Uuid> {
        match self {
            Self::Open | Self::Paid { .. } => None,
            _ => self.attempt_id(),
        }
    }

    /// The attempt in whose hands the order is, or was last.
    pub(in crate::db) const fn attempt_id(&self) -> Option<Uuid> {
        match self {
            Self::Open => None,
            Self::Pending { attempt_id, .. }
            | Self::Aborting { attempt_id }
            | Self::Paid { attempt_id, .. }
            | Self::Reversing { attempt_id, .. } => Some(*attempt_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_another_attempt_changes_nothing() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let pending = OrderState::Pending { attempt_id: one };
        for transition in [
            OrderTransition::Commit { epochs: vec![] },
            OrderTransition::Abort,
            OrderTransition::Begin,
        ] {
            assert_eq!(
                transition_of(&pending, other, &transition),
                TransitionOutcome::NotOwner,
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
        let attempt_id = Uuid::from_u128(1);
        let begin = OrderTransition::Begin;
        let TransitionOutcome::Change(pending) =
            transition_of(&OrderState::Open, attempt_id, &begin)
        else {
            panic!()
        };
        assert_eq!(transition_of(&pending, attempt_id, &begin), TransitionOutcome::Done);
        let commit = OrderTransition::Commit { epochs: vec![0, 1] };
        let TransitionOutcome::Change(paid) = transition_of(&pending, attempt_id, &commit) else {
            panic!()
        };
        assert_eq!(transition_of(&paid, attempt_id, &commit), TransitionOutcome::Done);
        assert_eq!(
            transition_of(&paid, attempt_id, &OrderTransition::Abort),
            TransitionOutcome::NotOwner
        );
    }
}
