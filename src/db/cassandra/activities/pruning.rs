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
/// Nothing is put into a bucket of the pending list that is so many milliseconds old.
const PENDING_KEPT: i64 = 600_000;
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
    for list in [List::All, List::Rejected] {
        store.index.remove_empty_buckets(list, log_before).await?;
    }
    store.index.remove_empty_buckets(List::Pending, now - PENDING_KEPT).await?;
    prune_messages(store, ended_before, limit).await
}

async fn prune_messages(store: &Store, ended_before: i64, limit: u32) -> Result<u32, StorageError> {
    let mut removed = 0;
    let mut walk = store.index.oldest_first(List::All);
    while removed < limit
        && let Some(listed) = walk.next().await?
    {
        // What was accepted later has not ended before.
        let old = listed.iter().take_while(|listed| received_at(listed.id) <= ended_before);
        let old: Vec<_> = old.collect();
        let mut run: Option<(MessageId, MessageId)> = None;
        for (listed, gone) in old.iter().zip(removable(store, &old, ended_before).await?) {
            match gone.filter(|_| removed < limit) {
                Some(is_counted) => {
                    store.messages.remove(listed.id).await?;
                    if listed.state.as_deref() != Some("applied") {
                        store.index.remove_rejected(listed.id).await?;
                    }
                    removed += u32::from(is_counted);
                    run = Some((run.map_or(listed.id, |(first, _)| first), listed.id));
                }
                None => remove_run(store, run.take()).await?,
            }
        }
        remove_run(store, run).await?;
        if old.len() < listed.len() {
            break;
        }
    }
    Ok(removed)
}

async fn remove_run(
    store: &Store,
    run: Option<(MessageId, MessageId)>,
) -> Result<(), StorageError> {
    match run {
        Some((first, last)) => store.index.remove_run(first, last).await,
        None => Ok(()),
    }
}

/// Of each message whether it may be removed, and then whether it counts.
async fn removable(
    store: &Store,
    listed: &[&Listed],
    ended_before: i64,
) -> Result<Vec<Option<bool>>, StorageError> {
    let ended = listed.iter().filter(|listed| has_ended(listed)).map(|listed| listed.id);
    let ended: Vec<_> = ended.collect();
    let mut rows = store.messages.find_all(ended).await?.into_iter();
    let judge = |listed: &&Listed| match has_ended(listed).then(|| rows.next().flatten()) {
        None => None,
        // It was removed, and is still listed after a crash.
        Some(None) => Some(false),
        Some(Some(row)) => {
            let is_old = row.removable_since().is_some_and(|at| at <= ended_before);
            is_old.then(|| !row.is_discarded())
        }
    };
    Ok(listed.iter().map(judge).collect())
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
