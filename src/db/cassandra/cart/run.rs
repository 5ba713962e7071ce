//! Carrying out a course, step by step. Every step may be repeated, by anybody.

use tokio::time::Instant;
use uuid::Uuid;

use super::house::{Errand, House, again};
use super::ledger::Move;
use super::order::{Ruling, Turn, rule};
use super::pause::{Pause, patience};
use super::plan::Ask;
use super::rows::OrderRow;
use super::saga::{Course, Ending, Moved, Step};
use crate::db::storage::{Kind, StorageError};

impl House {
    /// Carries a course out to its end, or until the order is paid.
    pub(super) async fn drive(
        &self,
        errand: &mut Errand,
        course: &mut Course,
        to_the_end: bool,
    ) -> Result<Ending, StorageError> {
        loop {
            if course.is_settling() && !to_the_end {
                return Ok(Ending::Well);
            }
            if let Some(ending) = self.step(errand, course).await? {
                return Ok(ending);
            }
        }
    }

    /// Carries the next step out; the ending, if that was it.
    pub(super) async fn step(
        &self,
        errand: &mut Errand,
        course: &mut Course,
    ) -> Result<Option<Ending>, StorageError> {
        let until = if course.is_undecided() { errand.until } else { patience() };
        match course.step() {
            Step::End(ending) => return Ok(Some(ending)),
            Step::Turn(Turn::Commit { .. }) if Instant::now() > until => course.give_up(),
            Step::Turn(turn) => course.turned(self.turn(errand, &turn, until).await?),
            Step::Parts { act, moves } => self.parts(errand, course, act, &moves, until).await?,
        }
        Ok(None)
    }

    /// Whether the turn was done, now or before.
    async fn turn(
        &self,
        errand: &mut Errand,
        turn: &Turn,
        until: Instant,
    ) -> Result<bool, StorageError> {
        let (mut known, mut pause) = (errand.row.take(), Pause::new());
        loop {
            let certain = known.is_none();
            let row = match known.take() {
                Some(row) => Some(row),
                None => patiently(until, || self.orders.find(&errand.id, true)).await?,
            };
            let Some(row) = row else { return Ok(false) };
            match rule(&row.state, errand.attempt, turn) {
                Ruling::Change(_) if turn.takes() && row.stamp != errand.before => {
                    return Ok(false);
                }
                Ruling::Change(state) => {
                    let new = OrderRow { state, ..row.next() };
                    if self.replace(errand, &row, new, until).await? {
                        return Ok(true);
                    }
                    pause.wait().await;
                }
                ruling if certain => {
                    errand.row = Some(row);
                    return Ok(ruling == Ruling::Done);
                }
                // What was seen last may have changed since.
                _ => {}
            }
        }
    }

    /// Whether the order is `new` now; if not it is to be looked at again.
    async fn replace(
        &self,
        errand: &mut Errand,
        old: &OrderRow,
        new: OrderRow,
        until: Instant,
    ) -> Result<bool, StorageError> {
        match self.orders.replace(&errand.id, Some(old.stamp), &new).await {
            Ok(true) => {
                (errand.row, errand.began) = (Some(new), true);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                errand.began |= error.kind() == Kind::Timeout;
                again(error, until).map(|()| false)
            }
        }
    }

    async fn parts(
        &self,
        errand: &mut Errand,
        course: &mut Course,
        act: Uuid,
        moves: &[(usize, Move)],
        until: Instant,
    ) -> Result<(), StorageError> {
        let asks = moves.iter().map(|&(part, wanted)| {
            let ask = Ask { act, wanted, expected: course.expected(part), until };
            self.desks.ask(errand.parts[part].clone(), ask)
        });
        let answers = futures::future::join_all(asks).await;
        for (&(part, _), answer) in moves.iter().zip(answers) {
            match answer {
                Ok(moved) => course.moved(part, moved),
                // What was not decided is undone; the rest can only go forward, later.
                Err(error) if course.is_undecided() => {
                    errand.failure = Some(error);
                    course.moved(part, Moved::GaveUp);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Repeats what may be repeated while it fails and there is time.
async fn patiently<T, F>(until: Instant, work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut pause = Pause::new();
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => again(error, until)?,
        }
        pause.wait().await;
    }
}
