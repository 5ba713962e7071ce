//! The gate and the worker of one server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, MAX_WAITS};
use super::metrics::ActivityMetrics;
use super::outcomes::Outcomes;
use super::pushgateway::Pushgateway;
use super::queue_monitor::{QueueLimits, QueueMonitor};
use super::validate::{MessageLimits, MessageValidator};
use super::worker::Worker;
use crate::db::storage::ActivityStore;
use crate::telemetry::Registry;

/// How long a worker that is told to stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the gate and the worker are told.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSettings {
    /// Limits of a message.
    pub message: MessageLimits,
    /// Limits of the queue.
    pub queue: QueueLimits,
    /// How long applied messages are kept.
    pub keep: Duration,
    /// Whether to run a worker.
    pub worker: bool,
}

/// The tasks of a server's activities.
pub struct Service {
    gate: Arc<Gate>,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
    pusher: Option<JoinHandle<()>>,
    monitor: JoinHandle<()>,
}

impl Service {
    /// Starts the tasks.
    #[must_use]
    pub fn start(
        store: Arc<dyn ActivityStore>,
        settings: ServiceSettings,
        registry: &Registry,
    ) -> Self {
        let metrics = ActivityMetrics::register(registry);
        let (outcomes, stop) = (Arc::new(Outcomes::default()), CancellationToken::new());
        let monitor = Arc::new(QueueMonitor::new(settings.queue));
        let gate = Arc::new(Gate {
            store: Arc::clone(&store),
            validator: MessageValidator::new(settings.message),
            monitor: Arc::clone(&monitor),
            outcomes: Arc::clone(&outcomes),
            metrics: metrics.clone(),
            waits: Semaphore::new(MAX_WAITS),
        });
        let worker = settings.worker.then(|| {
            let worker = Worker {
                store: Arc::clone(&store),
                outcomes,
                metrics: metrics.clone(),
                keep: settings.keep,
                owner: owner(),
            };
            let stop = stop.clone();
            let work = async move || worker.run(&stop).await;
            tokio::spawn(registry.supervisor().supervise("worker of activities", work))
        });
        let watch = async move || monitor.run(store.as_ref(), &metrics).await;
        let monitor = tokio::spawn(registry.supervisor().supervise("monitor of the queue", watch));
        Self { gate, stop, worker, pusher: None, monitor }
    }

    /// Begins to push the gate's counters.
    pub fn push_to(&mut self, gateway: Pushgateway, registry: &Registry) {
        let (metrics, stop) = (self.gate.metrics().clone(), self.stop.clone());
        let push = async move || gateway.run(&metrics, &stop).await;
        let push = registry.supervisor().supervise("push of counters", push);
        self.pusher = Some(tokio::spawn(push));
    }

    /// Accepts messages.
    #[must_use]
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// Stops the tasks; the worker ends the batch that it is applying and gives its lease up.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(worker) = self.worker.take()
            && tokio::time::timeout(STOP_TIMEOUT, worker).await.is_err()
        {
            tracing::warn!("the worker of activities did not end in time; its lease runs out");
        }
        if let Some(pusher) = self.pusher.take()
            && tokio::time::timeout(STOP_TIMEOUT, pusher).await.is_err()
        {
            tracing::warn!("the last counts could not be pushed in time");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
        self.monitor.abort();
    }
}

/// Names the worker of this process for operators.
fn owner() -> String {
    format!("{} process {}", host_name(), std::process::id())
}

/// The name of this machine; empty if the system does not tell.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
