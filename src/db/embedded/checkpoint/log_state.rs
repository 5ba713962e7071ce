//! What the writer and the checkpoint thread know of the log, and how one waits for the other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::CheckpointMetrics;

/// The longest pause between two groups while the writer is slowed down, whatever the estimate of the
/// checkpoint's speed says.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a hold waits for the end of a group, which may itself wait for another process.
const HOLD_WAIT: Duration = Duration::from_secs(1);

/// Sizes of the log, in pages, at which something is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Not yet copied: they are copied while the writer goes on.
    pub(super) copy: u32,
    /// In the log: it is to begin from its start again.
    pub(super) restart: u32,
    /// Not yet copied: so few that the writer is held until they are.
    pub(super) few: u32,
    /// In the log: from here on the writer is slowed down, the more the longer the log,
    pub(super) slow: u32,
    /// and here to half the speed of the checkpoint.
    pub(super) slowest: u32,
}

/// The log as the writer's commits and the checkpoints reported it. Other processes may have changed it
/// since: every checkpoint corrects it.
#[derive(Debug)]
pub(in crate::db::embedded) struct LogState {
    pub(super) limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
    metrics: CheckpointMetrics,
}

#[derive(Debug, Default)]
struct State {
    /// In the log.
    pages: u32,
    /// Of these, in the database's file as well.
    copied: u32,
    /// Grows when the log begins from its start, so that a checkpoint of the log before is not taken
    /// for one of this log.
    generation: u64,
    /// What a written page has to take at least; zero unless the writer is slowed down.
    page_time: Duration,
    /// Of the group that is written, or was written last.
    begun: Option<Instant>,
    /// When the next group may begin.
    next_group: Option<Instant>,
    in_group: bool,
    is_held: bool,
    is_stopping: bool,
}

/// How far a checkpoint came, as SQLite tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    pub(super) log: u32,
    pub(super) copied: u32,
}

impl LogState {
    pub(super) fn new(limits: Limits, metrics: CheckpointMetrics) -> Self {
        Self { limits, state: Mutex::default(), changed: Condvar::new(), metrics }
    }

    /// The writer begins a group, once nothing holds it.
    pub(in crate::db::embedded) fn begin_group(&self) -> Group<'_> {
        let arrived = Instant::now();
        let mut state = self.lock();
        let mut has_waited = false;
        loop {
            let pause = state.next_group.map(|at| at.saturating_duration_since(Instant::now()));
            state = match pause {
                _ if state.is_held => self.wait(state),
                Some(pause) if !pause.is_zero() => self.wait_for(state, pause),
                _ => break,
            };
            has_waited = true;
        }
        (state.begun, state.next_group, state.in_group) = (Some(Instant::now()), None, true);
        drop(state);
        if has_waited {
            self.metrics.held.observe(arrived.elapsed().as_secs_f64());
        }
        Group(self)
    }

    /// A commit of the writer left so many pages in the log.
    pub(super) fn committed(&self, pages: u32) {
        self.metrics.pages.set(pages.into());
        let mut state = self.lock();
        let added = pages.checked_sub(state.pages).unwrap_or_else(|| {
            (state.copied, state.generation) = (0, state.generation + 1);
            pages
        });
        state.pages = pages;
        let pause = state.begun.filter(|_| !state.page_time.is_zero()).map(|begun| {
            let due = begun + state.page_time.saturating_mul(added);
            due.min(Instant::now() + LONGEST_PAUSE)
        });
        state.next_group = pause;
        if state.has_work(&self.limits) {
            self.changed.notify_all();
        }
    }

    /// Waits at least that long, and until there is something to copy. False when the thread shall
    /// end.
    pub(super) fn wait_for_work(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        while !state.is_stopping {
            let pause = until.saturating_duration_since(Instant::now());
            state = if !pause.is_zero() {
                self.wait_for(state, pause)
            } else if state.has_work(&self.limits) {
                return true;
            } else {
                self.wait(state)
            };
        }
        false
    }

    /// Which log it is; asked before a checkpoint.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// A checkpoint of that log came so far. Returns how many pages it copied, and what is to be
    /// copied since.
    pub(super) fn copied(&self, generation: u64, outcome: Copied) -> (u32, Copied) {
        let mut state = self.lock();
        let mut advanced = outcome.copied;
        if state.generation == generation {
            advanced = outcome.copied.saturating_sub(state.copied);
            // Other processes write pages too.
            state.pages = state.pages.max(outcome.log);
            state.copied = outcome.copied;
        }
        (advanced, Copied { log: state.pages, copied: state.copied })
    }

    /// Slows the writer down so that a written page takes at least that long; zero lets it go.
    pub(super) fn slow_down(&self, page_time: Duration) {
        self.lock().page_time = page_time;
    }

    /// Holds the writer between two groups; `None` if a group does not end.
    pub(super) fn hold(&self) -> Option<Hold<'_>> {
        let until = Instant::now() + HOLD_WAIT;
        let mut state = self.lock();
        state.is_held = true;
        let hold = Hold(self);
        while state.in_group {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                // Before the hold ends, which takes the lock.
                drop(state);
                return None;
            }
            state = self.wait_for(state, wait);
        }
        drop(state);
        Some(hold)
    }

    #[cfg(test)]
    pub(super) fn is_held(&self) -> bool {
        self.lock().is_held
    }

    /// Ends the thread at its next look.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    fn has_work(&self, limits: &Limits) -> bool {
        let left = self.pages.saturating_sub(self.copied);
        left >= limits.copy || (left > 0 && self.pages >= limits.restart)
    }
}

/// A group of the writer, from its begin to its last answer.
#[derive(Debug)]
pub(in crate::db::embedded) struct Group<'a>(&'a LogState);

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_group = false;
        if state.is_held {
            self.0.changed.notify_all();
        }
    }
}

/// While it lives the writer begins no group.
#[derive(Debug)]
pub(super) struct Hold<'a>(&'a LogState);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.lock().is_held = false;
        self.0.changed.notify_all();
    }
}
