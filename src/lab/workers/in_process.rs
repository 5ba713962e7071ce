//! Workers in this process, which share one open database.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ReadyWorker, Workers};
use crate::lab::driver::{self, DriverOutcome};
use crate::lab::model::WorkerTask;
use crate::lab::target::dry::DryTarget;
use crate::lab::target::{self, LoadTarget};
use crate::lab::worker_window::WorkerWindow;
use crate::telemetry::Registry;

/// Runs workers in this process.
#[derive(Debug, Clone, Copy)]
pub struct InProcess;

struct Worker {
    task: WorkerTask,
    target: Arc<dyn LoadTarget>,
}

/// Opens what a task loads. Its metrics are not published: each job would add another series.
pub(super) async fn open(task: &WorkerTask) -> Result<Arc<dyn LoadTarget>, String> {
    let Some(place) = &task.target else { return Ok(Arc::new(DryTarget::new(task.rows.games))) };
    target::open(place, &Registry::default()).await.map_err(|error| error.with_causes())
}

#[async_trait]
impl Workers for InProcess {
    async fn prepare(&self, tasks: Vec<WorkerTask>) -> Result<Vec<Box<dyn ReadyWorker>>, String> {
        let Some(first) = tasks.first() else { return Ok(Vec::new()) };
        let target = open(first).await?;
        let worker = |task| Box::new(Worker { task, target: Arc::clone(&target) });
        Ok(tasks.into_iter().map(|task| -> Box<dyn ReadyWorker> { worker(task) }).collect())
    }
}

#[async_trait]
impl ReadyWorker for Worker {
    async fn run(
        self: Box<Self>,
        start_at: Timestamp,
        windows: mpsc::Sender<WorkerWindow>,
        stop: CancellationToken,
    ) -> Result<DriverOutcome, String> {
        let task = WorkerTask { start_at, ..self.task };
        Ok(driver::run(task, self.target, windows, stop).await)
    }
}
