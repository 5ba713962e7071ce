//! Counts and times of the transactions that have ended, by the second in which they were due.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thread_local::ThreadLocal;

use super::super::target::FailureKind;
use super::super::times::Times;
use super::super::worker_window::WorkerSide;

/// Reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SideKind {
    Read,
    Write,
}

/// Each thread of the runtime records into a part of its own, because a lock that all transactions share
/// would limit their rate. A part's lock is contended only while a window is made.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    parts: ThreadLocal<Mutex<Part>>,
}

/// By second; few at a time, because ended ones are forgotten.
type Part = BTreeMap<u16, SecondStats>;

/// What has ended of one second.
#[derive(Debug, Default)]
pub(super) struct SecondStats {
    pub(super) read: SideStats,
    pub(super) write: SideStats,
    /// How late they were sent.
    pub(super) lag: Times,
}

/// What has ended of one side of a second.
#[derive(Debug, Default)]
pub(super) struct SideStats {
    ok: u64,
    /// By number of the [`FailureKind`], so that recording allocates nothing.
    failed: [u64; FailureKind::ALL.len()],
    micros: u64,
    times: Times,
}

/// A transaction that has ended; times in microseconds.
pub(super) struct Ended {
    pub(super) second: u16,
    pub(super) side: SideKind,
    pub(super) lag: u64,
    pub(super) time: u64,
    pub(super) outcome: Result<(), FailureKind>,
}

impl Recorder {
    pub(super) fn record(&self, ended: &Ended) {
        let mut part = lock(self.parts.get_or_default());
        let second = part.entry(ended.second).or_default();
        second.lag.record(ended.lag);
        let side = match ended.side {
            SideKind::Read => &mut second.read,
            SideKind::Write => &mut second.write,
        };
        match ended.outcome {
            Ok(()) => side.ok += 1,
            Err(kind) => side.failed[kind as usize] += 1,
        }
        side.micros += ended.time;
        side.times.record(ended.time);
    }

    /// How many of a second have ended.
    pub(super) fn ended(&self, second: u16) -> u64 {
        let ended = |part: &Mutex<Part>| {
            lock(part).get(&second).map_or(0, |stats| stats.read.ended() + stats.write.ended())
        };
        self.parts.iter().map(ended).sum()
    }

    /// All that has ended of a second.
    pub(super) fn stats(&self, second: u16) -> SecondStats {
        let mut sum = SecondStats::default();
        for part in &self.parts {
            if let Some(stats) = lock(part).get(&second) {
                sum.merge(stats);
            }
        }
        sum
    }

    /// Frees the memory of a second of which everything has ended.
    pub(super) fn forget(&self, second: u16) {
        for part in &self.parts {
            lock(part).remove(&second);
        }
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SecondStats {
    fn merge(&mut self, other: &Self) {
        self.read.merge(&other.read);
        self.write.merge(&other.write);
        self.lag.merge(&other.lag);
    }
}

impl SideStats {
    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        for (sum, failed) in self.failed.iter_mut().zip(other.failed) {
            *sum += failed;
        }
        self.micros += other.micros;
        self.times.merge(&other.times);
    }

    fn ended(&self) -> u64 {
        self.ok + self.failed.iter().sum::<u64>()
    }

    /// The side of a window of which so many were due and so many not sent; the rest is pending.
    pub(super) fn into_side(self, offered: u64, unsent: u64) -> WorkerSide {
        let pending = offered.saturating_sub(self.ended() + unsent);
        let kinds = FailureKind::ALL.iter().zip(self.failed).filter(|(_, count)| *count > 0);
        WorkerSide {
            ok: self.ok,
            errors: kinds.map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
            unsent,
            pending,
            micros: self.micros,
            times: self.times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_threads_record_is_one_sum() {
        let recorder = Recorder::default();
        let outcomes = [Ok(()), Err(FailureKind::Missing), Err(FailureKind::Internal), Ok(())];
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let recorder = &recorder;
                scope.spawn(move || {
                    for (n, outcome) in (0..).zip(outcomes) {
                        let side = if n == 3 { SideKind::Write } else { SideKind::Read };
                        let ended = Ended { second: 3, side, lag: thread, time: 10 * n, outcome };
                        recorder.record(&ended);
                    }
                });
            }
        });
        assert_eq!((recorder.ended(3), recorder.ended(2)), (16, 0));
        let stats = recorder.stats(3);
        assert_eq!(stats.lag.count(), 16);
        let read = stats.read.into_side(20, 3);
        assert_eq!((read.ok, read.failed(), read.unsent, read.pending), (4, 8, 3, 5));
        let errors: Vec<_> = read.errors.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        assert_eq!(errors, [("internal", 4), ("missing", 4)]);
        assert_eq!((read.micros, read.times.count()), (120, 12));
        let write = stats.write.into_side(4, 0);
        assert_eq!((write.ok, write.pending, write.micros), (4, 0, 120));
        recorder.forget(3);
        assert_eq!(recorder.ended(3), 0);
    }

    #[test]
    fn a_failure_is_counted_under_the_number_of_its_kind() {
        for (number, kind) in FailureKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
    }
}
