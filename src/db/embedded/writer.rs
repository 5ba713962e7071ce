//! The one writer: a thread that commits waiting jobs in groups.
//!
//! A commit costs a sync to disk, however many jobs are in it. While one group is synced the next
//! gathers in the queue; the thread takes all of it into one IMMEDIATE transaction, a savepoint for
//! each job, and every answer, refusals too, is sent after the COMMIT. So no answer tells of
//! something that a crash could undo.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use rusqlite::Connection;
use tokio::time::Instant;

use super::error::storage;
use crate::db::common::batcher::{Batches, Pending, Queue, Queued, answered, queue};
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::telemetry::Registry;

/// Jobs that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 8_192;
/// Jobs in one transaction; bounds how long the first of them waits for the last.
const GROUP: usize = 1_024;

/// The way to the writer thread. Dropping it waits until the thread has answered all jobs and
/// closed its connection.
pub(super) struct Writer {
    queue: Option<Queue<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    waiting: Gauge,
}

#[derive(Debug)]
pub(super) struct WriterMetrics {
    queue: Gauge,
    group: Histogram,
    commit: Histogram,
}

impl WriterMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let group = Histogram::new(exponential_buckets(1.0, 2.0, 11));
        Self {
            queue: registry.gauge("writer_queue", "Jobs waiting for the writer"),
            group: registry.register("writer_group", "Jobs in one commit", group),
            commit: registry.seconds("writer_commit", "Time of a group commit"),
        }
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        metrics: WriterMetrics,
    ) -> Result<Self, StorageError> {
        let (queue, batches) = queue(QUEUE);
        let waiting = metrics.queue.clone();
        let thread = Thread { connection, batches, metrics };
        let thread = std::thread::Builder::new()
            .name("storefront-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|e| {
                StorageError::with_source(ErrorKind::Unavailable, "cannot start a thread", e)
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), waiting })
    }

    /// Fails if the thread has ended, which only a defect explains.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let runs = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if runs { Ok(()) } else { Err(stopped()) }
    }

    /// Runs the statements of one job in the next group. Once this has been called the job runs
    /// even if the future is dropped; its outcome is given after the commit.
    pub(super) fn submit<T: Send + 'static, F>(
        &self,
        context: ActContext,
        statements: F,
    ) -> impl Future<Output = Result<T, StorageError>> + use<T, F>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (pending, answer) = Pending::new(context, Some(statements));
        if let Some(queue) = &self.queue {
            self.waiting.inc();
            let guard = QueuedJobGuard(self.waiting.clone());
            queue.push(Box::new(PendingJob { pending, done: None, guard }));
        }
        answered(answer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been logged by the panic hook.
            drop(thread.join());
        }
    }
}

fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "the writer has stopped")
}

/// Counts a job as waiting or running as long as this lives.
struct QueuedJobGuard(Gauge);

impl Drop for QueuedJobGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One job of a group, whatever its outcome's type.
trait Job: Send {
    fn deadline(&self) -> Instant;
    fn run(&mut self, connection: &Connection) -> Result<(), StorageError>;
    /// Gives the outcome of [`Self::run`], or the failure that undid it.
    fn answer(self: Box<Self>, failure: Option<StorageError>);
}

impl Queued for Box<dyn Job> {
    fn deadline(&self) -> Instant {
        (**self).deadline()
    }

    fn refuse(self, error: StorageError) {
        self.answer(Some(error));
    }
}

struct PendingJob<T, F> {
    pending: Pending<Option<F>, T>,
    done: Option<T>,
    #[expect(dead_code, reason = "held for its drop")]
    guard: QueuedJobGuard,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for PendingJob<T, F> {
    fn deadline(&self) -> Instant {
        self.pending.deadline()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let statements = self.pending.request.take().ok_or_else(stopped)?;
        let result = catch_unwind(AssertUnwindSafe(|| statements(connection)));
        let panicked = |_| StorageError::new(ErrorKind::Internal, "a job of the writer panicked");
        self.done = Some(result.map_err(panicked)?.map_err(storage)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<StorageError>) {
        let Self { pending, done, .. } = *self;
        pending.answer(failure.map_or_else(|| done.ok_or_else(stopped), Err));
    }
}

struct Thread {
    connection: Connection,
    batches: Batches<Box<dyn Job>>,
    metrics: WriterMetrics,
}

impl Thread {
    fn run(mut self) {
        while let Some(group) = self.batches.next_blocking(GROUP) {
            self.metrics.group.observe(group.len() as f64);
            self.commit(group);
        }
    }

    fn commit(&self, mut group: Vec<Box<dyn Job>>) {
        let begun = Instant::now();
        let outcome = self.transaction(&mut group);
        self.metrics.commit.observe(begun.elapsed().as_secs_f64());
        match outcome {
            Ok(failures) => {
                for (job, failure) in group.into_iter().zip(failures) {
                    job.answer(failure);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, cause = ?std::error::Error::source(&error), jobs = group.len(), "group commit failed");
                for job in group {
                    job.answer(Some(error.shared()));
                }
            }
        }
    }

    /// Runs and commits the group. `Ok` tells for each job whether it failed alone; `Err` means
    /// that nothing of the whole group happened (or, after a failed sync, perhaps).
    fn transaction(
        &self,
        group: &mut [Box<dyn Job>],
    ) -> Result<Vec<Option<StorageError>>, StorageError> {
        self.execute("BEGIN IMMEDIATE")?;
        let outcome = self.statements(group);
        let committed = outcome.and_then(|failures| self.execute("COMMIT").map(|()| failures));
        if committed.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        committed
    }

    fn statements(
        &self,
        group: &mut [Box<dyn Job>],
    ) -> Result<Vec<Option<StorageError>>, StorageError> {
        group.iter_mut().map(|job| self.savepoint(job.as_mut())).collect()
    }

    /// Runs one job so that its failure takes back its own statements only. Some errors (a full
    /// disk among them) make SQLite roll back the whole transaction: then the group is gone.
    fn savepoint(&self, job: &mut dyn Job) -> Result<Option<StorageError>, StorageError> {
        self.execute("SAVEPOINT job")?;
        let failure = job.run(&self.connection).err();
        if self.connection.is_autocommit() {
            return Err(failure.unwrap_or_else(stopped));
        }
        if failure.is_some() {
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")?;
        Ok(failure)
    }

    fn execute(&self, sql: &str) -> Result<(), StorageError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(storage)?;
        statement.execute(()).map(drop).map_err(storage)
    }
}
