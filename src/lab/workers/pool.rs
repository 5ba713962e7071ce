//! Workers in other processes, on this machine or elsewhere. They ask for work, so they need to reach the lab,
//! and the lab needs to reach none of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Assignment, ReadyWorker, Workers};
use crate::lab::driver::DriverOutcome;
use crate::lab::model::WorkerTask;
use crate::lab::worker_window::WorkerWindow;

/// How long a job waits for workers that ask for work, and for each to open its database.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// A worker sends a window each second: one that sends none for so long is lost.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// Gives tasks to workers that ask for them.
pub struct WorkerPool {
    /// What a worker must know to be given a task, which has the passwords of databases in it.
    token: String,
    waiting: Mutex<VecDeque<Assignment>>,
    added: Notify,
    assigned: Mutex<HashMap<Uuid, Arc<Assigned>>>,
    /// Starts a further worker, if this lab starts its own.
    spawn: Box<dyn Fn() + Send + Sync>,
    /// The lab ends: no worker that asks is kept waiting.
    closed: CancellationToken,
}

/// What the lab and a worker tell each other about one task.
struct Assigned {
    ready: Mutex<Option<oneshot::Sender<Result<(), String>>>>,
    start: tokio::sync::watch::Sender<Option<Timestamp>>,
    windows: Mutex<Option<mpsc::Sender<WorkerWindow>>>,
    end: Mutex<Option<oneshot::Sender<DriverOutcome>>>,
    heard: Notify,
    stop: CancellationToken,
}

/// The task is over, or was never given.
pub(in crate::lab) struct Gone;

impl WorkerPool {
    /// A pool whose workers know the token. `spawn` is called for each worker that a job needs.
    #[must_use]
    pub fn new(token: String, spawn: Box<dyn Fn() + Send + Sync>) -> Self {
        let (waiting, assigned) = (Mutex::default(), Mutex::default());
        let closed = CancellationToken::new();
        Self { token, waiting, added: Notify::new(), assigned, spawn, closed }
    }

    /// Answers workers that wait for a task, and gives none any more.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Whether a worker knows the token. Compared in constant time, because it guards passwords.
    pub(in crate::lab) fn knows(&self, token: &str) -> bool {
        let (own, given) = (self.token.as_bytes(), token.as_bytes());
        let differences = own.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == given.len() && differences == 0
    }

    /// A task for a worker that asks; `None`: there was none for that time.
    pub(in crate::lab) async fn next(&self, timeout: Duration) -> Option<Assignment> {
        let until = tokio::time::Instant::now() + timeout;
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            let added = self.added.notified();
            let task = lock(&self.waiting).pop_front();
            if task.is_some() {
                return task;
            }
            tokio::select! {
                added = tokio::time::timeout_at(until, added) => added.ok()?,
                () = self.closed.cancelled() => return None,
            }
        }
    }

    /// Says that a worker is ready, or why it is not; returns the start.
    pub(in crate::lab) async fn ready(
        &self,
        id: Uuid,
        error: Option<String>,
    ) -> Result<Timestamp, Gone> {
        let assigned = self.find(id)?;
        let mut start = assigned.start.subscribe();
        if let Some(ready) = lock(&assigned.ready).take() {
            // Its receiver is gone if the job has ended; then there is no start either.
            let _ = ready.send(error.map_or(Ok(()), Err));
        }
        // Dropped with its job, the sender ends the wait.
        drop(assigned);
        let start = start.wait_for(Option::is_some).await.map_err(|_| Gone)?;
        start.ok_or(Gone)
    }

    /// Hands a window on; returns whether the worker shall stop.
    pub(in crate::lab) async fn window(
        &self,
        id: Uuid,
        window: WorkerWindow,
    ) -> Result<bool, Gone> {
        let assigned = self.find(id)?;
        assigned.heard.notify_one();
        let windows = lock(&assigned.windows).clone().ok_or(Gone)?;
        windows.send(window).await.map_err(|_| Gone)?;
        Ok(assigned.stop.is_cancelled())
    }

    /// Ends a task.
    pub(in crate::lab) fn end(&self, id: Uuid, outcome: DriverOutcome) -> Result<(), Gone> {
        let assigned = self.find(id)?;
        lock(&assigned.windows).take();
        let end = lock(&assigned.end).take().ok_or(Gone)?;
        end.send(outcome).map_err(|_| Gone)
    }

    fn find(&self, id: Uuid) -> Result<Arc<Assigned>, Gone> {
        lock(&self.assigned).get(&id).cloned().ok_or(Gone)
    }
}

