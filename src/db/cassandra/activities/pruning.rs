//! Removes what is not needed any more: old messages, entries of the log and buckets of the lists.
//!
//! Nothing here needs the fence of a step: what is removed has ended for good, and is removed at the
//! present time, so that no step that is written again, at its own timestamp, brings it back.

use std::time::Duration;

use super::index::{List, Listed};
use super::messages::received_at;
use super::store::Store;
use crate::activities::model::MessageId;
use crate::db::storage::{StorageError, WorkerLease};

/// Entries of the log tell for so many milliseconds whether a message was queued: longer than a key that
/// was claimed may be used again.
const LOG_KEPT: i64 = 7 * 86_400_000;
/// Segments of the log that one call removes.
const SEGMENTS: usize = 16;

/// Removes up to `limit` messages that ended longer ago than that; how many.
pub(super) async fn prune(
    store: &Store,
    lease: WorkerLease,
    older_than: Duration,
    limit: u32,
) -> Result<u32, StorageError> {
    let record = store.worker_table.read().await?;
    if record.token != lease.token {
        return Ok(0);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let older_than = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let ended_before = now.saturating_sub(older_than);
    let log_before = ended_before.min(now - LOG_KEPT);
    let ended_segment = store.log.segment_of(record.ended().position);
    prune_log(store, lease, record.kept_from..ended_segment, log_before).await?;
    store.index.remove_empty_buckets(log_before).await?;
    prune_messages(store, ended_before, limit).await
}

async fn prune_messages(
    store: &Store,
    ended_before: i64,
    limit: u32,
) -> Result<u32, StorageError> {
    let mut removed = 0;
    let mut walk = store.index.oldest_first(List::All);
    while let Some(listed) = walk.next().await? {
        // What was accepted later has not ended before.
        let is_old = |listed: &&Listed| received_at(listed.id) <= ended_before;
        let old = listed.iter().take_while(is_old).filter(|listed| has_ended(listed));
        let ids: Vec<_> = old.map(|listed| listed.id).collect();
        let rows = store.messages.find_all(ids.iter().copied()).await?;
        for (id, row) in ids.into_iter().zip(rows) {
            if removed == limit {
                return Ok(removed);
            }
            let is_counted = row.as_ref().is_some_and(|row| !row.is_discarded());
            // Without a row: it was removed, and is still listed after a crash.
            if row.is_none_or(|row| row.removable_since().is_some_and(|at| at <= ended_before)) {
                store.messages.remove(id).await?;
                store.index.remove(id).await?;
                removed += u32::from(is_counted);
            }
        }
        if listed.last().is_some_and(|last| received_at(last.id) > ended_before) {
            break;
        }
    }
    Ok(removed)
}

fn has_ended(listed: &Listed) -> bool {
    matches!(listed.state.as_deref(), Some("applied" | "retried" | "discarded"))
}

/// Removes segments whose messages have ended and were accepted before that.
async fn prune_log(
    store: &Store,
    lease: WorkerLease,
    segments: std::ops::Range<i64>,
    accepted_before: i64,
) -> Result<(), StorageError> {
    for segment in segments.take(SEGMENTS) {
        let last = store.log.last_entry(segment).await?;
        let is_recent = |id: MessageId| received_at(id) >= accepted_before;
        if last.is_some_and(|entry| is_recent(entry.id)) {
            return Ok(());
        }
        store.log.remove(segment).await?;
        if !store.worker_table.keep_from(lease, segment + 1).await? {
            return Ok(());
        }
    }
    Ok(())
}
