//! Removing from the stream what the store has. Only messages up to the sequence that the store has
//! recorded are removed, and those with a key only when it has expired: they tell a repeat from a new
//! request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::message::Entry;
use super::stream::Stream;
use super::transfer::Transfer;
use crate::db::storage::StorageError;

/// How often it is looked for what can be removed.
const INTERVAL: Duration = Duration::from_secs(1);
/// Messages, and bytes of them, that are read to find expired keys.
const READ: usize = 256;
const READ_BYTES: usize = 1 << 20;

/// What was removed last.
#[derive(Debug, Default)]
pub(super) struct Purge(Mutex<Done>);

#[derive(Debug, Clone, Copy, Default)]
struct Done {
    at: Option<Instant>,
    /// The stream, and up to which sequence messages without a key were removed.
    up_to: Option<(Uuid, u64)>,
}

impl Purge {
    /// Removes what can be, if it is time.
    pub(super) async fn run(
        &self,
        stream: &Stream,
        transfer: &Transfer,
    ) -> Result<(), StorageError> {
        let done = *self.lock();
        if done.at.is_some_and(|at| at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.lock().at = Some(Instant::now());
        let known = stream.check().await?;
        let moved_to = transfer.position(known.id).await?;
        // A stream that has lost its end has new messages up to there.
        if moved_to == 0 || known.last < moved_to {
            return Ok(());
        }
        if done.up_to != Some((known.id, moved_to)) {
            stream.purge(moved_to + 1, Some(stream.subjects.without_key())).await?;
            self.lock().up_to = Some((known.id, moved_to));
        }
        if known.first <= moved_to {
            remove_expired(stream, known.first, moved_to).await?;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the first messages of the stream whose keys have expired. One whose key is kept for longer holds
/// those after it.
async fn remove_expired(stream: &Stream, first: u64, moved_to: u64) -> Result<(), StorageError> {
    let is_removable = |entry: &&Entry| {
        entry.sequence <= moved_to && entry.key.as_ref().is_none_or(|key| key.is_expired())
    };
    let mut limit = 1;
    loop {
        let batch = stream.read(first, limit, READ_BYTES).await?;
        let expired = batch.entries.iter().take_while(is_removable);
        let Some(last) = expired.last() else { return Ok(()) };
        if limit == READ {
            return stream.purge(last.sequence + 1, None).await;
        }
        // The first one can be removed, so more may.
        limit = READ;
    }
}
