//! The course of a checkout, or of its undoing, over the partitions of an order, its user and its
//! items: which step comes next. Pure: `run` carries the steps out, `saga_model` tries every order
//! in which they may meet.
//!
//! A checkout first takes the order (`Begin`), then reserves: the user's credit, then each item's
//! stock, ascending, so that checkouts never wait for each other in a circle. `Commit` is the point
//! of no return; what follows it, settling, only turns what is held into what is taken. Before it
//! all can be undone: the order is marked, each partition releases what it holds or is told never
//! to hold it, and the order opens. Whoever finds an attempt whose lease is over goes on where it
//! stands, whoever else does so too.

use uuid::Uuid;

use super::ledger::{Expected, Move};
use super::order::{State, Turn, Undo};

/// An attempt's way, as far as it has come. Part 0 is the user, the others are the items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Course {
    attempt: Uuid,
    /// What is wanted of each part.
    amounts: Vec<i64>,
    stage: Stage,
    /// Parts that the stage has still to do.
    left: Vec<usize>,
    /// The epoch in which each part was reserved.
    epochs: Vec<i64>,
    ending: Ending,
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
    Turn(Turn),
    /// Change these parts under the act's id, in any order, also at once.
    Parts { act: Uuid, moves: Vec<(usize, Move)> },
    /// Nothing.
    End(Ending),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// As it was meant to: paid, or undone.
    Well,
    /// A part refused, and nothing has changed.
    Refused(usize, Short),
    /// It took too long, and nothing has changed.
    GaveUp,
    /// Somebody else has ended it, or ends it: the order tells how it stands.
    Elsewhere,
}

/// Why a part refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Short {
    Missing,
    TooLittle,
    TooMuch,
}

/// What became of a part's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moved {
    /// It is done, in that epoch of the part.
    Done {
        epoch: i64,
    },
    Refused(Short),
    /// The attempt was released by somebody else.
    Fenced,
    /// What is held did not return in time, or others were in the way all the time.
    GaveUp,
}

impl Course {
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
        Self { attempt, amounts, stage, left, epochs, ending: Ending::Well }
    }

    #[cfg(test)]
    pub(super) const fn attempt(&self) -> Uuid {
        self.attempt
    }

    /// The next step.
    pub(super) fn step(&self) -> Step {
        match &self.stage {
            Stage::Begin => Step::Turn(Turn::Begin),
            // One after the other.
            Stage::Reserve => self.parts(self.attempt, &self.left[..1]),
            Stage::Commit => Step::Turn(Turn::Commit { epochs: self.epochs.clone() }),
            Stage::Abort => Step::Turn(Turn::Abort),
            Stage::SettleOf { of, .. } => self.parts(*of, &self.left),
            Stage::Settle | Stage::Release | Stage::Undo(_) => self.parts(self.attempt, &self.left),
            Stage::TakeOver { of, how } => Step::Turn(Turn::Undo { how: *how, of: *of }),
            Stage::Reopen => Step::Turn(Turn::Reopen),
            Stage::Ended => Step::End(self.ending),
        }
    }

    fn parts(&self, act: Uuid, parts: &[usize]) -> Step {
        Step::Parts { act, moves: parts.iter().map(|part| (*part, self.move_of(*part))).collect() }
    }

    fn move_of(&self, part: usize) -> Move {
        let (amount, epoch) = (self.amounts[part], self.epochs.get(part).copied().unwrap_or(0));
        match self.stage {
            Stage::Reserve => Move::Reserve(amount),
            Stage::Release => Move::Release,
            Stage::Undo(Undo::Cancel) => Move::Return { amount, epoch },
            Stage::Undo(Undo::Erase) => Move::Erase { amount, epoch },
            _ => Move::Settle,
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

    /// The order's turn was done, or the order was found elsewhere.
    pub(super) fn turned(&mut self, done: bool) {
        self.stage = match (&self.stage, done) {
            (Stage::Begin, true) => Stage::Reserve,
            (Stage::Commit, true) => Stage::Settle,
            (Stage::Abort, true) => Stage::Release,
            // Whoever took an attempt from its owner opens the order when all is released.
            (Stage::Abort, false) => return self.end(self.ending.unless_well(Ending::Elsewhere)),
            (Stage::TakeOver { how, .. }, true) => Stage::Undo(*how),
            (Stage::Commit, false) => return self.forsake(),
            (Stage::Reopen, _) => return self.end(self.ending),
            _ => return self.end(Ending::Elsewhere),
        };
        if matches!(self.stage, Stage::Settle | Stage::Undo(_)) {
            self.left = (0..self.amounts.len()).collect();
        }
        self.pass();
    }

    /// A part's move has come to this.
    pub(super) fn moved(&mut self, part: usize, moved: Moved) {
        match moved {
            Moved::Done { epoch } => {
                if self.stage == Stage::Reserve {
                    self.epochs.push(epoch);
                }
                self.left.retain(|left| *left != part);
                self.pass();
            }
            // What was refused is not held here: it is left out.
            Moved::Refused(why) => self.abort(part, Ending::Refused(part, why)),
            // It may still come to be held here.
            Moved::GaveUp => self.abort(part + 1, Ending::GaveUp),
            Moved::Fenced => self.forsake(),
        }
    }

    /// There is no time left to decide: undo what was done.
    pub(super) fn give_up(&mut self) {
        self.abort(self.amounts.len(), Ending::GaveUp);
    }

    /// The attempt was taken away. Whoever did that releases what is held, but may have come to a
    /// part before it was there to be told.
    fn forsake(&mut self) {
        self.ending = Ending::Elsewhere;
        (self.stage, self.left) = (Stage::Release, (0..self.epochs.len()).collect());
        self.pass();
    }

    fn abort(&mut self, parts: usize, ending: Ending) {
        (self.stage, self.ending, self.left) = (Stage::Abort, ending, (0..parts).collect());
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

    fn end(&mut self, ending: Ending) {
        (self.stage, self.ending) = (Stage::Ended, ending);
    }
}

impl Ending {
    fn unless_well(self, other: Self) -> Self {
        if self == Self::Well { other } else { self }
    }
}
