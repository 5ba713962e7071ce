//! What one worker reports of one second of its run.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::times::Times;

/// Identifies this process among those of all workers.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::now_v7);

/// The identity of this process in [`WorkerWindow::process`].
#[must_use]
pub fn this_process() -> Uuid {
    *PROCESS
}

/// The transactions of one worker that were due in one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerWindow {
    /// Which of the job's workers, from 0.
    pub worker: u8,
    /// From the start of the job, from 0.
    pub second: u16,
    /// Whether everything in it has ended.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Reads.
    pub read: WorkerSide,
    /// Writes.
    pub write: WorkerSide,
    /// How late the transactions were sent, of those that have ended.
    pub lag: Times,
    /// The process that the worker is part of: workers of one process have their processor time in common.
    pub process: Uuid,
    /// Share of one processor that the process used in this second.
    pub cpu: f64,
}

/// Reads or writes of one worker that were due in one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerSide {
    /// Succeeded.
    pub ok: u64,
    /// Failed, by kind (see [`super::target::FailureKind`]).
    pub errors: BTreeMap<String, u64>,
    /// Not sent, because too many were under way.
    pub unsent: u64,
    /// Not ended yet; 0 in a final window.
    pub pending: u64,
    /// Sum of the times of all that ended.
    pub micros: u64,
    /// The times of all that ended.
    pub times: Times,
}

impl WorkerSide {
    /// Ended in any other way than with success.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Ended in any way.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.failed()
    }

    /// Due.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.ended() + self.unsent + self.pending
    }

    /// Adds the transactions of another.
    pub fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.unsent += other.unsent;
        self.pending += other.pending;
        self.micros += other.micros;
        self.times.merge(&other.times);
    }
}
