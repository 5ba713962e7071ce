//! Moving messages from the stream into the queue of the store.
//!
//! The store records up to where the stream was moved, in the step that queues the messages. So each
//! message is queued once, whichever servers move messages at the same time, and wherever one of them
//! stops. The stream is read by sequence; the server delivers nothing again.

use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::stream::{Batch, Known, Stream};
use crate::db::storage::{ErrorKind, NewMessage, StorageError, TransferTarget, TransferredMessage};

/// Messages that are moved at once, and bytes of their texts.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 8 << 20;

pub(super) struct Transfer {
    stream: Arc<Stream>,
    target: Arc<dyn TransferTarget>,
    /// Held while this process moves messages: two at once would only be in each other's way.
    moving: Mutex<()>,
    /// The stream that was last published to, and the greatest sequence that it has acknowledged.
    acknowledged: std::sync::Mutex<(Uuid, u64)>,
}

impl Transfer {
    pub(super) fn new(stream: &Arc<Stream>, target: Arc<dyn TransferTarget>) -> Self {
        Self {
            stream: Arc::clone(stream),
            target,
            moving: Mutex::new(()),
            acknowledged: std::sync::Mutex::default(),
        }
    }

    /// Up to which sequence a stream was moved.
    pub(super) async fn position(&self, stream: Uuid) -> Result<u64, StorageError> {
        self.target.transferred_to(stream).await
    }

    /// Moves the next messages; whether there were any.
    pub(super) async fn step(&self) -> Result<bool, StorageError> {
        let _moving = self.moving.lock().await;
        let stream = self.stream.id().await?;
        let from = self.position(stream).await?;
        let batch = self.stream.read(from + 1, BATCH, BATCH_BYTES).await?;
        // Before the stream is looked at, so that a message that comes meanwhile is no loss.
        let acknowledged = self.acknowledged_by(stream);
        // After the read: if the identity is the same as before, the messages are of that stream.
        let known = self.stream.check().await?;
        if known.id != stream {
            return Ok(true);
        }
        // The stream has forgotten messages, as after a power failure of a server that acknowledges before
        // it syncs, or from an older backup. New messages get sequences again that were moved before, and
        // would be passed over.
        if known.last < from.max(acknowledged) {
            self.start_again(&known, from).await?;
            return Ok(true);
        }
        let Batch { entries, last, .. } = batch;
        if last <= from {
            return Ok(false);
        }
        let messages = entries.into_iter().map(|entry| TransferredMessage {
            sequence: entry.sequence,
            message: NewMessage { id: entry.id, body: entry.body },
        });
        // If it was not done, another server has moved them.
        self.target.transfer(stream, from, last, messages.collect()).await?;
        Ok(true)
    }

    /// Moves all messages that the stream has now.
    pub(super) async fn all(&self, deadline: Instant) -> Result<(), StorageError> {
        let Known { id, last, .. } = self.stream.check().await?;
        while self.position(id).await? < last {
            if !self.step().await? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let text = "the messages that were accepted before are not yet in the store";
                return Err(StorageError::new(ErrorKind::Unavailable, text));
            }
        }
        Ok(())
    }

    /// Notes the sequence under which a stream has just stored a message.
    pub(super) fn note_acknowledged(&self, stream: Uuid, sequence: u64) {
        let mut acknowledged = self.lock_acknowledged();
        let (of, last) = *acknowledged;
        *acknowledged = (stream, if of == stream { last.max(sequence) } else { sequence });
    }

    /// The greatest sequence that a stream has acknowledged; 0 if that is not known.
    fn acknowledged_by(&self, stream: Uuid) -> u64 {
        let (of, last) = *self.lock_acknowledged();
        if of == stream { last } else { 0 }
    }

    fn lock_acknowledged(&self) -> std::sync::MutexGuard<'_, (Uuid, u64)> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start_again(&self, known: &Known, moved_to: u64) -> Result<(), StorageError> {
        tracing::error!(
            last_sequence = known.last,
            moved_to,
            "the NATS stream has lost messages at its end: set `sync_interval: always` in the server's \
             `jetstream` block; its messages are looked at again from the first one"
        );
        self.stream.renew_id().await
    }
}
