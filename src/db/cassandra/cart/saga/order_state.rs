//! The states of an order and the transitions between them. Pure: the statements are in
//! `orders_table`; what comes before and after a transition is in `saga_state`.
//!
//! A checkout is `Open -> Pending -> Paid`, and the write of `Paid` is its commit point; an abort is
//! `Pending -> Aborting -> Open`, a cancel `Paid -> Reversing -> Open`. Every state but `Open` names
//! its attempt. A transition is a conditional write on the order's version: of two at once one
//! succeeds, and one that is repeated finds that it was done.

use uuid::Uuid;

use crate::cart::model::Line;

/// The state of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) enum OrderState {
    /// It may be edited.
    Open,
    /// A checkout is in progress; once its lease has expired, any server may abort it.
    Pending { attempt_id: Uuid },
    /// The reservations of a checkout are being released.
    Aborting { attempt_id: Uuid },
    /// Paid, by that checkout.
    Paid { attempt_id: Uuid, epochs: Vec<i64> },
    /// What it captured is being reversed, which only goes forward.
    Reversing { attempt_id: Uuid, epochs: Vec<i64>, reversal: Reversal },
    /// It is gone; what remains tells which requests with an idempotency key changed it.
    Removed,
}

/// What becomes of what a paid order captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum Reversal {
    /// It is refunded.
    Cancel,
    /// It is written off, because fixtures replace the order.
    WriteOff,
}

/// A transition of an order by an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) enum OrderTransition {
    /// Begin a checkout.
    Begin,
    /// The order is paid: everything is reserved, in these epochs of the user and of each item.
    Commit { epochs: Vec<i64> },
    /// Abort a checkout.
    Abort,
    /// Everything is released or reversed.
    Reopen,
    /// Reverse what the checkout `of` captured.
    Reverse { reversal: Reversal, of: Uuid },
}

/// What a transition makes of an order as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::db) enum TransitionOutcome {
    /// Write this in place of what was read, if it has not changed since.
    Change(OrderState),
    /// It was done before.
    AlreadyDone,
    /// The attempt does not own the order, not yet or not any more.
    NotOwner,
}

/// Decides a transition of an attempt.
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
            TransitionOutcome::AlreadyDone
        }
        (OrderTransition::Reopen, _) => TransitionOutcome::AlreadyDone,
        _ => TransitionOutcome::NotOwner,
    }
}

/// What an order of these lines costs.
pub(in crate::db) fn cost(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.cost.signed()).sum()
}

/// What a checkout reserves of each participant: the user's credit, then each item's stock.
pub(in crate::db) fn amounts(lines: &[Line]) -> Vec<i64> {
    let quantities = lines.iter().map(|line| line.quantity.signed());
    std::iter::once(cost(lines)).chain(quantities).collect()
}

impl OrderTransition {
    /// Whether it makes the attempt the owner. It may only change the version that was read before
    /// the attempt was recorded: recovery fences an attempt by writing another version.
    pub(in crate::db) const fn takes_ownership(&self) -> bool {
        matches!(self, Self::Begin | Self::Reverse { .. })
    }

    /// Whether the attempt goes only forward from here: what its request asked for is done.
    pub(in crate::db) const fn is_commit_point(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::Reverse { .. })
    }
}

impl OrderState {
    /// The attempt that other writes to the order wait for.
    pub(in crate::db) const fn attempt_in_progress(&self) -> Option<Uuid> {
        match self {
            Self::Open | Self::Paid { .. } | Self::Removed => None,
            _ => self.attempt_id(),
        }
    }

    /// The attempt that owns the order, or that paid it.
    pub(in crate::db) const fn attempt_id(&self) -> Option<Uuid> {
        match self {
            Self::Open | Self::Removed => None,
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
    fn a_transition_of_another_attempt_changes_nothing() {
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
            TransitionOutcome::AlreadyDone
        );
    }

    #[test]
    fn a_transition_that_was_done_is_not_done_again() {
        let attempt_id = Uuid::from_u128(1);
        let begin = OrderTransition::Begin;
        let TransitionOutcome::Change(pending) =
            transition_of(&OrderState::Open, attempt_id, &begin)
        else {
            panic!()
        };
        assert_eq!(transition_of(&pending, attempt_id, &begin), TransitionOutcome::AlreadyDone);
        let commit = OrderTransition::Commit { epochs: vec![0, 1] };
        let TransitionOutcome::Change(paid) = transition_of(&pending, attempt_id, &commit) else {
            panic!()
        };
        assert_eq!(transition_of(&paid, attempt_id, &commit), TransitionOutcome::AlreadyDone);
        assert_eq!(
            transition_of(&paid, attempt_id, &OrderTransition::Abort),
            TransitionOutcome::NotOwner
        );
    }
}
