//! The promises about activities: the queue, the states of messages, and the tables.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{ActContext, StorageError};
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{ColumnType, MessageId, Name, Rejection, Value};

/// The activities of a store.
///
/// A message is accepted once it is durably queued, and applied later by the one worker that holds the
/// lease: all of it or nothing, and its final state in the same atomic step, so that no message takes
/// effect twice. If A was accepted before B was sent, on any server, A takes effect before B wherever
/// they share a table.
#[async_trait]
pub trait ActivityStore: Send + Sync {
    /// Queues a message durably, behind all that was accepted before. With an idempotency key, a repeat
    /// gets the id of the first and queues nothing.
    async fn accept(
        &self,
        context: ActContext,
        message: NewMessage,
    ) -> Result<Accept, StorageError>;

    /// The longest text of a message that can be applied in one step, in bytes; `None` if there is no
    /// such limit.
    fn max_body(&self) -> Option<usize> {
        None
    }

    /// What is queued.
    async fn queue_status(&self) -> Result<QueueStatus, StorageError>;

    /// A message, or `None` if there is no such one (any more).
    async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError>;

    /// The first `limit` messages, newest first by their ids (from the newest without a cursor), those of
    /// one state or all. Each that is present and keeps its state throughout comes once.
    async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError>;

    /// The text of a message that is queued or rejected.
    async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError>;

    /// The first `limit` causes of rejections in a fixed order, after the one that is given. Retried and
    /// discarded messages do not count.
    async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError>;

    /// Queues the text of a rejected message again under a new id, or another text in its place, and links
    /// both messages, in one atomic step. With an idempotency key, a repeat gets the same new id.
    async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError>;

    /// The ids of the oldest rejected messages of a cause that were not retried, at most `limit`; and how
    /// many there are in all.
    async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError>;

    /// Removes a rejected message.
    async fn discard(&self, context: ActContext, id: MessageId) -> Result<Discard, StorageError>;

    /// The tables, in a fixed order.
    async fn tables(&self) -> Result<Vec<TableStatus>, StorageError>;

    /// The tables and their columns, as the last applied message left them.
    async fn catalogue(&self) -> Result<Catalogue, StorageError>;

    /// The first `limit` rows of a table after the cursor (from the start without one), in a fixed order:
    /// that of arrival, or another that the backend documents. Each row that is present throughout comes
    /// once. `None` if there is no such table.
    async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError>;

    /// Who works for this store.
    async fn worker(&self) -> Result<WorkerRecord, StorageError>;

    /// Makes `owner` the worker if the record is still the one that was read. The new lease has a new
    /// token, which makes late writes of the previous worker fail. `None` if it is another record, and
    /// while a step of the previous worker may still take effect: it is to be asked again.
    async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError>;

    /// Changes the record so that others see that the worker lives; false if it lost its lease.
    async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError>;

    /// Gives the lease up after the last message was applied.
    async fn release(&self, lease: WorkerLease) -> Result<(), StorageError>;

    /// The first `limit` queued messages in the order in which they must be applied.
    async fn next(
        &self,
        lease: WorkerLease,
        limit: u32,
    ) -> Result<Vec<QueuedMessage>, StorageError>;

    /// Waits until a message may have been queued, at most so long.
    async fn wait_for_messages(&self, at_most: Duration);

    /// Applies messages in their order and records their final states, each message and its state in one
    /// atomic step. A message that is not queued any more is passed over.
    ///
    /// Of [`Applied::Outcomes`], the first belongs to the first message; when there are fewer than
    /// messages, the others are still queued and must be applied later (a table was locked). On an error,
    /// what happened is unknown: messages that are still queued were not applied.
    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError>;

    /// Notes durably that the message is about to be applied alone, after a crash; the number of such
    /// attempts, this one included. `None` if the lease is lost.
    async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError>;

    /// Rejects a queued message without trying to apply it.
    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError>;

    /// Removes up to `limit` applied messages, and rejected ones that were retried, whose end is further
    /// back than that; how many. Nothing happens without the lease.
    async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError>;
}

/// The queue of a store, into which messages are moved from a stream outside of it.
#[async_trait]
pub trait TransferTarget: Send + Sync {
    /// The streams of which messages were moved into the store, or the last one of them.
    async fn streams(&self) -> Result<Vec<Uuid>, StorageError>;

    /// The sequence up to which the messages of a stream were moved; 0 if none was.
    async fn transferred_to(&self, stream: Uuid) -> Result<u64, StorageError>;

