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
use super::order::{OrderTransition, State, Undo};

/// An attempt's way, as far as it has come. Part 0 is the user, the others are the items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SagaState {
    attempt: Uuid,
    /// What is wanted of each part.
    amounts: Vec<i64>,
    stage: Stage,
    /// Parts that the stage has still to do.
    left: Vec<usize>,
    /// The epoch in which each part was reserved.
    epochs: Vec<i64>,
    outcome: SagaOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Stage {
    Begin,
    Reserve,
    Commit,
    Settle,
    Abort,
    Release,
    /// A paid order's checkout is settled before it is undone.
    SettleOf {
        of: Uuid,
        how: Undo,
    },
    TakeOver {
        of: Uuid,
        how: Undo,
    },
    Undo(Undo),
    Reopen,
    Ended,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Change the order.
    OrderTransition(OrderTransition),
    /// Change these parts under the op_id's id, in any order, also at once.
    Parts { op_id: Uuid, moves: Vec<(usize, AccountOp)> },
    /// Nothing.
    End(SagaOutcome),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SagaOutcome {
    /// As it was meant to: paid, or undone.
    Well,
    /// A part refused, and nothing has changed.
    Refused(usize, RefusalReason),
    /// It took too long, and nothing has changed.
    GaveUp,
    /// Somebody else has ended it, or ends it: the order tells how it stands.
    Elsewhere,
}

/// Why a part refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RefusalReason {
    Missing,
    TooLittle,
    TooMuch,
}

/// What became of a part's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum OpOutcome {
    /// It is done, in that epoch of the part.
    Done {
        epoch: i64,
    },
    Refused(RefusalReason),
    /// The attempt was released by somebody else.
    Fenced,
    /// What is reserved did not return in time, or others were in the way all the time.
    GaveUp,
}

impl SagaState {
    /// A new checkout.
    pub(super) fn checkout(attempt: Uuid, amounts: Vec<i64>) -> Self {
        Self::at(Stage::Begin, attempt, amounts, Vec::new())
    }

    /// The undoing of what the checkout `of` took, in those epochs.
    pub(super) fn undo(
        attempt: Uuid,
        (of, epochs): (Uuid, Vec<i64>),
        how: Undo,
        amounts: Vec<i64>,
    ) -> Self {
        Self::at(Stage::SettleOf { of, how }, attempt, amounts, epochs)
    }

    /// The rest of an attempt that somebody else began and whose lease is over; `None` if it is
    /// not in its hands.
    pub(super) fn rest(state: &State, attempt: Uuid, amounts: Vec<i64>) -> Option<Self> {
        let (stage, epochs) = match state {
            _ if state.attempt() != Some(attempt) => return None,
            State::Open => return None,
            State::Pending { .. } => (Stage::Abort, &[][..]),
            State::Aborting { .. } => (Stage::Release, &[][..]),
            State::Paid { .. } => (Stage::Settle, &[][..]),
            State::Undoing { epochs, how, .. } => (Stage::Undo(*how), epochs.as_slice()),
        };
        Some(Self::at(stage, attempt, amounts, epochs.to_vec()))
    }

    fn at(stage: Stage, attempt: Uuid, amounts: Vec<i64>, epochs: Vec<i64>) -> Self {
        let left = (0..amounts.len()).collect();
        Self { attempt, amounts, stage, left, epochs, outcome: SagaOutcome::Well }
    }

    #[cfg(test)]
    pub(super) const fn attempt(&self) -> Uuid {
        self.attempt
    }

    /// The next step.
    pub(super) fn step(&self) -> Step {
        match &self.stage {
            Stage::Begin => Step::OrderTransition(OrderTransition::Begin),
            // One after the other.
            Stage::Reserve => self.parts(self.attempt, &self.left[..1]),
            Stage::Commit => {
                Step::OrderTransition(OrderTransition::Commit { epochs: self.epochs.clone() })
            }
            Stage::Abort => Step::OrderTransition(OrderTransition::Abort),
            Stage::SettleOf { of, .. } => self.parts(*of, &self.left),
            Stage::Settle | Stage::Release | Stage::Undo(_) => self.parts(self.attempt, &self.left),
            Stage::TakeOver { of, how } => {
                Step::OrderTransition(OrderTransition::Undo { how: *how, of: *of })
            }
            Stage::Reopen => Step::OrderTransition(OrderTransition::Reopen),
            Stage::Ended => Step::End(self.outcome),
        }
    }

