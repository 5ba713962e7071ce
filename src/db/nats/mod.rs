//! The queue of activities in NATS JetStream: a decorator of a store's [`ActivityStore`].
//!
//! A message is accepted by a stream ([`accept`], [`stream`], [`message`]), also while the store is away,
//! and moved into the store's own queue ([`transfer`]) before it is applied. So the worker, the order of
//! messages and the states are the store's, and what this adds is: messages that are still in the stream
//! are found, listed and counted too ([`waiting`]); retries come behind them; and what the store has is
//! removed from the stream ([`purge`]). [`known`] is what the server says of the stream, [`batch`] one read of
//! it. [`seen`] finds out that the stream has lost messages, [`stalled`] that
//! no worker moves them.
//!
//! Not here: the queue of the store, into which messages are moved ([`TransferTarget`]), and applying
//! messages, which are each backend's.

mod accept;
mod batch;
mod connection;
#[cfg(test)]
mod deadline_tests;
mod errors;
mod known;
mod message;
mod other_queue;
mod purge;
mod seen;
mod stalled;
mod stream;
mod transfer;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::errors::unavailable;
use self::known::Connection;
use self::message::MAX_HEADERS;
pub(super) use self::other_queue::warn_without_queue;
use self::purge::Purge;
use self::stalled::Stalled;
use self::stream::Stream;
use self::transfer::Transfer;
use self::waiting::Waiting;
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{MessageId, Name, Rejection};
use crate::config::queue::NatsQueue;
use crate::db::storage::{
    Accept, ActContext, ActivityStore, Applied, Discard, ErrorKind, Message, MessageState,
    NewMessage, QueueStatus, QueuedMessage, RejectionGroup, Retry, Rows, StorageError, TableStatus,
    TransferTarget, WorkerLease, WorkerRecord,
};
use crate::telemetry::Registry;

/// How often the next messages of the stream are moved before the worker gets what the store has.
const MOST_STEPS: usize = 3;
/// How long the worker waits for a retry that moves messages.
const MOVING_WAIT: Duration = Duration::from_secs(3);
/// How long no messages are moved after a failure, unless there is a new connection.
const FAILED_PAUSE: Duration = Duration::from_secs(5);
/// How long a start waits for the server; then it goes on without.
const START_WAIT: Duration = Duration::from_secs(3);

/// Opens the queue of a store.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the stream has settings by which messages could be lost. That the server is
/// away is no error.
pub(super) async fn open(
    settings: &NatsQueue,
    store: Arc<dyn ActivityStore>,
    target: Arc<dyn TransferTarget>,
    registry: &Registry,
) -> Result<Arc<dyn ActivityStore>, StorageError> {
    let queued = Arc::new(Notify::new());
    let connected = Arc::new(Notify::new());
    let client = connection::connect(settings, &connected).await?;
    let stream = Arc::new(Stream::new(client, &settings.stream, &target));
    match tokio::time::timeout(START_WAIT, stream.check()).await {
        Ok(Ok(known)) => {
            tracing::info!(queue = %settings, "messages are queued in NATS");
            other_queue::warn_if_other(target.as_ref(), settings, known.id).await;
        }
        Ok(Err(error)) if error.kind() == ErrorKind::Invalid => return Err(error),
        Ok(Err(error)) => warn(settings, &error.with_causes()),
        Err(_) => warn(settings, "it does not answer"),
    }
    let watch = {
        let (stream, queued) = (Arc::clone(&stream), Arc::clone(&queued));
        async move || connection::watch(&stream, &connected, &queued).await
    };
    let watch = registry.supervisor().supervise("connection to NATS", watch);
    Ok(Arc::new(NatsActivities {
        transfer: Arc::new(Transfer::new(&stream, target, store.max_body())),
        purge: Purge::default(),
        failed: Mutex::default(),
        stalled: Stalled::default(),
        stream,
        store,
        queued,
        watch: tokio::spawn(watch),
    }))
}

fn warn(settings: &NatsQueue, error: &str) {
    tracing::warn!(queue = %settings, error, "NATS of --queue is away; no message is accepted until it is back");
}

struct NatsActivities {
    store: Arc<dyn ActivityStore>,
    stream: Arc<Stream>,
    transfer: Arc<Transfer>,
    purge: Purge,
    /// When, and over which connection, messages could not be moved at last.
    failed: Mutex<Option<(Instant, Connection)>>,
    stalled: Stalled,
    /// Keeps one notification that comes while no worker waits.
    queued: Arc<Notify>,
    watch: JoinHandle<()>,
}

impl Drop for NatsActivities {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl NatsActivities {
    fn waiting(&self) -> Waiting<'_> {
        Waiting { stream: &self.stream, transfer: &self.transfer }
    }

    /// A worker that moves no messages may have been started with another `--queue`, or without one.
    async fn warn_of_other_queue(&self, messages: u64) {
        if self.store.worker().await.is_ok_and(|worker| worker.owner.is_some()) {
            tracing::warn!(
                messages,
                "messages wait in NATS, and the worker of the store does not move them: give all programs \
                 of the store the same --queue"
            );
        }
    }

    /// Whether messages may be moved now: without a connection each request would wait for one, and soon
    /// after a failure for a server that does not answer. What the store has is applied meanwhile.
    fn may_move(&self) -> bool {
        let is_paused = self.lock_failed().as_ref().is_some_and(|(at, connection)| {
            at.elapsed() < FAILED_PAUSE && *connection == self.stream.connection()
        });
        self.stream.is_connected() && !is_paused
    }

    fn lock_failed(&self) -> MutexGuard<'_, Option<(Instant, Connection)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message in the stream that the store did not have, or where it is in the store meanwhile.
    async fn find_waiting(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        match self.waiting().find(id).await? {
            Some(found) => Ok(Some(found.message())),
            // It was moved between the two reads, or there is no such one.
            None => self.store.find(id).await,
        }
    }
}

