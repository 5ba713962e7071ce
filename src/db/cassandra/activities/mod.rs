//! Activities in Cassandra: a log of messages, and one worker that applies them in steps.
//!
//! A message is queued by one LWT on the log ([`log`], [`appender`]). The worker decides what a group of
//! messages does ([`planner`]), records it by one LWT in the worker's row ([`worker_table`], [`redo`]),
//! writes it ([`worker`]) and records that it is written. No table is made at run time: rows of all tables
//! are in one ([`rows_table`]), the tables themselves are data ([`tables_table`]). [`gate`] has the acts
//! of clients, [`transfers`] moves messages of a stream into the log, [`listing`] has the reads, [`pruning`] what removes old messages.
//!
//! # Why a paused worker does no harm
//!
//! A worker may be stopped at any point, for any time, and go on while another has taken over.
//!
//! - Deciding a step only reads.
//! - Recording a step is one LWT on the row that holds the lease: it fails if the token is another's, if
//!   another step was recorded since, or if a recorded one is not all written. So steps form one sequence,
//!   each decided from what all before it have written, and the record of a step never changes.
//! - Writing a step writes what its record says, at timestamps that are the step's number. Who writes it
//!   again, early or late, writes the same cells with the same timestamps, which changes nothing; what a
//!   later step wrote to a cell has a greater timestamp and stays; a row's number is never used again;
//!   what a client or the pruning has written is at the time of the day, which is greater than any
//!   step's number. A tombstone covers a late write as long as it is kept, `gc_grace_seconds`.
//! - Recording that a step is written fails if the token is another's, and the new worker begins by
//!   writing the recorded step itself. So a step is only finished when all of it is stored.
//! - Handing out messages reads. Counting an attempt too often is harmless. Pruning removes only what has
//!   ended for good.
//!
//! A message that is in the log twice, because a server stopped between the append and its answer or
//! because two finished one retry, ends once: the worker passes over the entry of a message that has
//! ended, and hands out no message at two positions.

mod appender;
mod cells;
#[cfg(test)]
mod crash_tests;
mod gate;
mod index;
mod listing;
mod log;
mod messages;
mod planner;
mod pruning;
mod redo;
mod rows_table;
mod store;
mod tables_table;
mod transfers;
mod worker;
mod worker_table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;

use self::gate::{Gate, MAX_BODY};
use self::listing::Listing;
use self::planner::Tables;
use self::pruning::Pruning;
use self::store::Store;
use self::worker::Worker;
use super::act::{act, act_to_end};
use super::connection::Cluster;
use super::idempotency::{Claim, IdempotencyKeys};
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{MessageId, Name, Rejection};
use crate::db::storage::{
    Accept, ActContext, ActivityStore, Applied, Discard, Message, MessageState, NewMessage,
    QueueStatus, QueuedMessage, Recorded, RejectionGroup, Retry, Rows, StorageError, TableStatus,
    TransferTarget, TransferredMessage, WorkerLease, WorkerRecord,
};
use crate::telemetry::Registry;

pub(super) struct CassandraActivities {
    store: Arc<Store>,
    keys: Arc<IdempotencyKeys>,
    gate: Arc<Gate>,
    worker: Arc<Worker>,
    listing: Listing,
    pruning: Pruning,
    /// When it was last looked for unfinished retries and discards.
    looked_at: Mutex<Option<Instant>>,
}

/// How often the worker looks for retries and discards that were left unfinished.
const PENDING_INTERVAL: Duration = Duration::from_secs(30);

impl CassandraActivities {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        keys: &Arc<IdempotencyKeys>,
        registry: &Registry,
    ) -> Result<Self, StorageError> {
        Ok(Self::new(Store::open(cluster, registry).await?, keys))
    }

    fn new(store: Arc<Store>, keys: &Arc<IdempotencyKeys>) -> Self {
        Self {
            keys: Arc::clone(keys),
            gate: Arc::new(Gate::new(&store)),
            worker: Arc::new(Worker::new(&store)),
            listing: Listing::new(&store),
            pruning: Pruning::new(&store),
            looked_at: Mutex::new(None),
            store,
        }
    }

    /// Runs an act of a client once for its key, in a task of its own, and answers by its deadline.
    async fn once<T, F>(
        &self,
        context: ActContext,
        new_id: String,
        work: impl FnOnce(Arc<Gate>, ActContext, Option<Claim>) -> F + Send + 'static,
    ) -> Result<T, StorageError>
    where
        T: Recorded + Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let (keys, gate, inner) = (Arc::clone(&self.keys), Arc::clone(&self.gate), context.clone());
        act(context, async move {
            keys.once(&inner, new_id, |claim| work(gate, inner.clone(), claim)).await
        })
        .await
    }

    /// Runs what the worker does in a task of its own: a step that has begun is written to its end.
    async fn work<T, F>(&self, work: impl FnOnce(Arc<Worker>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act_to_end(ActContext::new(), work(Arc::clone(&self.worker))).await
    }

    /// Whether it is time to look for unfinished retries and discards again.
    fn must_look(&self) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked_at.is_none_or(|at| at.elapsed() >= PENDING_INTERVAL);
        if is_due {
            *looked_at = Some(Instant::now());
        }
        is_due
    }

    /// A failure is no reason to stop the worker: it is tried again later.
    async fn finish_pending(&self) {
        if let Err(error) = self.gate.finish_pending().await {
            tracing::warn!(%error, "retries and discards of stopped servers are not finished yet");
        }
    }
}

