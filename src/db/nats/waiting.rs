//! Messages that are in the stream and not yet in the store: those after the sequence up to which it was
//! moved. The store is asked for that sequence first; a message that is moved afterwards is in both.

use std::time::Duration;

use super::errors::unavailable;
use super::known::Known;
use super::message::{Entry, queued};
use super::stream::Stream;
use super::transfer::Transfer;
use crate::activities::model::MessageId;
use crate::db::storage::{Message, QueueStatus, StorageError};

/// Messages that are listed: the newest.
const LISTED: u64 = 1_000;
/// Of so many messages the bytes are counted; those of more are estimated.
const COUNTED: usize = 16;
/// The read of these ends here.
const COUNTED_BYTES: usize = 64 << 10;

/// Reads of the stream.
pub(super) struct Waiting<'a> {
    pub(super) stream: &'a Stream,
    pub(super) transfer: &'a Transfer,
}

impl Waiting<'_> {
    /// The stream, and up to where it was moved.
    async fn position(&self) -> Result<(Known, u64), StorageError> {
        let known = self.stream.check().await.map_err(unavailable)?;
        let moved_to = self.transfer.position(known.id).await?;
        Ok((known, moved_to))
    }

    pub(super) async fn find(&self, id: MessageId) -> Result<Option<Entry>, StorageError> {
        let (known, moved_to) = self.position().await?;
        if known.last <= moved_to {
            return Ok(None);
        }
        Ok(self.stream.find(id).await?.filter(|found| found.sequence > moved_to))
    }

    /// The newest, in no order.
    pub(super) async fn list(
        &self,
        after: Option<MessageId>,
    ) -> Result<Vec<Message>, StorageError> {
        let (known, moved_to) = self.position().await?;
        if known.last <= moved_to {
            return Ok(Vec::new());
        }
        let from = (moved_to + 1).max((known.last + 1).saturating_sub(LISTED));
        let ids = self.stream.ids(from, LISTED as usize).await?;
        let ids = ids.into_iter().filter(|id| after.is_none_or(|after| *id < after));
        Ok(ids.map(queued).collect())
    }

    /// How many there are, and up to where the stream was moved. Their bytes are an estimate if they are many.
    pub(super) async fn status(&self) -> Result<(QueueStatus, u64), StorageError> {
        let (known, moved_to) = self.position().await?;
        if known.last <= moved_to {
            return Ok((QueueStatus::default(), moved_to));
        }
        let batch = self.stream.read(moved_to + 1, COUNTED, COUNTED_BYTES).await?;
        let counted: u64 = batch.entries.iter().map(|entry| entry.body.len() as u64).sum();
        let read = batch.entries.len() as u64;
        // Those that stay for their keys may be much shorter than those that wait, or much longer.
        let average = (known.bytes / known.messages.max(1)).max(counted / read.max(1));
        let status = QueueStatus {
            messages: read + batch.pending,
            bytes: counted.saturating_add(batch.pending.saturating_mul(average)),
            oldest: batch.entries.first().map(|entry| age(entry.id)),
        };
        Ok((status, moved_to))
    }
}

fn age(id: MessageId) -> Duration {
    let age = jiff::Timestamp::now().as_millisecond().saturating_sub(id.made_at());
    Duration::from_millis(u64::try_from(age).unwrap_or(0))
}
