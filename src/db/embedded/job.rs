//! Jobs of the writer: statements of any outcome, and the way back to their caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use prometheus_client::metrics::gauge::Gauge;
use rusqlite::Connection;
use tokio::time::Instant;

use super::error::storage;
use crate::db::common::batcher::{Pending, Queued};
use crate::db::storage::{ErrorKind, StorageError};

/// Counts a job as waiting or running as long as this lives.
pub(super) struct QueuedJobGuard(Gauge);

impl QueuedJobGuard {
    pub(super) fn new(waiting: &Gauge) -> Self {
        waiting.inc();
        Self(waiting.clone())
    }
}

impl Drop for QueuedJobGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One job of a group, whatever its outcome's type.
pub(super) trait Job: Send {
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

pub(super) struct PendingJob<T, F> {
    pub(super) pending: Pending<Option<F>, T>,
    pub(super) done: Option<T>,
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) guard: QueuedJobGuard,
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

pub(super) fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "the writer has stopped")
}
