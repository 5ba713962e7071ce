//! Activities in a second SQLite file beside the store's, so that pages and checkouts keep their writer
//! while a million messages are applied.
//!
//! In this module: the file's name and schema, the waiting for messages, and the storage trait over the
//! queue ([`queue`], into which [`transfers`] moves messages of a stream), the states of messages ([`states`]), the tables ([`tables`]), the worker's lease
//! ([`lease`]) and the job that applies messages ([`apply`]: plans come from a cached catalogue
//! ([`cache`]), tables have generated names ([`physical`]), [`rows`] changes their rows, which deletes
//! find by hashes ([`delete_index`])). How values are stored is in [`codec`].
//! Not here: what a message does to the tables, which is the same on every backend
//! ([`crate::activities::catalogue`]).

mod apply;
mod cache;
mod codec;
mod delete_index;
mod lease;
mod physical;
mod queue;
mod rows;
mod states;
mod tables;
#[cfg(test)]
mod tests;
mod transfers;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use self::apply::Parsed;
use self::cache::CachedCatalogue;
use super::file::{self, FileKind, FileMetrics, OpenFile};
use super::migrate::Schema;
use super::reader::Readers;
use super::writer::Writer;
use super::{blocking, connection};
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{MessageId, Name, Rejection};
use crate::db::MigrationPolicy;
use crate::db::storage::{
    Accept, ActContext, ActivityStore, Applied, Discard, ErrorKind, Message, MessageState,
    NewMessage, QueueStatus, QueuedMessage, RejectionGroup, Retry, Rows, StorageError, TableStatus,
    TransferTarget, TransferredMessage, WorkerLease, WorkerRecord,
};

/// The file of the activities.
const FILE: FileKind = FileKind {
    schema: &Schema {
        // The keys of requests are the same in both files, because one piece of code reads and writes them.
        steps: &[
            concat!(
                include_str!("../../../../schema/embedded-activities/0001_activities.sql"),
                include_str!("../../../../schema/embedded/0003_idempotency_keys.sql")
            ),
            include_str!("../../../../schema/embedded-activities/0002_transfers.sql"),
        ],
        // "stoa" in ASCII.
        application_id: 0x7374_6f61,
        option: "--database-url",
    },
    tuned: connection::tuned_for_activities,
};
/// How often a worker looks for messages that other processes have queued.
const POLL: Duration = Duration::from_millis(100);

pub(super) struct EmbeddedActivities {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    /// Empty while a job has it, and after a job that failed.
    cache: Arc<Mutex<Option<CachedCatalogue>>>,
    queued: Notify,
}

impl EmbeddedActivities {
    /// Opens the file beside the store's, which is open. Blocks.
    pub(super) fn open(
        store: &Path,
        policy: MigrationPolicy,
        metrics: FileMetrics,
    ) -> Result<Self, StorageError> {
        let path = beside(store);
        if policy == MigrationPolicy::Require && !path.exists() {
            let text = format!(
                "the database {} of the activities does not exist: run `storefront migrate`",
                path.display()
            );
            return Err(StorageError::new(ErrorKind::Invalid, text));
        }
        let OpenFile { writer, readers, .. } = file::open(&path, &FILE, policy, metrics)?;
        Ok(Self { writer, readers, cache: Arc::default(), queued: Notify::new() })
    }

    /// Runs a job of the worker.
    async fn job<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.writer.submit_unkeyed(ActContext::new(), statements).await
    }

    /// Applies or rejects messages, by the catalogue as it was left by the job before.
    async fn end(
        &self,
        lease: WorkerLease,
        messages: Vec<Parsed>,
    ) -> Result<Applied, StorageError> {
        let cached = self.lock_cache().take();
        let (applied, cached) =
            self.job(move |c| apply::apply(c, lease, &messages, cached)).await?;
        *self.lock_cache() = cached;
        Ok(applied)
    }

    fn lock_cache(&self) -> std::sync::MutexGuard<'_, Option<CachedCatalogue>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path of the activities' file: `games.db` has `games-activities.db`. It is beside the file that a
/// link leads to, as SQLite's log is, so that every path to a store leads to the same activities.
fn beside(store: &Path) -> PathBuf {
    let store = fs::canonicalize(store).unwrap_or_else(|_| store.to_owned());
    let is_db = store.extension().is_some_and(|extension| extension == "db");
    let stem = if is_db { store.file_stem() } else { store.file_name() };
    let mut name = OsString::from(stem.unwrap_or_default());
    name.push("-activities.db");
    store.with_file_name(name)
}

