//! The saga of one attempt, a checkout or the reversal of one: which step comes next, given how the
//! steps before it ended. Pure: `runner` carries the steps out; `model_check` tries every order in
//! which steps of several servers can meet.
//!
//! A checkout runs `Begin` (the order becomes pending), `Reserve` (the user's credit, then each
//! item's stock), `Commit` (the order becomes paid) and `Capture` (reserved becomes captured).
//! `Commit` is the commit point: before it every step can be compensated, by `Abort`, `Release` of
//! each reservation and `Reopen`; after it the attempt only goes forward. `Begin` comes before any
//! reservation, so that recovery finds the owner of every reservation in the order, and `Release`
//! before `Reopen`, so that an open order has no reservation left. Any server may run any step of an
//! attempt whose lease has expired; a step that was done before does nothing.
//!
//! An attempt can be given up before its commit point only (a reversal's is `BeginReversal`). What
//! runs out of time after it is not over: the attempt keeps its stage and stays in the pending index.

use uuid::Uuid;

use super::balance::{AccountOp, Expected, OpOutcome, RefusalReason};
use super::order_state::{OrderState, OrderTransition, Reversal};

/// The progress of one attempt. Participant 0 is the user, the others are the items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) struct SagaState {
    attempt_id: Uuid,
    /// What each participant is to give.
    amounts: Vec<i64>,
    stage: Stage,
    /// Participants whose operation of this stage is not done yet.
    remaining: Vec<usize>,
    /// The epoch in which each participant reserved.
    epochs: Vec<i64>,
    outcome: SagaOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Stage {
    Begin,
    Reserve,
    Commit,
    Capture,
    Abort,
    Release,
    /// Captures what the checkout `of` reserved before it is reversed: only captured amounts can be.
    CaptureOf {
        of: Uuid,
        reversal: Reversal,
    },
    BeginReversal {
        of: Uuid,
        reversal: Reversal,
    },
    Reverse(Reversal),
    Reopen,
    Ended,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::db) enum SagaStep {
    /// Change the order.
    OrderTransition(OrderTransition),
    /// Run these operations, each on its participant, in any order, also at once.
    AccountOps { op_id: Uuid, ops: Vec<(usize, AccountOp)> },
    /// Nothing is left to do.
    End(SagaOutcome),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum SagaOutcome {
    /// Paid, or reversed.
    Completed,
    /// A participant refused; everything before it was compensated.
    Refused(usize, RefusalReason),
    /// It took too long; everything was compensated.
    TimedOut,
    /// Another server has taken the attempt over: the order tells the outcome.
    NotOwner,
}

impl SagaState {
    /// A new checkout.
    pub(in crate::db) fn checkout(attempt_id: Uuid, amounts: Vec<i64>) -> Self {
        Self::at(Stage::Begin, attempt_id, amounts, Vec::new())
    }

    /// The reversal of what the checkout `of` captured, in those epochs.
    pub(in crate::db) fn reversal(
        attempt_id: Uuid,
        (of, epochs): (Uuid, Vec<i64>),
        reversal: Reversal,
        amounts: Vec<i64>,
    ) -> Self {
        Self::at(Stage::CaptureOf { of, reversal }, attempt_id, amounts, epochs)
    }

    /// The rest of an attempt whose lease has expired, for recovery; `None` if it does not own the
    /// order.
    pub(in crate::db) fn resume(
        state: &OrderState,
        attempt_id: Uuid,
        amounts: Vec<i64>,
    ) -> Option<Self> {
        let (stage, epochs) = match state {
            _ if state.attempt_id() != Some(attempt_id) => return None,
            OrderState::Open | OrderState::Removed => return None,
            OrderState::Pending { .. } => (Stage::Abort, &[][..]),
            OrderState::Aborting { .. } => (Stage::Release, &[][..]),
            OrderState::Paid { .. } => (Stage::Capture, &[][..]),
            OrderState::Reversing { epochs, reversal, .. } => {
                (Stage::Reverse(*reversal), epochs.as_slice())
            }
        };
        Some(Self::at(stage, attempt_id, amounts, epochs.to_vec()))
    }

    fn at(stage: Stage, attempt_id: Uuid, amounts: Vec<i64>, epochs: Vec<i64>) -> Self {
        let remaining = (0..amounts.len()).collect();
        Self { attempt_id, amounts, stage, remaining, epochs, outcome: SagaOutcome::Completed }
    }

    /// The next step.
    pub(in crate::db) fn step(&self) -> SagaStep {
        match &self.stage {
            Stage::Begin => SagaStep::OrderTransition(OrderTransition::Begin),
            // In one fixed order (user, then items ascending), so that checkouts that wait for
            // each other's reservations never form a cycle.
            Stage::Reserve => self.participants(self.attempt_id, &self.remaining[..1]),
            Stage::Commit => {
                SagaStep::OrderTransition(OrderTransition::Commit { epochs: self.epochs.clone() })
            }
            Stage::Abort => SagaStep::OrderTransition(OrderTransition::Abort),
            Stage::CaptureOf { of, .. } => self.participants(*of, &self.remaining),
            Stage::Capture | Stage::Release | Stage::Reverse(_) => {
                self.participants(self.attempt_id, &self.remaining)
            }
            Stage::BeginReversal { of, reversal } => {
                SagaStep::OrderTransition(OrderTransition::Reverse { reversal: *reversal, of: *of })
            }
            Stage::Reopen => SagaStep::OrderTransition(OrderTransition::Reopen),
            Stage::Ended => SagaStep::End(self.outcome),
        }
    }

    fn participants(&self, op_id: Uuid, participants: &[usize]) -> SagaStep {
        SagaStep::AccountOps {
            op_id,
            ops: participants
                .iter()
                .map(|participant| (*participant, self.op_of(*participant)))
                .collect(),
        }
    }

    fn op_of(&self, participant: usize) -> AccountOp {
        let (amount, epoch) =
            (self.amounts[participant], self.epochs.get(participant).copied().unwrap_or(0));
        match self.stage {
            Stage::Reserve => AccountOp::Reserve(amount),
            Stage::Release => AccountOp::Release,
            Stage::Reverse(Reversal::Cancel) => AccountOp::Refund { amount, epoch },
            Stage::Reverse(Reversal::WriteOff) => AccountOp::WriteOff { amount, epoch },
            _ => AccountOp::Capture,
        }
    }

    /// Whether the order is paid and only the captures are left.
    pub(in crate::db) fn is_capturing(&self) -> bool {
        self.stage == Stage::Capture
    }

    /// Whether it has not reached its commit point, so that its owner may still give up.
    pub(in crate::db) const fn may_give_up(&self) -> bool {
        matches!(
            self.stage,
            Stage::Begin
                | Stage::Reserve
                | Stage::Commit
                | Stage::CaptureOf { .. }
                | Stage::BeginReversal { .. }
        )
    }

    /// The record of the attempt that its owner expects to find at a participant.
    pub(in crate::db) fn expected(&self, participant: usize) -> Option<Expected> {
        match self.stage {
            Stage::Reserve | Stage::Reverse(_) => Some(Expected::NoRecord),
            Stage::Capture | Stage::Release if participant < self.epochs.len() => {
                Some(Expected::Reserved(self.amounts[participant]))
            }
            _ => None,
        }
    }

    /// Takes in whether the transition was done; if not, the attempt does not own the order.
    pub(in crate::db) fn on_transition(&mut self, done: bool) {
        self.stage = match (&self.stage, done) {
            (Stage::Begin, true) => Stage::Reserve,
            (Stage::Commit, true) => Stage::Capture,
            (Stage::Abort, true) => Stage::Release,
            // The server that took the attempt over reopens the order.
            (Stage::Abort, false) => {
                return self.end(self.outcome.unless_completed(SagaOutcome::NotOwner));
            }
            (Stage::BeginReversal { reversal, .. }, true) => Stage::Reverse(*reversal),
            (Stage::Commit, false) => return self.lose_ownership(),
            (Stage::Reopen, _) => return self.end(self.outcome),
            _ => return self.end(SagaOutcome::NotOwner),
        };
        if matches!(self.stage, Stage::Capture | Stage::Reverse(_)) {
            self.remaining = (0..self.amounts.len()).collect();
        }
        self.advance();
    }

    /// Takes in how an operation ended. `false`: nothing has changed, because an operation of this
    /// stage must be done, however long it takes.
    #[must_use]
    pub(in crate::db) fn on_op(&mut self, participant: usize, outcome: OpOutcome) -> bool {
        match (&self.stage, outcome) {
            (_, OpOutcome::Done { epoch, .. }) => {
                if self.stage == Stage::Reserve {
                    self.epochs.push(epoch);
                }
                self.remaining.retain(|remaining| *remaining != participant);
                self.advance();
            }
            // A refused participant reserved nothing, so nothing is released there.
            (Stage::Reserve, OpOutcome::Refused(why)) => {
                self.abort(participant, SagaOutcome::Refused(participant, why))
            }
            // A write whose answer is unknown may still reserve here, so it is released too.
            (Stage::Reserve, OpOutcome::TimedOut) => {
                self.abort(participant + 1, SagaOutcome::TimedOut)
            }
            (Stage::Reserve, OpOutcome::Fenced) => self.lose_ownership(),
            // The reversal itself has changed nothing yet.
            (Stage::CaptureOf { .. }, OpOutcome::TimedOut) => self.end(SagaOutcome::TimedOut),
            // It gave up already, by the answer of another participant.
            (Stage::Ended, OpOutcome::TimedOut) => {}
            _ => return false,
        }
        true
    }

    /// Compensates everything: there is no time left to commit.
    pub(in crate::db) fn give_up(&mut self) {
        self.abort(self.amounts.len(), SagaOutcome::TimedOut);
    }

    /// Another server has aborted the attempt. It releases what it finds reserved, but may have
    /// reached a participant before the reservation arrived there, so the owner releases as well.
    fn lose_ownership(&mut self) {
        self.outcome = SagaOutcome::NotOwner;
        (self.stage, self.remaining) = (Stage::Release, (0..self.epochs.len()).collect());
        self.advance();
    }

    fn abort(&mut self, participants: usize, outcome: SagaOutcome) {
        (self.stage, self.outcome, self.remaining) =
            (Stage::Abort, outcome, (0..participants).collect());
    }

    /// Goes on to the next stage when no participant of this one is left.
    fn advance(&mut self) {
        if !self.remaining.is_empty() {
            return;
        }
        self.stage = match self.stage {
            Stage::Reserve => Stage::Commit,
            Stage::Capture => Stage::Ended,
            Stage::Release | Stage::Reverse(_) => Stage::Reopen,
            Stage::CaptureOf { of, reversal } => Stage::BeginReversal { of, reversal },
            _ => return,
        };
    }

    fn end(&mut self, outcome: SagaOutcome) {
        (self.stage, self.outcome) = (Stage::Ended, outcome);
    }
}

impl SagaOutcome {
    /// Whether the record of the attempt must stay in the pending index. One that may own the order
    /// but was taken over stays: its record is what leads recovery to it.
    pub(in crate::db) fn is_left_to_recovery(self, may_own_order: bool) -> bool {
        self == Self::NotOwner && may_own_order
    }

    fn unless_completed(self, other: Self) -> Self {
        if self == Self::Completed { other } else { self }
    }
}
