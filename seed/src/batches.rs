//! Runs of games, made on several threads and handed out in order.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::{Game, Generator};

/// Consecutive games, ascending.
#[derive(Debug)]
pub struct Batch {
    /// Numbers of the games in it, end exclusive. 64 bits, because the end may be 2^31.
    pub range: Range<i64>,
    /// The games, one for each number.
    pub games: Vec<Game>,
}

/// An iterator of batches that are made ahead on other threads, at most two a thread, so that
/// memory stays bounded however slow the consumer is. Dropping it ends the threads.
#[derive(Debug)]
pub struct Batches {
    makers: Vec<Receiver<Batch>>,
    turn: usize,
}

impl Batches {
    /// Starts `threads` makers (at least one) over `range`, cut into pieces of `size` (at least
    /// one); the last may be shorter. Numbers outside of `1..=i32::MAX` are the caller's mistake
    /// and are left out.
    #[must_use]
    pub fn new(generator: Generator, range: Range<i64>, size: usize, threads: usize) -> Self {
        let range = range.start.max(1)..range.end.min(i64::from(i32::MAX) + 1);
        let threads = threads.max(1);
        let makers =
            (0..threads).map(|n| spawn(generator, pieces(&range, size, n, threads))).collect();
        Self { makers, turn: 0 }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    /// The maker whose turn it is has the next piece; once it is done, so are all others.
    fn next(&mut self) -> Option<Batch> {
        let batch = self.makers[self.turn].recv().ok()?;
        self.turn = (self.turn + 1) % self.makers.len();
        Some(batch)
    }
}

/// Every `step`-th piece of the range, from the `first` on.
fn pieces(
    range: &Range<i64>,
    size: usize,
    first: usize,
    step: usize,
) -> impl Iterator<Item = Range<i64>> + use<> {
    let (size, end) = (i64::try_from(size.max(1)).unwrap_or(i64::MAX), range.end);
    let stride = size.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX));
    let mut start =
        range.start.saturating_add(size.saturating_mul(i64::try_from(first).unwrap_or(i64::MAX)));
    std::iter::from_fn(move || {
        let piece = (start < end).then(|| start..end.min(start.saturating_add(size)))?;
        start = start.saturating_add(stride);
        Some(piece)
    })
}

fn spawn(
    generator: Generator,
    pieces: impl Iterator<Item = Range<i64>> + Send + 'static,
) -> Receiver<Batch> {
    let (sender, receiver) = sync_channel(2);
    thread::spawn(move || {
        for range in pieces {
            let ids = range.clone().filter_map(|id| i32::try_from(id).ok());
            let games = ids.map(|id| generator.game(id)).collect();
            if sender.send(Batch { range, games }).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: Range<i64>, size: usize, threads: usize) -> Vec<i32> {
        Batches::new(Generator::new(3), range, size, threads)
            .flat_map(|batch| {
                assert_eq!(batch.games.len() as i64, batch.range.end - batch.range.start);
                batch.games
            })
            .map(|game| game.game_id)
            .collect()
    }

    #[test]
    fn every_number_comes_once_and_in_order_for_any_cut() {
        for (size, threads) in [(1, 1), (1, 3), (7, 2), (10, 4), (1000, 3), (0, 0)] {
            assert_eq!(ids(5..105, size, threads), (5..105).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_empty_range_has_no_batch() {
        assert!(ids(5..5, 10, 2).is_empty());
    }

    #[test]
    fn the_last_number_is_the_largest_int32() {
        let last = i64::from(i32::MAX);
        assert_eq!(ids(last - 1..last + 5, 10, 2), [i32::MAX - 1, i32::MAX]);
    }

    #[test]
    fn a_consumer_may_stop_early() {
        let mut batches = Batches::new(Generator::new(3), 1..1_000_000, 10, 4);
        assert_eq!(batches.next().map(|batch| batch.range), Some(1..11));
    }
}
