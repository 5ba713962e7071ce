//! The one writer: a thread that commits waiting acts in groups.
//!
//! A commit costs a sync to disk, however many acts are in it. While one group is synced the next
//! gathers in the queue; the thread takes all of it into one IMMEDIATE transaction, a savepoint for
//! each act, and every answer, refusals too, leaves after the COMMIT. So no answer speaks of
//! something that a crash could undo.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::storage;
use crate::db::storage::{ErrorKind, StorageError};
use crate::telemetry::metrics::Metrics;

/// Acts that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 8_192;
/// Acts in one transaction; bounds how long the first of them waits for the last.
const GROUP: usize = 1_024;

/// The way to the writer thread. Dropping it waits until the thread has answered all acts and
/// closed its connection.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Act>>>,
    thread: Option<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StorageError> {
        let (queue, waiting) = sync_channel(QUEUE);
        let thread = Thread { connection, waiting, metrics: Arc::clone(metrics) };
        let thread = std::thread::Builder::new()
            .name("storefront-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|e| {
                StorageError::with_source(ErrorKind::Unavailable, "cannot start a thread", e)
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), metrics: Arc::clone(metrics) })
    }

    /// Fails if the thread has ended, which only a defect explains.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let runs = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if runs { Ok(()) } else { Err(stopped()) }
    }

    /// Runs the statements of one act in the next group. Once this has been called the act happens
    /// even if the future is dropped; its outcome is given after the commit.
    pub(super) fn submit<T: Send + 'static, F>(
        &self,
        statements: F,
    ) -> impl Future<Output = Result<T, StorageError>> + use<T, F>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let act = Box::new(Waiting { statements: Some(statements), done: None, answer });
        let sent = self.queue.as_ref().ok_or_else(stopped).and_then(|queue| {
            queue.try_send(act).map_err(|e| match e {
                TrySendError::Full(_) => {
                    StorageError::new(ErrorKind::Unavailable, "too many writes wait")
                }
                TrySendError::Disconnected(_) => stopped(),
            })
        });
        if sent.is_ok() {
            self.metrics.writer_queue.inc();
        }
        async move {
            sent?;
            outcome.await.unwrap_or_else(|_| Err(stopped()))
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been shown by its own message.
            drop(thread.join());
        }
    }
}

fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "the writer has stopped")
}

/// One act of a group, whatever its outcome's type.
trait Act: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), StorageError>;
    /// Tells the outcome of [`Self::run`], or the failure that took it back.
    fn answer(self: Box<Self>, failure: Option<StorageError>);
}

struct Waiting<T, F> {
    statements: Option<F>,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, StorageError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Act for Waiting<T, F> {
    fn run(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let statements = self.statements.take().ok_or_else(stopped)?;
        let result = catch_unwind(AssertUnwindSafe(|| statements(connection)));
        let panicked = |_| StorageError::new(ErrorKind::Internal, "an act of the writer panicked");
        self.done = Some(result.map_err(panicked)?.map_err(storage)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<StorageError>) {
        let Self { done, answer, .. } = *self;
        let outcome = failure.map_or_else(|| done.ok_or_else(stopped), Err);
        // The client may be gone; the act stands all the same.
        drop(answer.send(outcome));
    }
}

struct Thread {
    connection: Connection,
    waiting: Receiver<Box<dyn Act>>,
    metrics: Arc<Metrics>,
}

impl Thread {
    fn run(self) {
        while let Ok(first) = self.waiting.recv() {
            let mut group = vec![first];
            group.extend(self.waiting.try_iter().take(GROUP - 1));
            self.metrics.writer_queue.dec_by(i64::try_from(group.len()).unwrap_or(i64::MAX));
            self.metrics.writer_group.observe(group.len() as f64);
            self.commit(group);
        }
    }

    fn commit(&self, mut group: Vec<Box<dyn Act>>) {
        let begun = Instant::now();
        let outcome = self.transaction(&mut group);
        self.metrics.writer_commit.observe(begun.elapsed().as_secs_f64());
        match outcome {
            Ok(failures) => {
                for (act, failure) in group.into_iter().zip(failures) {
                    act.answer(failure);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, cause = ?std::error::Error::source(&error), acts = group.len(), "group commit failed");
                for act in group {
                    act.answer(Some(error.shared()));
                }
            }
        }
    }

    /// Runs and commits the group. `Ok` tells for each act whether it failed alone; `Err` means
    /// that nothing of the whole group happened (or, after a failed sync, perhaps).
    fn transaction(
        &self,
        group: &mut [Box<dyn Act>],
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
        group: &mut [Box<dyn Act>],
    ) -> Result<Vec<Option<StorageError>>, StorageError> {
        group.iter_mut().map(|act| self.savepoint(act.as_mut())).collect()
    }

    /// Runs one act so that its failure takes back its own statements only. Some errors (a full
    /// disk among them) make SQLite roll back the whole transaction: then the group is gone.
    fn savepoint(&self, act: &mut dyn Act) -> Result<Option<StorageError>, StorageError> {
        self.execute("SAVEPOINT act")?;
        let failure = act.run(&self.connection).err();
        if self.connection.is_autocommit() {
            return Err(failure.unwrap_or_else(stopped));
        }
        if failure.is_some() {
            self.execute("ROLLBACK TO act")?;
        }
        self.execute("RELEASE act")?;
        Ok(failure)
    }

    fn execute(&self, sql: &str) -> Result<(), StorageError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(storage)?;
        statement.execute(()).map(drop).map_err(storage)
    }
}
