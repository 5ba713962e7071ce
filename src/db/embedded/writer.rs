//! The one writer: a thread that commits waiting jobs in groups.
//!
//! A commit costs a sync to disk, however many jobs are in it. While one group is synced the next
//! gathers in the queue; the thread takes all of it into one IMMEDIATE transaction, a savepoint for
//! each job, and every answer, refusals too, is sent after the COMMIT. So no answer tells of
//! something that a crash could undo.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use rusqlite::Connection;
use tokio::time::Instant;

use super::checkpoint::{Checkpointer, LogState};
use super::error::{internal, storage};
use super::idempotency::once;
use super::identity::FileIdentity;
use super::job::{Job, PendingJob, QueuedJobGuard, stopped};
use crate::db::common::batcher::{Batches, Pending, Queue, answered, queue, refuse_expired};
use crate::db::storage::{ActContext, ErrorKind, Recorded, StorageError};
use crate::telemetry::{Registry, Supervisor};

/// Jobs that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 8_192;
/// How long the write lock is waited for before the deadlines of the jobs are looked at again.
const LOCK_WAIT: Duration = Duration::from_millis(100);
/// Jobs in one transaction; bounds how long the first of them waits for the last.
const GROUP: usize = 1_024;

/// The way to the writer thread. Dropping it waits until the thread has answered all jobs and
/// closed its connection.
pub(super) struct Writer {
    queue: Option<Queue<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// Ends after the thread, which waits for it.
    checkpointer: Option<Checkpointer>,
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
        identity: Arc<FileIdentity>,
        checkpointer: Checkpointer,
        metrics: WriterMetrics,
        supervisor: Supervisor,
    ) -> Result<Self, StorageError> {
        connection.busy_timeout(LOCK_WAIT).map_err(internal)?;
        let (queue, batches) = queue(QUEUE);
        let waiting = metrics.queue.clone();
        let log = checkpointer.log();
        let mut thread = Thread { connection, identity, log, batches, metrics };
        let thread = std::thread::Builder::new()
            .name("storefront-writer".to_owned())
            .spawn(move || supervisor.supervise_blocking("writer", || thread.run()))
            .map_err(|e| {
                StorageError::with_source(ErrorKind::Unavailable, "cannot start a thread", e)
            })?;
        let (queue, thread, checkpointer) = (Some(queue), Some(thread), Some(checkpointer));
        Ok(Self { queue, thread, checkpointer, waiting })
    }

    /// Fails if the thread has ended, which only a defect explains.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let runs = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if runs { Ok(()) } else { Err(stopped()) }
    }

    /// Runs the statements of one job in the next group, once for each key. When this has been called
    /// the job runs even if the future is dropped; its outcome is given after the commit.
    pub(super) fn submit<T: Recorded + Send + 'static, F>(
        &self,
        context: ActContext,
        statements: F,
    ) -> impl Future<Output = Result<T, StorageError>> + use<T, F>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let key = context.key().cloned();
        self.submit_unkeyed(context, move |c: &Connection| once(c, key.as_ref(), statements))
    }

    /// Runs the statements of one job in the next group, as [`Self::submit`] does, whatever key the context
    /// has: of work that no client asked for.
    pub(super) fn submit_unkeyed<T: Send + 'static, F>(
        &self,
        context: ActContext,
        statements: F,
    ) -> impl Future<Output = Result<T, StorageError>> + use<T, F>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (pending, answer) = Pending::new(context, Some(statements));
        if let Some(queue) = &self.queue {
            let guard = QueuedJobGuard::new(&self.waiting);
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
        drop(self.checkpointer.take());
    }
}

struct Thread {
    connection: Connection,
    identity: Arc<FileIdentity>,
    log: Arc<LogState>,
    batches: Batches<Box<dyn Job>>,
    metrics: WriterMetrics,
}

impl Thread {
    /// Runs groups until there will be no further job; called again after a panic.
    fn run(&mut self) {
        while let Some(group) = self.batches.next_blocking(GROUP) {
            let log = Arc::clone(&self.log);
            let _group = log.begin_group();
            if let Some(group) = self.begin(group) {
                self.commit(group);
            }
        }
    }

