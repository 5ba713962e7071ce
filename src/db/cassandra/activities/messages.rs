//! The table of messages: texts, final states, and what links a message with its retry.
//!
//! A text and what was known with it are written at timestamp 1, final states at the number of the
//! worker's step, so that each of these writes may be repeated at any time; links, discards and attempts
//! are conditional.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use scylla::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

use super::redo::{Ended, Outcome};
use crate::activities::model::MessageId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::query_result::{optional_row, rows};
use crate::db::storage::{ErrorKind, Message, MessageState, StorageError};

/// Reads in flight.
const CONCURRENCY: usize = 64;

const PUT: &str = "INSERT INTO $.activity_messages (id, body, log_hint, retry_of) \
                   VALUES (?, ?, ?, ?) USING TIMESTAMP 1";
/// At the timestamp of the text: only what was not appended is taken back.
const TAKE_BACK: &str = "DELETE FROM $.activity_messages USING TIMESTAMP 1 WHERE id = ?";
const FIND: &str = "SELECT id, body, log_hint, retry_of, state, error, activity, ended_at, attempts, \
                    retried_as, request_id FROM $.activity_messages WHERE id = ?";
const END_APPLIED: &str = "UPDATE $.activity_messages USING TIMESTAMP ? \
                           SET state = 'applied', body = null, ended_at = ? WHERE id = ?";
const END_REJECTED: &str = "UPDATE $.activity_messages USING TIMESTAMP ? SET state = 'rejected', \
                            error = ?, activity = ?, cause = ?, ended_at = ? WHERE id = ?";
const LINK: &str = "UPDATE $.activity_messages SET retried_as = ?, request_id = ? WHERE id = ? \
                    IF state = 'rejected' AND retried_as = null";
const DISCARD: &str = "UPDATE $.activity_messages SET state = 'discarded', body = null, request_id = ? \
                       WHERE id = ? IF state = 'rejected'";
const ATTEMPT: &str = "UPDATE $.activity_messages SET attempts = ? WHERE id = ? IF attempts = ?";
const REMOVE: &str = "DELETE FROM $.activity_messages WHERE id = ?";
/// A part of all messages, in no order of meaning.
const SCAN: &str = "SELECT id, token(id), state FROM $.activity_messages \
                    WHERE token(id) > ? AND token(id) <= ? LIMIT ?";

pub(super) struct Messages {
    cluster: Arc<Cluster>,
    put: PreparedStatement,
    take_back: PreparedStatement,
    find: PreparedStatement,
    find_serial: PreparedStatement,
    end_applied: PreparedStatement,
    end_rejected: PreparedStatement,
    link: PreparedStatement,
    discard: PreparedStatement,
    attempt: PreparedStatement,
    remove: PreparedStatement,
    scan: PreparedStatement,
}

/// A message as it is stored.
#[derive(Debug, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct MessageRow {
    id: Uuid,
    pub(super) body: Option<String>,
    pub(super) log_hint: Option<i64>,
    retry_of: Option<Uuid>,
    state: Option<String>,
    error: Option<String>,
    activity: Option<i32>,
    ended_at: Option<CqlTimestamp>,
    attempts: Option<i32>,
    retried_as: Option<Uuid>,
    pub(super) request_id: Option<Uuid>,
}