/// [`WorkerPool`] as the source of the workers of jobs.
pub struct Pooled(pub Arc<WorkerPool>);

/// A worker of the pool; its task ends for the worker when this is dropped.
struct PooledWorker {
    pool: Arc<WorkerPool>,
    id: Uuid,
    worker: u8,
    assigned: Arc<Assigned>,
    end: oneshot::Receiver<DriverOutcome>,
}

impl Drop for PooledWorker {
    fn drop(&mut self) {
        lock(&self.pool.waiting).retain(|assignment| assignment.id != self.id);
        lock(&self.pool.assigned).remove(&self.id);
    }
}

impl Pooled {
    /// Puts a task into the queue, and waits until a worker that has taken it is ready.
    async fn assign(&self, task: WorkerTask) -> Result<Box<dyn ReadyWorker>, String> {
        let (id, worker) = (Uuid::new_v4(), task.worker);
        let (ready, is_ready) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let assigned = Arc::new(Assigned {
            ready: Mutex::new(Some(ready)),
            start: tokio::sync::watch::Sender::new(None),
            windows: Mutex::default(),
            end: Mutex::new(Some(end)),
            heard: Notify::new(),
            stop: CancellationToken::new(),
        });
        let pool = Arc::clone(&self.0);
        lock(&pool.assigned).insert(id, Arc::clone(&assigned));
        // Before the wait, so that a failure removes the task.
        let pooled = PooledWorker { pool, id, worker, assigned, end: ended };
        (self.0.spawn)();
        lock(&self.0.waiting).push_back(Assignment { id, task });
        self.0.added.notify_waiters();
        match tokio::time::timeout(READY_TIMEOUT, is_ready).await {
            Ok(Ok(Ok(()))) => Ok(Box::new(pooled)),
            Ok(Ok(Err(why))) => Err(format!("Worker {worker} could not open the database: {why}")),
            Ok(Err(_)) | Err(_) => Err(format!(
                "No worker was ready within {} s: start more of them by `storefront lab worker`.",
                READY_TIMEOUT.as_secs()
            )),
        }
    }
}

#[async_trait]
impl Workers for Pooled {
    async fn prepare(&self, tasks: Vec<WorkerTask>) -> Result<Vec<Box<dyn ReadyWorker>>, String> {
        futures::future::try_join_all(tasks.into_iter().map(|task| self.assign(task))).await
    }
}

#[async_trait]
impl ReadyWorker for PooledWorker {
    async fn run(
        mut self: Box<Self>,
        start_at: Timestamp,
        windows: mpsc::Sender<WorkerWindow>,
        stop: CancellationToken,
    ) -> Result<DriverOutcome, String> {
        *lock(&self.assigned.windows) = Some(windows);
        self.assigned.start.send_replace(Some(start_at));
        let assigned = Arc::clone(&self.assigned);
        let pass_stop_on = async {
            stop.cancelled().await;
            assigned.stop.cancel();
            std::future::pending::<()>().await;
        };
        let silence = async {
            while tokio::time::timeout(SILENCE_LIMIT, assigned.heard.notified()).await.is_ok() {}
        };
        let worker = self.worker;
        let outcome = tokio::select! {
            outcome = &mut self.end => outcome.map_err(|_| format!("Worker {worker} was lost.")),
            () = silence => Err(format!(
                "Worker {worker} was lost: it has sent nothing for {} s.",
                SILENCE_LIMIT.as_secs()
            )),
            () = pass_stop_on => Err(String::new()),
        };
        // Closes the channel of windows, for which the job waits.
        lock(&self.assigned.windows).take();
        outcome
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