#[async_trait]
impl ActivityStore for EmbeddedActivities {
    async fn accept(
        &self,
        context: ActContext,
        message: NewMessage,
    ) -> Result<Accept, StorageError> {
        let job = move |c: &Connection| {
            queue::add(c, &message, None).map(|()| Accept::Queued(message.id))
        };
        let accepted = self.writer.submit(context, job).await?;
        self.queued.notify_one();
        Ok(accepted)
    }

    async fn queue_status(&self) -> Result<QueueStatus, StorageError> {
        self.readers.with(queue::status)
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        self.readers.with(|c| states::find(c, id))
    }

    async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError> {
        self.readers.with(|c| states::list(c, state, after, limit))
    }

    async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
        self.readers.with(|c| states::body(c, id))
    }

    async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError> {
        self.readers.with(|c| states::rejections(c, after.as_deref(), limit))
    }

    async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError> {
        let retried = self.writer.submit(context, move |c| states::retry(c, id, new)).await?;
        self.queued.notify_one();
        Ok(retried)
    }

    async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError> {
        self.readers.with(|c| states::rejected_by(c, cause, limit))
    }

    async fn discard(&self, context: ActContext, id: MessageId) -> Result<Discard, StorageError> {
        self.writer.submit(context, move |c| states::discard(c, id)).await
    }

    async fn tables(&self) -> Result<Vec<TableStatus>, StorageError> {
        self.readers.with(tables::status)
    }

    async fn catalogue(&self) -> Result<Catalogue, StorageError> {
        self.readers.with(tables::catalogue)
    }

    async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError> {
        self.readers.with(|c| tables::rows(c, table, after.as_deref(), limit))
    }

    async fn worker(&self) -> Result<WorkerRecord, StorageError> {
        self.readers.with(lease::read)
    }

    async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError> {
        let (seen, owner) = (seen.clone(), owner.to_owned());
        self.job(move |c| lease::take_over(c, &seen, &owner)).await
    }

    async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError> {
        self.job(move |c| lease::renew(c, lease)).await
    }

    async fn release(&self, lease: WorkerLease) -> Result<(), StorageError> {
        self.job(move |c| lease::release(c, lease)).await
    }

    async fn next(
        &self,
        _lease: WorkerLease,
        limit: u32,
    ) -> Result<Vec<QueuedMessage>, StorageError> {
        self.readers.with(|c| queue::next(c, limit))
    }

    /// Messages of this process wake it; those of others are seen within [`POLL`].
    async fn wait_for_messages(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        loop {
            let is_empty = self.readers.with(queue::is_empty).unwrap_or(true);
            let now = Instant::now();
            if !is_empty || now >= until {
                return;
            }
            tokio::select! {
                () = self.queued.notified() => {}
                () = sleep_until(until.min(now + POLL)) => {}
            }
        }
    }

    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError> {
        // Not on the writer's thread, which has enough to do.
        let parsed = blocking(|| Ok(messages.into_iter().map(Parsed::new).collect())).await?;
        self.end(lease, parsed).await
    }

    async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError> {
        let job = move |c: &Connection| {
            lease::is_held(c, lease)?.then(|| queue::note_attempt(c, id)).transpose()
        };
        self.job(job).await
    }

    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError> {
        self.end(lease, vec![Parsed::rejected(message, rejection)]).await
    }

    async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
        let ended_by = Timestamp::now().as_microsecond().saturating_sub(age);
        let cached = self.lock_cache().take();
        let job = move |c: &Connection| apply::prune(c, lease, (ended_by, limit), cached);
        let (pruned, cached) = self.job(job).await?;
        *self.lock_cache() = cached;
        Ok(pruned)
    }
}

#[async_trait]
impl TransferTarget for EmbeddedActivities {
    async fn streams(&self) -> Result<Vec<Uuid>, StorageError> {
        self.readers.with(transfers::streams)
    }

    async fn transferred_to(&self, stream: Uuid) -> Result<u64, StorageError> {
        self.readers.with(|c| transfers::position(c, stream))
    }

    async fn transfer(
        &self,
        stream: Uuid,
        from: u64,
        to: u64,
        messages: Vec<TransferredMessage>,
    ) -> Result<bool, StorageError> {
        let job = move |c: &Connection| transfers::transfer(c, stream, (from, to), &messages);
        let is_done = self.job(job).await?;
        self.queued.notify_one();
        Ok(is_done)
    }
}