impl Messages {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        use StatementKind::{Conditional, Plain};
        Ok(Self {
            cluster: Arc::clone(cluster),
            put: cluster.prepare(PUT, Plain).await?,
            take_back: cluster.prepare(TAKE_BACK, Plain).await?,
            find: cluster.prepare(FIND, StatementKind::Scan).await?,
            find_serial: cluster.prepare(FIND, StatementKind::SerialRead).await?,
            end_applied: cluster.prepare(END_APPLIED, Plain).await?,
            end_rejected: cluster.prepare(END_REJECTED, Plain).await?,
            link: cluster.prepare(LINK, Conditional).await?,
            discard: cluster.prepare(DISCARD, Conditional).await?,
            attempt: cluster.prepare(ATTEMPT, Conditional).await?,
            remove: cluster.prepare(REMOVE, Plain).await?,
            scan: cluster.prepare(SCAN, StatementKind::Scan).await?,
        })
    }

    /// Stores the text of a message that is to be appended behind that position. May be repeated.
    pub(super) async fn put(
        &self,
        id: MessageId,
        body: &str,
        log_hint: i64,
        retry_of: Option<MessageId>,
    ) -> Result<(), StorageError> {
        let retry_of = scylla::value::MaybeUnset::from_option(retry_of.map(|id| id.0));
        let values = (id.0, body, log_hint, retry_of);
        self.cluster.execute(&self.put, values).await.map(drop)
    }

    /// Removes a text that was not appended, as far as it can be done now.
    pub(super) async fn take_back(&self, id: MessageId) {
        if let Err(error) = self.cluster.execute(&self.take_back, (id.0,)).await {
            tracing::debug!(%error, %id, "the text of a message that was not queued stays");
        }
    }

    /// A message; `serial`: with what a conditional write that is under way makes of it.
    pub(super) async fn find(
        &self,
        id: MessageId,
        serial: bool,
    ) -> Result<Option<MessageRow>, StorageError> {
        let statement = if serial { &self.find_serial } else { &self.find };
        optional_row(self.cluster.execute(statement, (id.0,)).await?)
    }

    /// Several messages, in the order of the ids.
    pub(super) async fn find_all(
        &self,
        ids: impl IntoIterator<Item = MessageId>,
    ) -> Result<Vec<Option<MessageRow>>, StorageError> {
        // Collected: the iterators of callers borrow what does not outlive this.
        let finds: Vec<_> = ids.into_iter().map(|id| self.find(id, false)).collect();
        stream::iter(finds).buffered(CONCURRENCY).try_collect().await
    }

    /// Records a final state at the timestamp of the worker's step. May be repeated.
    pub(super) async fn end(&self, step: i64, ended: &Ended) -> Result<(), StorageError> {
        let (id, at) = (ended.id.0, CqlTimestamp(ended.ended_at));
        let result = match &ended.outcome {
            Outcome::Applied => self.cluster.execute(&self.end_applied, (step, at, id)).await,
            Outcome::Rejected { error, activity, cause } => {
                let activity = activity.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
                let values = (step, error, activity, cause, at, id);
                self.cluster.execute(&self.end_rejected, values).await
            }
        };
        result.map(drop)
    }

    /// Links a rejected message with its retry; whether it was rejected, and not retried before.
    pub(super) async fn link(
        &self,
        id: MessageId,
        retried_as: MessageId,
        request_id: Uuid,
    ) -> Result<bool, StorageError> {
        applied(self.cluster.execute(&self.link, (retried_as.0, request_id, id.0)).await?)
    }

    /// Discards a rejected message; whether it was rejected.
    pub(super) async fn discard(
        &self,
        id: MessageId,
        request_id: Uuid,
    ) -> Result<bool, StorageError> {
        applied(self.cluster.execute(&self.discard, (request_id, id.0)).await?)
    }

    /// Counts an attempt; the number, or `None` if another was counted at the same time.
    pub(super) async fn count_attempt(&self, id: MessageId) -> Result<Option<u32>, StorageError> {
        let before = self.find(id, true).await?.and_then(|row| row.attempts);
        let attempts = before.unwrap_or(0).saturating_add(1);
        let counted = self.cluster.execute(&self.attempt, (attempts, id.0, before)).await;
        match counted.and_then(applied) {
            // Counting it twice would reject a message that killed no worker.
            Err(error) if error.kind() == ErrorKind::Timeout => {
                let now = self.find(id, true).await?.and_then(|row| row.attempts);
                (now == Some(attempts)).then_some(Some(attempts.unsigned_abs())).ok_or(error)
            }
            counted => Ok(counted?.then_some(attempts.unsigned_abs())),
        }
    }

    /// Up to `limit` messages with tokens of a range, ascending, without its first one: the token, and the
    /// message's id if no worker has ended it.
    pub(super) async fn scan(
        &self,
        (after, to): (i64, i64),
        limit: i32,
    ) -> Result<Vec<(i64, Option<MessageId>)>, StorageError> {
        let found = self.cluster.execute(&self.scan, (after, to, limit)).await?;
        let found = rows::<(Uuid, i64, Option<String>)>(found)?.into_iter();
        Ok(found
            .map(|(id, token, state)| (token, state.is_none().then_some(MessageId(id))))
            .collect())
    }

    pub(super) async fn remove(&self, id: MessageId) -> Result<(), StorageError> {
        self.cluster.execute(&self.remove, (id.0,)).await.map(drop)
    }
}

impl MessageRow {
    /// Whether a text was stored, or a worker has ended the message.
    pub(super) fn exists(&self) -> bool {
        let is_discarded = self.state.as_deref() == Some("discarded");
        !is_discarded && (self.body.is_some() || self.state.is_some())
    }

    /// Whether a client removed it.
    pub(super) fn is_discarded(&self) -> bool {
        self.state.as_deref() == Some("discarded")
    }

    /// Whether a worker has ended it.
    pub(super) const fn has_ended(&self) -> bool {
        self.state.is_some()
    }

    pub(super) fn state(&self) -> Result<MessageState, StorageError> {
        match self.state.as_deref() {
            None => Ok(MessageState::Queued),
            Some("applied") => Ok(MessageState::Applied),
            Some("rejected" | "discarded") => Ok(MessageState::Rejected),
            Some(other) => Err(shape(format!("`{other}` is no state of a message"))),
        }
    }

    pub(super) fn retry_of(&self) -> Option<MessageId> {
        self.retry_of.map(MessageId)
    }

    pub(super) fn retried_as(&self) -> Option<MessageId> {
        self.retried_as.map(MessageId)
    }

    /// How often it was begun alone.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.unwrap_or(0).unsigned_abs()
    }

    /// Since when a message that may be removed has ended, in milliseconds since 1970.
    pub(super) fn removable_since(&self) -> Option<i64> {
        let is_over = match self.state.as_deref() {
            Some("applied" | "discarded") => true,
            Some("rejected") => self.retried_as.is_some(),
            _ => false,
        };
        self.ended_at.filter(|_| is_over).map(|at| at.0)
    }

    /// As clients see it.
    pub(super) fn message(&self) -> Result<Message, StorageError> {
        let (id, state) = (MessageId(self.id), self.state()?);
        let ended_at = self.ended_at.map(|at| timestamp(at.0));
        Ok(Message {
            id,
            state,
            error: self.error.clone(),
            activity: self.activity.map(i32::unsigned_abs),
            received_at: timestamp(id.made_at()),
            applied_at: ended_at.filter(|_| state == MessageState::Applied),
            attempts: self.attempts(),
            retry_of: self.retry_of(),
            retried_as: self.retried_as(),
        })
    }
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}
