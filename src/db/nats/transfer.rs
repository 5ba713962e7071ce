//! Moving messages from the stream into the queue of the store.
//!
//! The store records up to where the stream was moved, in the step that queues the messages. So each
//! message is queued once, whichever servers move messages at the same time, and wherever one of them
//! stops. The stream is read by sequence; the server delivers nothing again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::batch::Batch;
use super::message::Entry;
use super::stream::Stream;
use crate::db::common::retry::Backoff;
use crate::db::storage::{ErrorKind, NewMessage, StorageError, TransferTarget, TransferredMessage};

/// Messages that are moved at once, and bytes of their texts.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 8 << 20;

/// Between two reads of a follower that lacks messages.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

pub(super) struct Transfer {
    stream: Arc<Stream>,
    target: Arc<dyn TransferTarget>,
    /// Bytes of the longest text that the store takes.
    max_body: Option<usize>,
    /// Held while this process moves messages: two at once would only be in each other's way.
    moving: Mutex<()>,
}

impl Transfer {
    pub(super) fn new(
        stream: &Arc<Stream>,
        target: Arc<dyn TransferTarget>,
        max_body: Option<usize>,
    ) -> Self {
        Self { stream: Arc::clone(stream), target, max_body, moving: Mutex::new(()) }
    }

    /// Up to which sequence a stream was moved.
    pub(super) async fn position(&self, stream: Uuid) -> Result<u64, StorageError> {
        self.target.transferred_to(stream).await
    }

    /// Moves the next messages; whether there were any.
    pub(super) async fn step(&self, deadline: Instant) -> Result<bool, StorageError> {
        let moving = timeout_at(deadline, self.moving.lock()).await;
        let _moving = moving.map_err(|_| late())?;
        let connection = self.stream.connection();
        let stream = self.stream.id().await?;
        let from = self.position(stream).await?;
        let batch = self.stream.read(from + 1, BATCH, BATCH_BYTES).await?;
        self.stream.note_sequence(stream, from.max(batch.last));
        // After the read: if the identity is the same as before, over the same connection, the messages are
        // of that stream. If it has lost messages at its end, the check has given it a new identity.
        let known = self.stream.check().await?;
        if known.id != stream || known.connection != connection {
            return Ok(true);
        }
        let Batch { entries, last, .. } = batch;
        if last <= from {
            return Ok(false);
        }
        let messages = entries.into_iter().filter(|entry| self.is_taken(entry)).map(|entry| {
            TransferredMessage {
                sequence: entry.sequence,
                message: NewMessage { id: entry.id, body: entry.body },
            }
        });
        // If it was not done, another server has moved them.
        self.target.transfer(stream, from, last, messages.collect()).await?;
        Ok(true)
    }

    /// Whether the store takes the message. This program publishes no other, so it is a foreign one, which
    /// would stop moving for good.
    fn is_taken(&self, entry: &Entry) -> bool {
        let is_taken = self.max_body.is_none_or(|most| entry.body.len() <= most);
        if !is_taken {
            let Entry { sequence, id, .. } = entry;
            tracing::warn!(%id, sequence, "the stream has a message that is too long for the store");
        }
        is_taken
    }

    /// Moves all messages that the stream has now, or fails at the deadline.
    pub(super) async fn all_by(&self, deadline: Instant) -> Result<(), StorageError> {
        timeout_at(deadline, self.all(deadline)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn all(&self, deadline: Instant) -> Result<(), StorageError> {
        let mut known = self.stream.check().await?;
        let mut backoff = BACKOFF;
        loop {
            let position = self.position(known.id).await?;
            if position >= known.last {
                return Ok(());
            }
            if !self.step(deadline).await? {
                // A follower has answered that lacks messages, or the last ones were removed by hand.
                if self.stream.is_end(position).await? {
                    return Ok(());
                }
                backoff.wait().await;
            }
            if Instant::now() >= deadline {
                return Err(late());
            }
            if self.stream.id().await? != known.id {
                known = self.stream.check().await?;
            }
        }
    }
}

fn late() -> StorageError {
    let text = "the messages that were accepted before are not yet in the store";
    StorageError::new(ErrorKind::Unavailable, text)
}