#[async_trait]
impl ActivityStore for NatsActivities {
    async fn accept(
        &self,
        context: ActContext,
        message: NewMessage,
    ) -> Result<Accept, StorageError> {
        let stream = Arc::clone(&self.stream);
        // In a task that a caller who goes away does not end.
        let task = tokio::spawn(async move {
            let accepted = accept::accept(&stream, &context, &message).await?;
            if accepted.is_stored {
                stream.wake_workers();
            }
            Ok(accepted.outcome)
        });
        let accepted = task.await.map_err(|e| {
            StorageError::with_source(ErrorKind::Internal, "accepting a message panicked", e)
        })?;
        self.queued.notify_one();
        accepted
    }

    fn max_body(&self) -> Option<usize> {
        let most = self.stream.max_message().saturating_sub(MAX_HEADERS);
        Some(self.store.max_body().map_or(most, |store| store.min(most)))
    }

    async fn queue_status(&self) -> Result<QueueStatus, StorageError> {
        let (waiting, moved_to) = self.waiting().status().await?;
        let store = self.store.queue_status().await?;
        // While the store has messages, these are applied first.
        if self.stalled.is_due(waiting.messages > 0 && store.messages == 0, moved_to) {
            self.warn_of_other_queue(waiting.messages).await;
        }
        Ok(QueueStatus {
            messages: store.messages + waiting.messages,
            bytes: store.bytes + waiting.bytes,
            oldest: store.oldest.max(waiting.oldest),
        })
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        match self.store.find(id).await? {
            Some(found) => Ok(Some(found)),
            None => self.find_waiting(id).await,
        }
    }

    async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError> {
        if matches!(state, Some(MessageState::Applied | MessageState::Rejected)) {
            return self.store.list(state, after, limit).await;
        }
        // In this order: a message that is moved meanwhile is in both, and none is in neither.
        let waiting = self.waiting().list(after).await?;
        let mut messages = self.store.list(state, after, limit).await?;
        let known: std::collections::HashSet<_> = messages.iter().map(|found| found.id).collect();
        messages.extend(waiting.into_iter().filter(|found| !known.contains(&found.id)));
        messages.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
        messages.truncate(limit as usize);
        Ok(messages)
    }

    async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
        if let Some(found) = self.store.body(id).await? {
            return Ok(Some(found));
        }
        match self.waiting().find(id).await? {
            Some(found) => Ok(Some(found.body)),
            None => self.store.body(id).await,
        }
    }

    async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError> {
        self.store.rejections(after, limit).await
    }

    /// The retry is queued in the store, behind the messages that the stream has now: these are moved first.
    async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError> {
        self.transfer.all_by(context.deadline()).await.map_err(unavailable)?;
        self.store.retry(context, id, new).await
    }

    async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError> {
        self.store.rejected_by(cause, limit).await
    }

    async fn discard(&self, context: ActContext, id: MessageId) -> Result<Discard, StorageError> {
        match self.store.discard(context, id).await? {
            Discard::Missing => {
                let found = self.find_waiting(id).await?;
                Ok(found.map_or(Discard::Missing, |found| Discard::NotRejected(found.state)))
            }
            outcome => Ok(outcome),
        }
    }

    async fn tables(&self) -> Result<Vec<TableStatus>, StorageError> {
        self.store.tables().await
    }

    async fn catalogue(&self) -> Result<Catalogue, StorageError> {
        self.store.catalogue().await
    }

    async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError> {
        self.store.rows(table, after, limit).await
    }

    async fn worker(&self) -> Result<WorkerRecord, StorageError> {
        self.store.worker().await
    }

    async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError> {
        self.store.take_over(seen, owner).await
    }

    async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError> {
        self.store.renew(lease).await
    }

    async fn release(&self, lease: WorkerLease) -> Result<(), StorageError> {
        self.store.release(lease).await
    }

    /// Those of the store; when they are fewer, messages of the stream are moved there first.
    async fn next(
        &self,
        lease: WorkerLease,
        limit: u32,
    ) -> Result<Vec<QueuedMessage>, StorageError> {
        let mut messages = self.store.next(lease, limit).await?;
        for _ in 0..MOST_STEPS {
            if messages.len() >= limit as usize || !self.may_move() {
                break;
            }
            match self.transfer.step(Instant::now() + MOVING_WAIT).await {
                Ok(true) => messages = self.store.next(lease, limit).await?,
                Ok(false) => break,
                // What the store has is applied while NATS fails.
                Err(error) => {
                    tracing::warn!(
                        error = error.with_causes(),
                        "messages are not moved from NATS into the store"
                    );
                    *self.lock_failed() = Some((Instant::now(), self.stream.connection()));
                    break;
                }
            }
        }
        Ok(messages)
    }

    async fn wait_for_messages(&self, at_most: Duration) {
        tokio::select! {
            () = self.queued.notified() => {}
            () = self.store.wait_for_messages(at_most) => {}
        }
    }

    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError> {
        self.store.apply(lease, messages).await
    }

    async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError> {
        if self.store.find(id).await?.is_none() {
            self.transfer.all_by(ActContext::new().deadline()).await.map_err(unavailable)?;
        }
        self.store.note_attempt(lease, id).await
    }

    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError> {
        self.store.reject(lease, message, rejection).await
    }

    async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        if let Err(error) = self.purge.run(&self.stream, &self.transfer).await {
            tracing::debug!(
                error = error.with_causes(),
                "messages that the store has are not removed from NATS"
            );
        }
        self.store.prune(lease, older_than, limit).await
    }
}
