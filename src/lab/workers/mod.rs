//! Where the workers of a job run: in this process ([`in_process`]), or in others, which ask this one for work
//! ([`pool`], [`client`]). Not here: what a worker does ([`super::driver`]).

pub mod client;
pub mod in_process;
pub mod pool;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::driver::DriverOutcome;
use super::model::WorkerTask;
use super::worker_window::WorkerWindow;

/// Where workers run.
#[async_trait]
pub trait Workers: Send + Sync {
    /// Gets workers ready, one for each task, all of one job: each has its database open.
    ///
    /// # Errors
    /// A sentence that says why there are none.
    async fn prepare(&self, tasks: Vec<WorkerTask>) -> Result<Vec<Box<dyn ReadyWorker>>, String>;
}

/// A worker that waits for the start.
#[async_trait]
pub trait ReadyWorker: Send {
    /// Runs its task from that moment, to its end or until `stop`, and sends its windows.
    ///
    /// # Errors
    /// A sentence that says why it ended early.
    async fn run(
        self: Box<Self>,
        start_at: Timestamp,
        windows: mpsc::Sender<WorkerWindow>,
        stop: CancellationToken,
    ) -> Result<DriverOutcome, String>;
}

/// A task that a worker elsewhere was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// Names it in further requests.
    pub(super) id: Uuid,
    /// What to do; `start_at` is told once all workers are ready.
    pub(super) task: WorkerTask,
}

/// Whether a worker is ready for its task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Readiness {
    /// Why it is not.
    pub(super) error: Option<String>,
}

/// The start of a task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Start {
    /// Milliseconds from now to second 0: the clocks of two machines need not agree.
    pub(super) starts_in_ms: u64,
}

/// The answer to a window.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Continue {
    /// Whether to end early.
    pub(super) stop: bool,
}