#[async_trait]
impl ActivityStore for CassandraActivities {
    async fn accept(
        &self,
        context: ActContext,
        message: NewMessage,
    ) -> Result<Accept, StorageError> {
        let (keys, gate, inner) = (Arc::clone(&self.keys), Arc::clone(&self.gate), context.clone());
        act(context, async move {
            let prepare =
                async { gate.prepare_accept(&message).await.map(|()| Ok(message.id.to_string())) };
            let accept = |claim| gate.accept(inner.clone(), claim, message.clone());
            keys.once_checked(&inner, prepare, accept).await
        })
        .await
    }

    fn max_body(&self) -> Option<usize> {
        Some(MAX_BODY)
    }

    async fn queue_status(&self) -> Result<QueueStatus, StorageError> {
        self.listing.queue_status().await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        self.listing.find(id).await
    }

    async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError> {
        self.listing.list(state, after, limit).await
    }

    async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
        self.listing.body(id).await
    }

    async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError> {
        self.listing.rejections(after, limit).await
    }

    async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError> {
        self.once(context, new.id.to_string(), move |gate, context, claim| async move {
            gate.retry(context, claim, id, new).await
        })
        .await
    }

    async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError> {
        self.listing.rejected_by(cause, limit).await
    }

    async fn discard(&self, context: ActContext, id: MessageId) -> Result<Discard, StorageError> {
        self.once(context, String::new(), move |gate, context, claim| async move {
            gate.discard(context, claim, id).await
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<TableStatus>, StorageError> {
        self.store.tables_table.all().await?.iter().map(|table| table.status()).collect()
    }

    async fn catalogue(&self) -> Result<Catalogue, StorageError> {
        Tables::new(&self.store.tables_table.all().await?).map(|tables| tables.catalogue)
    }

    async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError> {
        self.listing.rows(table, after, limit).await
    }

    async fn worker(&self) -> Result<WorkerRecord, StorageError> {
        self.store.worker_table.lease().await
    }

    async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError> {
        let lease = self.store.worker_table.take_over(seen, owner).await?;
        if lease.is_some() {
            // With the next pruning, while the lease is renewed: there may be much to finish.
            *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(lease)
    }

    async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError> {
        self.store.worker_table.renew(lease).await
    }

    async fn release(&self, lease: WorkerLease) -> Result<(), StorageError> {
        self.store.worker_table.release(lease).await
    }

    async fn next(
        &self,
        lease: WorkerLease,
        limit: u32,
    ) -> Result<Vec<QueuedMessage>, StorageError> {
        self.work(|worker| async move { worker.next(lease, limit as usize).await }).await
    }

    async fn wait_for_messages(&self, at_most: Duration) {
        self.worker.wait(at_most).await;
    }

    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError> {
        let messages: Vec<_> = messages.into_iter().map(|message| (message, None)).collect();
        self.work(|worker| async move { worker.apply(lease, &messages).await }).await
    }

    async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError> {
        self.worker.note_attempt(lease, id).await
    }

    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError> {
        let messages = [(message, Some(rejection))];
        self.work(|worker| async move { worker.apply(lease, &messages).await }).await
    }

    async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        if self.must_look() {
            self.finish_pending().await;
        }
        self.pruning.prune(lease, older_than, limit).await
    }
}

#[async_trait]
impl TransferTarget for CassandraActivities {
    async fn streams(&self) -> Result<Vec<Uuid>, StorageError> {
        transfers::streams(&self.store).await
    }

    async fn transferred_to(&self, stream: Uuid) -> Result<u64, StorageError> {
        transfers::position(&self.store, stream).await
    }

    async fn transfer(
        &self,
        stream: Uuid,
        from: u64,
        to: u64,
        messages: Vec<TransferredMessage>,
    ) -> Result<bool, StorageError> {
        let store = Arc::clone(&self.store);
        act_to_end(ActContext::new(), async move {
            transfers::transfer(&store, stream, (from, to), &messages).await
        })
        .await
    }
}
