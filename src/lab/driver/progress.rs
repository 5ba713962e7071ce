//! How far the release has come: written by its thread, read where windows are made.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use super::recorder::SideKind;

/// Counts of one second of the release.
#[derive(Debug, Default)]
struct Released {
    sent: [AtomicU64; 2],
    unsent: [AtomicU64; 2],
    /// Of the process's processor time, in microseconds a second.
    cpu: AtomicU64,
}

/// The counts of all seconds.
#[derive(Debug)]
pub(super) struct Progress {
    seconds: Box<[Released]>,
    /// Seconds, from the first on, of which everything that was due is released.
    done: AtomicU16,
    /// Nothing is released any more.
    ended: AtomicBool,
}

impl Progress {
    pub(super) fn new(seconds: u16) -> Self {
        let seconds = (0..seconds).map(|_| Released::default()).collect();
        Self { seconds, done: AtomicU16::new(0), ended: AtomicBool::new(false) }
    }

    /// Seconds of a run that is not stopped.
    pub(super) fn seconds(&self) -> u16 {
        u16::try_from(self.seconds.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn add_sent(&self, second: u16, side: SideKind) {
        self.seconds[usize::from(second)].sent[side as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_unsent(&self, second: u16, side: SideKind) {
        self.seconds[usize::from(second)].unsent[side as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_cpu(&self, second: u16, share: f64) {
        self.seconds[usize::from(second)].cpu.store((share * 1e6) as u64, Ordering::Relaxed);
    }

    /// The seconds before `seconds` are released.
    pub(super) fn set_done(&self, seconds: u16) {
        // Orders the counts before it.
        self.done.store(seconds, Ordering::Release);
    }

    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether everything of that second that was due is released.
    pub(super) fn is_done(&self, second: u16) -> bool {
        second < self.done.load(Ordering::Acquire)
    }

    /// The number of seconds of the run, once nothing is released any more.
    pub(super) fn ended_after(&self) -> Option<u16> {
        self.ended.load(Ordering::Acquire).then(|| self.done.load(Ordering::Acquire))
    }

    pub(super) fn sent(&self, second: u16, side: SideKind) -> u64 {
        self.seconds[usize::from(second)].sent[side as usize].load(Ordering::Relaxed)
    }

    pub(super) fn unsent(&self, second: u16, side: SideKind) -> u64 {
        self.seconds[usize::from(second)].unsent[side as usize].load(Ordering::Relaxed)
    }

    pub(super) fn cpu(&self, second: u16) -> f64 {
        self.seconds[usize::from(second)].cpu.load(Ordering::Relaxed) as f64 / 1e6
    }
}