    fn parts(&self, op_id: Uuid, parts: &[usize]) -> Step {
        Step::Parts {
            op_id,
            moves: parts.iter().map(|part| (*part, self.move_of(*part))).collect(),
        }
    }

    fn move_of(&self, part: usize) -> AccountOp {
        let (amount, epoch) = (self.amounts[part], self.epochs.get(part).copied().unwrap_or(0));
        match self.stage {
            Stage::Reserve => AccountOp::Reserve(amount),
            Stage::Release => AccountOp::Release,
            Stage::Undo(Undo::Cancel) => AccountOp::Return { amount, epoch },
            Stage::Undo(Undo::Erase) => AccountOp::Erase { amount, epoch },
            _ => AccountOp::Settle,
        }
    }

    /// Whether the order is paid and only settling is left.
    pub(super) fn is_settling(&self) -> bool {
        self.stage == Stage::Settle
    }

    /// Whether the attempt has still to be decided about, which its owner's lease limits.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Begin | Stage::Reserve | Stage::Commit)
    }

    /// The row of the attempt that its owner expects to find in a part.
    pub(super) fn expected(&self, part: usize) -> Option<Expected> {
        match self.stage {
            Stage::Reserve | Stage::Undo(_) => Some(Expected::Nothing),
            Stage::Settle | Stage::Release if part < self.epochs.len() => {
                Some(Expected::Reserved(self.amounts[part]))
            }
            _ => None,
        }
    }

    /// The order's transition was done, or the order was found elsewhere.
    pub(super) fn turned(&mut self, done: bool) {
        self.stage = match (&self.stage, done) {
            (Stage::Begin, true) => Stage::Reserve,
            (Stage::Commit, true) => Stage::Settle,
            (Stage::Abort, true) => Stage::Release,
            // Whoever took an attempt from its owner opens the order when all is released.
            (Stage::Abort, false) => {
                return self.end(self.outcome.unless_well(SagaOutcome::Elsewhere));
            }
            (Stage::TakeOver { how, .. }, true) => Stage::Undo(*how),
            (Stage::Commit, false) => return self.lose_ownership(),
            (Stage::Reopen, _) => return self.end(self.outcome),
            _ => return self.end(SagaOutcome::Elsewhere),
        };
        if matches!(self.stage, Stage::Settle | Stage::Undo(_)) {
            self.left = (0..self.amounts.len()).collect();
        }
        self.pass();
    }

    /// A part's move has come to this.
    pub(super) fn moved(&mut self, part: usize, moved: OpOutcome) {
        match moved {
            OpOutcome::Done { epoch } => {
                if self.stage == Stage::Reserve {
                    self.epochs.push(epoch);
                }
                self.left.retain(|left| *left != part);
                self.pass();
            }
            // What was refused is not reserved here: it is left out.
            OpOutcome::Refused(why) => self.abort(part, SagaOutcome::Refused(part, why)),
            // It may still come to be reserved here.
            OpOutcome::GaveUp => self.abort(part + 1, SagaOutcome::GaveUp),
            OpOutcome::Fenced => self.lose_ownership(),
        }
    }

    /// There is no time left to decide: undo what was done.
    pub(super) fn give_up(&mut self) {
        self.abort(self.amounts.len(), SagaOutcome::GaveUp);
    }

    /// The attempt was captured away. Whoever did that releases what is reserved, but may have come to a
    /// part before it was there to be told.
    fn lose_ownership(&mut self) {
        self.outcome = SagaOutcome::Elsewhere;
        (self.stage, self.left) = (Stage::Release, (0..self.epochs.len()).collect());
        self.pass();
    }

    fn abort(&mut self, parts: usize, outcome: SagaOutcome) {
        (self.stage, self.outcome, self.left) = (Stage::Abort, outcome, (0..parts).collect());
    }

    /// Goes on to the next stage where this one has no parts left.
    fn pass(&mut self) {
        if !self.left.is_empty() {
            return;
        }
        self.stage = match self.stage {
            Stage::Reserve => Stage::Commit,
            Stage::Settle => Stage::Ended,
            Stage::Release | Stage::Undo(_) => Stage::Reopen,
            Stage::SettleOf { of, how } => Stage::TakeOver { of, how },
            _ => return,
        };
    }

    fn end(&mut self, outcome: SagaOutcome) {
        (self.stage, self.outcome) = (Stage::Ended, outcome);
    }
}

impl SagaOutcome {
    fn unless_well(self, other: Self) -> Self {
        if self == Self::Well { other } else { self }
    }
}