    /// Queues messages of a stream, in their order and behind all that is queued, and records that the
    /// stream was moved up to `to`, in one atomic step; but only if it was moved up to `from` before, else
    /// nothing happens. Whether it was done.
    ///
    /// A backend may do it in several such steps, each with a part of the messages: on an error, and where
    /// another server moves messages at the same time, it is done up to where [`Self::transferred_to`]
    /// says. No lease is needed: the recorded sequence is the fence. A message that the store has in any
    /// state is not queued again.
    async fn transfer(
        &self,
        stream: Uuid,
        from: u64,
        to: u64,
        messages: Vec<TransferredMessage>,
    ) -> Result<bool, StorageError>;
}

/// A message of a stream that is moved into the queue of the store.
#[derive(Debug, Clone)]
pub struct TransferredMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its id and text.
    pub message: NewMessage,
}

/// A message to be queued.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// The JSON text, which [`Work::parse`](crate::activities::model::Work) reads. Empty in a retry: the
    /// text of the rejected message.
    pub body: Arc<str>,
}

/// Outcome of [`ActivityStore::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accept {
    /// Queued under this id; by a repeat, the id of the first.
    Queued(MessageId),
    /// The key belongs to another request.
    KeyReused,
    /// The queue has reached a limit of its own, and nothing was queued.
    Full,
}

/// What is queued at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStatus {
    /// Messages.
    pub messages: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// How long the oldest has been queued.
    pub oldest: Option<Duration>,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// Accepted, not yet applied.
    Queued,
    /// All of it has taken effect.
    Applied,
    /// None of it has taken effect, and none will.
    Rejected,
}

impl MessageState {
    /// Its name for clients and operators.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
        }
    }
}

/// A message as it is now, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where it is.
    pub state: MessageState,
    /// Why it was rejected: one sentence.
    pub error: Option<String>,
    /// The activity that failed, counted from 0.
    pub activity: Option<u32>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When it was applied; `None` for a rejected one.
    pub applied_at: Option<Timestamp>,
    /// How often it was begun alone, after crashes.
    pub attempts: u32,
    /// The rejected message that it repeats.
    pub retry_of: Option<MessageId>,
    /// The message that repeats it.
    pub retried_as: Option<MessageId>,
}

/// Rejected messages of one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionGroup {
    /// [`Rejection::cause`].
    pub cause: String,
    /// How many there are.
    pub count: u64,
    /// One of them.
    pub example: MessageId,
}

/// Outcome of [`ActivityStore::retry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// Queued under this id.
    Queued(MessageId),
    /// There is no such message.
    Missing,
    /// It is in another state.
    NotRejected(MessageState),
    /// It was retried as this message.
    AlreadyRetried(MessageId),
    /// The key belongs to another request.
    KeyReused,
}

/// Outcome of [`ActivityStore::discard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discard {
    /// Removed.
    Discarded,
    /// There is no such message.
    Missing,
    /// It is in another state.
    NotRejected(MessageState),
    /// The key belongs to another request.
    KeyReused,
}

/// A table as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub name: Name,
    /// Its columns, in the order in which they were added.
    pub columns: Vec<(Name, ColumnType)>,
    /// How many rows it has.
    pub rows: u64,
    /// When a message that changed it was last applied.
    pub last_applied_at: Timestamp,
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// All columns of the table.
    pub columns: Vec<Name>,
    /// The rows, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// Continues after the last row; `None` after the last of the table.
    pub next: Option<String>,
}

/// Who works for a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Grows with every worker.
    pub token: i64,
    /// Changes with every renewal, so that two equal records prove that there was none in between.
    pub renewal: i64,
    /// `None` after a worker that ended in order: nothing was left half done, and no lease has to run out.
    pub owner: Option<String>,
}

/// The right to apply messages, until another worker takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLease {
    /// The fencing token.
    pub token: i64,
}

/// A queued message, for the worker.
#[derive(Debug, Clone)]
pub struct QueuedMessage {
    /// Its place in the queue.
    pub position: i64,
    /// Its id.
    pub id: MessageId,
    /// Its JSON text.
    pub body: Arc<str>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// How often it was begun alone, after crashes.
    pub attempts: u32,
}

/// Outcome of [`ActivityStore::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Of each message that has ended: `None` if it was applied, or why it was rejected.
    Outcomes(Vec<Option<Rejection>>),
    /// Another worker has taken over; nothing was applied.
    LeaseLost,
}
