//! Removing from the stream what the store has. Only messages up to the sequence that the store has
//! recorded are removed, and those with a key only when it has expired: they tell a repeat from a new
//! request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::batch::Batch;
use super::known::Known;
use super::message::Entry;
use super::stream::Stream;
use super::transfer::Transfer;
use crate::db::storage::StorageError;

/// How often it is looked for what can be removed, and how long expired keys are looked for then.
const INTERVAL: Duration = Duration::from_secs(1);
const BUDGET: Duration = Duration::from_millis(250);
/// Messages, and bytes of them, that are read to find expired keys.
const READ: usize = 1_000;
const READ_BYTES: usize = 4 << 20;

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
        // Without a connection each request would wait for one, and the worker with it.
        if !stream.is_connected() || done.at.is_some_and(|at| at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.lock().at = Some(Instant::now());
        let id = stream.id().await?;
        let moved_to = transfer.position(id).await?;
        stream.note_sequence(id, moved_to);
        // After the position: a stream that has lost messages up to there has another identity now.
        let known = stream.check().await?;
        if moved_to == 0 || known.id != id {
            return Ok(());
        }
        if done.up_to != Some((id, moved_to)) {
            stream.purge(&known, moved_to + 1, Some(stream.subjects.without_key())).await?;
            self.lock().up_to = Some((id, moved_to));
        }
        remove_expired(stream, &known, moved_to).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the first messages of the stream whose keys have expired. One whose key is kept for longer holds
/// those after it.
async fn remove_expired(stream: &Stream, known: &Known, moved_to: u64) -> Result<(), StorageError> {
    let begun = Instant::now();
    let mut first = known.first;
    let mut limit = 1;
    while first <= moved_to && begun.elapsed() < BUDGET {
        let batch = stream.read(first, limit, READ_BYTES).await?;
        let kept = first_kept(&batch).min(moved_to + 1);
        if kept <= first {
            return Ok(());
        }
        if limit == READ {
            stream.purge(known, kept, None).await?;
            first = kept;
        }
        // The first one can be removed, so more may.
        limit = READ;
    }
    Ok(())
}

/// The sequence of the first message of a batch that must be kept, or that after it. Messages that are none
/// of this program's are not kept.
fn first_kept(batch: &Batch) -> u64 {
    let is_kept = |entry: &&Entry| entry.key.as_ref().is_some_and(|key| !key.is_expired());
    batch.entries.iter().find(is_kept).map_or(batch.last + 1, |entry| entry.sequence)
}