    /// Opens the transaction of a group. While another process has the write lock, jobs whose
    /// deadline passes are answered, those in the queue as well: a caller must not wait longer than
    /// it said because others wait in front of it. `None` when no job of the group is left.
    fn begin(&mut self, mut group: Vec<Box<dyn Job>>) -> Option<Vec<Box<dyn Job>>> {
        // That the file is gone has been logged.
        if let Err(error) = self.identity.known() {
            refuse(group, &error);
            return None;
        }
        loop {
            match self.try_begin() {
                Ok(()) => return Some(group),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let jobs = group.len();
                    refuse_expired(&mut group);
                    self.batches.refuse_waiting();
                    if group.len() < jobs {
                        log_failure(&error, jobs - group.len());
                    }
                    if group.is_empty() {
                        return None;
                    }
                }
                Err(error) => {
                    fail(group, &error);
                    return None;
                }
            }
        }
    }

    fn try_begin(&self) -> Result<(), StorageError> {
        // A panic may have left a transaction open.
        if !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        self.execute("BEGIN IMMEDIATE")
    }

    fn commit(&self, mut group: Vec<Box<dyn Job>>) {
        let begun = Instant::now();
        let outcome = self.transaction(&mut group);
        self.metrics.group.observe(group.len() as f64);
        self.metrics.commit.observe(begun.elapsed().as_secs_f64());
        match outcome {
            Ok(failures) => {
                for (job, failure) in group.into_iter().zip(failures) {
                    job.answer(failure);
                }
            }
            Err(error) => fail(group, &error),
        }
    }

    /// Runs and commits the group. `Ok` tells for each job whether it failed alone; `Err` means
    /// that nothing of the whole group happened (or, after a failed sync, perhaps).
    fn transaction(
        &self,
        group: &mut [Box<dyn Job>],
    ) -> Result<Vec<Option<StorageError>>, StorageError> {
        let outcome = self.statements(group);
        let committed = outcome.and_then(|failures| self.execute("COMMIT").map(|()| failures));
        if committed.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        // Between the commit and its answers: a file that was replaced before has not got the rows.
        committed.and_then(|failures| self.identity.check().map(|()| failures))
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

/// Answers all jobs of a group with the error that undid it.
fn fail(group: Vec<Box<dyn Job>>, error: &StorageError) {
    log_failure(error, group.len());
    refuse(group, error);
}

fn refuse(group: Vec<Box<dyn Job>>, error: &StorageError) {
    for job in group {
        job.answer(Some(error.shared()));
    }
}

fn log_failure(error: &StorageError, jobs: usize) {
    let cause = std::error::Error::source(error);
    tracing::error!(%error, ?cause, jobs, "group commit failed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::MigrationPolicy;
    use crate::db::embedded::checkpoint::CheckpointMetrics;
    use crate::db::embedded::{connection, migrate};
    use crate::db::storage::Update;

    /// A writer of a new file, and another connection to it.
    fn writer(folder: &tempfile::TempDir) -> (Writer, Connection) {
        let path = folder.path().join("games.db");
        let connection = connection::open(&path, MigrationPolicy::Migrate).unwrap();
        migrate::run(&connection, &path, &migrate::STORE, MigrationPolicy::Migrate).unwrap();
        let mut connection = connection::tuned(connection).unwrap();
        connection::prime_wal(&connection);
        let identity = Arc::new(FileIdentity::of(&path).unwrap());
        let registry = Registry::default();
        let metrics = WriterMetrics::register(&registry);
        let own = connection::open_for_checkpoints(&path).unwrap();
        let checkpoint_metrics = CheckpointMetrics::register(&registry);
        let supervisor = registry.supervisor();
        let checkpointer = Checkpointer::start(
            &mut connection,
            own,
            &path,
            checkpoint_metrics,
            supervisor.clone(),
        )
        .unwrap();
        let writer =
            Writer::start(connection, identity, checkpointer, metrics, supervisor).unwrap();
        (writer, Connection::open(path).unwrap())
    }

    /// Statements that succeed.
    fn done(_: &Connection) -> rusqlite::Result<Update> {
        Ok(Update::Updated)
    }

    fn within(milliseconds: u64) -> ActContext {
        ActContext::new().with_timeout(Duration::from_millis(milliseconds))
    }

    #[tokio::test]
    async fn while_another_process_has_the_lock_every_job_is_answered_at_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, other) = writer(&folder);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        // The first ones are the group that waits for the lock, later ones wait in the queue; those
        // with a long deadline must not keep the others there.
        let patient = writer.submit(within(600_000), done);
        let hasty: Vec<_> = (0..GROUP + 10).map(|_| writer.submit(within(200), done)).collect();
        let answers = futures::future::join_all(hasty);
        let answers = tokio::time::timeout(Duration::from_secs(30), answers).await;
        for outcome in answers.expect("each is answered at its deadline") {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(patient.await.unwrap(), Update::Updated);
    }

    #[tokio::test]
    async fn no_commit_to_a_file_that_is_gone_is_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("games.db");
        for suffix in ["", "-wal", "-shm"] {
            let (writer, _other) = writer(&folder);
            writer.submit(ActContext::new(), done).await.unwrap();
            std::fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
            for _ in 0..2 {
                let error = writer.submit(ActContext::new(), done).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{suffix}");
            }
            drop(writer);
            for suffix in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
            }
        }
    }
}
