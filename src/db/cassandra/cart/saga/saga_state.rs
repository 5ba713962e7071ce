//! The saga of a checkout, or of its undoing, over the partitions of an order, its user and its
//! items: which step comes next. Pure: `run` carries the steps out, `saga_model` tries every order
//! in which they may meet.
//!
//! A checkout first takes the order (`Begin`), then reserves: the user's credit, then each item's
//! stock, ascending, so that checkouts never wait for each other in a circle. `Commit` is the point
//! of no return; what follows it, settling, only turns what is reserved into what is captured. Before it
//! all can be undone: the order is marked, each partition releases what it holds or is told never
//! to hold it, and the order opens. Whoever finds an attempt whose lease is over goes on where it
//! stands, whoever else does so too.

use uuid::Uuid;

use super::balance::{AccountOp, Expected};
use super::order_state::{OrderState, OrderTransition, Reversal};

/// An attempt's way, as far as it has come. Part 0 is the user, the others are the items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) struct SagaState {
    attempt_id: Uuid,
    /// What is wanted of each part.
    amounts: Vec<i64>,
    stage: Stage,
    /// Parts that the stage has still to do.
    remaining: Vec<usize>,
    /// The epoch in which each part was reserved.
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
    /// A paid order's checkout is settled before it is undone.
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

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::db) enum SagaStep {
    /// Change the order.
    OrderTransition(OrderTransition),
    /// Change these parts under the op_id's id, in any order, also at once.
    AccountOps { op_id: Uuid, ops: Vec<(usize, AccountOp)> },
    /// Nothing.
    End(SagaOutcome),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum SagaOutcome {
    /// As it was meant to: paid, or undone.
    Completed,
    /// A part refused, and nothing has changed.
    Refused(usize, RefusalReason),
    /// It took too long, and nothing has changed.
    TimedOut,
    /// Somebody else has ended it, or ends it: the order tells how it stands.
    NotOwner,
}

/// Why a part refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum RefusalReason {
    Missing,
    Insufficient,
    Overflow,
}

/// What became of a part's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) enum OpOutcome {
    /// It is done, in that epoch of the part.
    Done {
        epoch: i64,
    },
    Refused(RefusalReason),
    /// The attempt was released by somebody else.
    Fenced,
    /// What is reserved did not return in time, or others were in the way all the time.
    TimedOut,
}

impl SagaState {
    /// A new checkout.
    pub(in crate::db) fn checkout(attempt_id: Uuid, amounts: Vec<i64>) -> Self {
        Self::at(Stage::Begin, attempt_id, amounts, Vec::new())
    }

    /// The undoing of what the checkout `of` took, in those epochs.
    pub(in crate::db) fn reversal(
        attempt_id: Uuid,
        (of, epochs): (Uuid, Vec<i64>),
        reversal: Reversal,
        amounts: Vec<i64>,
    ) -> Self {
        Self::at(Stage::CaptureOf { of, reversal }, attempt_id, amounts, epochs)
    }

    /// The rest of an attempt that somebody else began and whose lease is over; `None` if it is
    /// not in its hands.
    pub(in crate::db) fn resume(
        state: &OrderState,
        attempt_id: Uuid,
        amounts: Vec<i64>,
    ) -> Option<Self> {
        let (stage, epochs) = match state {
            _ if state.attempt_id() != Some(attempt_id) => return None,
            OrderState::Open => return None,
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

    #[cfg(test)]
    pub(in crate::db) const fn attempt_id(&self) -> Uuid {
        self.attempt_id
    }

    /// The next step.
    pub(in crate::db) fn step(&self) -> SagaStep {
        match &self.stage {
            Stage::Begin => SagaStep::OrderTransition(OrderTransition::Begin),
            // One after the other.
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

    /// Whether the order is paid and only settling is left.
    pub(in crate::db) fn is_capturing(&self) -> bool {
        self.stage == Stage::Capture
    }

    /// Whether the attempt has still to be decided about, which its owner's lease limits.
    pub(in crate::db) const fn is_before_commit(&self) -> bool {
        matches!(self.stage, Stage::Begin | Stage::Reserve | Stage::Commit)
    }

    /// The row of the attempt that its owner expects to find in a part.
    pub(in crate::db) fn expected(&self, participant: usize) -> Option<Expected> {
        match self.stage {
            Stage::Reserve | Stage::Reverse(_) => Some(Expected::NoRecord),
            Stage::Capture | Stage::Release if participant < self.epochs.len() => {
                Some(Expected::Reserved(self.amounts[participant]))
            }
            _ => None,
        }
    }

    /// The order's transition was done, or the order was found elsewhere.
    pub(in crate::db) fn on_transition(&mut self, done: bool) {
        self.stage = match (&self.stage, done) {
            (Stage::Begin, true) => Stage::Reserve,
            (Stage::Commit, true) => Stage::Capture,
            (Stage::Abort, true) => Stage::Release,
            // Whoever took an attempt from its owner opens the order when all is released.
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

    /// A part's move has come to this.
    pub(in crate::db) fn on_op(&mut self, participant: usize, outcome: OpOutcome) {
        match outcome {
            OpOutcome::Done { epoch } => {
                if self.stage == Stage::Reserve {
                    self.epochs.push(epoch);
                }
                self.remaining.retain(|remaining| *remaining != participant);
                self.advance();
            }
            // What was refused is not reserved here: it is left out.
            OpOutcome::Refused(why) => {
                self.abort(participant, SagaOutcome::Refused(participant, why))
            }
            // It may still come to be reserved here.
            OpOutcome::TimedOut => self.abort(participant + 1, SagaOutcome::TimedOut),
            OpOutcome::Fenced => self.lose_ownership(),
        }
    }

    /// There is no time left to decide: undo what was done.
    pub(in crate::db) fn give_up(&mut self) {
        self.abort(self.amounts.len(), SagaOutcome::TimedOut);
    }

    /// The attempt was captured away. Whoever did that releases what is reserved, but may have come to a
    /// part before it was there to be told.
    fn lose_ownership(&mut self) {
        self.outcome = SagaOutcome::NotOwner;
        (self.stage, self.remaining) = (Stage::Release, (0..self.epochs.len()).collect());
        self.advance();
    }

    fn abort(&mut self, participants: usize, outcome: SagaOutcome) {
        (self.stage, self.outcome, self.remaining) =
            (Stage::Abort, outcome, (0..participants).collect());
    }

    /// Goes on to the next stage where this one has no parts left.
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
    fn unless_completed(self, other: Self) -> Self {
        if self == Self::Completed { other } else { self }
    }
}
