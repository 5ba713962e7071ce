//! Removes what is not needed any more: old messages, entries of the log, buckets of the lists, and texts
//! that were never queued.
//!
//! Nothing here needs the fence of a step: what is removed has ended for good, or never begins, and is
//! removed at the present time, so that no step that is written again, at its own timestamp, brings it back.
//!
//! Each call does a bounded part, because messages wait for it, and the next one goes on where it stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use uuid::Uuid;

use super::index::{List, Listed};
use super::store::Store;
use crate::activities::model::MessageId;
use crate::db::storage::{StorageError, WorkerLease};

/// For so many milliseconds a text may still be queued and a message put into a list: longer than an
/// unfinished claim of a key may be finished by a repeat.
const KEPT: i64 = 7 * 86_400_000;
/// Nothing is put into a bucket of the pending list that is so many milliseconds old.
const PENDING_KEPT: i64 = 600_000;
/// Segments of the log that one call removes.
const SEGMENTS: usize = 16;
/// Reads of the list of messages in one call.
const READS: usize = 20;
/// How often messages are looked at again that could not be removed, as rejected ones, which are retried
/// and discarded at any time; and those that were removed and are still listed. Those that are younger than
/// [`KEPT`] are not among them: they are when they are older, or by another worker.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// How often buckets and texts are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Messages of one look for texts that were never queued; a range of tokens has about so many.
const SWEPT: i32 = 500;

pub(super) struct Pruning {
    store: Arc<Store>,
    progress: Mutex<Progress>,
}

/// How far it has come. A worker begins anew.
struct Progress {
    lease: Option<WorkerLease>,
    /// The message up to which all were removed, or cannot be removed for now.
    after: Option<MessageId>,
    /// Where to go on when the old ones were looked at again, and the first younger one is reached.
    younger_after: Option<MessageId>,
    /// When the oldest messages were looked at.
    begun: Instant,
    swept: Option<Instant>,
    /// Of each list the bucket that was looked at last.
    buckets: [Uuid; 3],
    texts: Texts,
}

/// How far the table of messages has been looked through for texts that were never queued.
struct Texts {
    /// A token. Begins anywhere, so that all are looked at however often workers change.
    after: i64,
    /// How large the next range is.
    width: u64,
}

impl Progress {
    fn new(lease: Option<WorkerLease>) -> Self {
        Self {
            lease,
            after: None,
            younger_after: None,
            begun: Instant::now(),
            swept: None,
            buckets: [Uuid::nil(); 3],
            texts: Texts { after: rand::random(), width: 1 << 52 },
        }
    }
}

impl Progress {
    /// Begins at the oldest again.
    fn look_again(&mut self) {
        self.younger_after = self.younger_after.max(self.after.take());
        self.begun = Instant::now();
    }

    /// Where to go on in place of a message that was accepted after that time and was looked at.
    fn pass_over(&mut self, id: MessageId, time: i64) -> Option<MessageId> {
        let after = self.younger_after.filter(|after| id.made_at() >= time && id <= *after)?;
        (self.after, self.younger_after) = (Some(after), None);
        self.after
    }
}

/// What becomes of a listed message.
enum Fate {
    /// It is removed; whether it counts.
    Removed(bool),
    /// It was removed before.
    Gone,
    /// It cannot be removed until a client retries or discards it.
    Stays,
    /// It has not ended long enough ago.
    Later,
}

impl Pruning {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store), progress: Mutex::new(Progress::new(None)) }
    }

    /// Removes up to `limit` messages that ended longer ago than that; how many.
    pub(super) async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        let record = self.store.worker_table.read().await?;
        if record.token != lease.token {
            return Ok(0);
        }
        let mut progress = self.progress.lock().await;
        if progress.lease != Some(lease) {
            *progress = Progress::new(Some(lease));
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let older_than = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let ended_before = now.saturating_sub(older_than);
        let kept_before = ended_before.min(now - KEPT);
        let ended_segment = self.store.log.segment_of(record.ended().position);
        self.prune_log(lease, record.kept_from..ended_segment, kept_before).await?;
        if progress.swept.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL) {
            progress.swept = Some(Instant::now());
            self.remove_empty_buckets(&mut progress, kept_before, now).await?;
            self.remove_unqueued(&mut progress.texts, now - KEPT).await?;
        }
        self.prune_messages(&mut progress, ended_before, limit).await
    }

    async fn prune_messages(
        &self,
        progress: &mut Progress,
        ended_before: i64,
        limit: u32,
    ) -> Result<u32, StorageError> {
        if progress.begun.elapsed() >= LOOK_AGAIN {
            progress.look_again();
        }
        // A range hides what is put between its ends later, such as a message whose claim is finished.
        let unlisted_before = jiff::Timestamp::now().as_millisecond() - KEPT;
        let (mut removed, mut has_later) = (0, false);
        let mut walk = self.store.index.oldest_first(List::All, progress.after);
        for _ in 0..READS {
            if removed >= limit {
                break;
            }
            let Some(listed) = walk.next().await? else { break };
            if let Some(after) = progress.pass_over(listed[0].id, unlisted_before) {
                walk = self.store.index.oldest_first(List::All, Some(after));
                continue;
            }
            // What was accepted later has not ended before.
            let old = listed.iter().take_while(|listed| listed.id.made_at() <= ended_before);
            let old: Vec<_> = old.collect();
            let (mut run, mut after) = (Run::default(), progress.after);
            for (listed, fate) in old.iter().zip(self.fates(&old, ended_before).await?) {
                match fate {
                    Fate::Removed(is_counted) if removed < limit => {
                        self.store.messages.remove(listed.id).await?;
                        removed += u32::from(is_counted);
                        run.add_if_before(unlisted_before, listed);
                    }
                    Fate::Gone => run.add_if_before(unlisted_before, listed),
                    Fate::Stays => self.remove_run(std::mem::take(&mut run)).await?,
                    Fate::Removed(_) | Fate::Later => {
                        has_later = true;
                        self.remove_run(std::mem::take(&mut run)).await?;
                    }
                }
                if !has_later {
                    after = Some(listed.id);
                }
            }
            self.remove_run(run).await?;
            progress.after = after;
            if old.len() < listed.len() {
                break;
            }
        }
        Ok(removed)
    }

    /// From both lists: between the first and the last one of a run all have ended.
    async fn remove_run(&self, run: Run) -> Result<(), StorageError> {
        let Some((first, last)) = run.ids else { return Ok(()) };
        if run.has_rejected {
            self.store.index.remove_run(List::Rejected, first, last).await?;
        }
        self.store.index.remove_run(List::All, first, last).await
    }

    async fn fates(
        &self,
        listed: &[&Listed],
        ended_before: i64,
    ) -> Result<Vec<Fate>, StorageError> {
        let ended = listed.iter().filter(|listed| has_ended(listed)).map(|listed| listed.id);
        let ended: Vec<_> = ended.collect();
        let mut rows = self.store.messages.find_all(ended).await?.into_iter();
        let judge = |listed: &&Listed| {
            if !has_ended(listed) {
                let is_rejected = listed.state.as_deref() == Some("rejected");
                return if is_rejected { Fate::Stays } else { Fate::Later };
            }
            // It is still listed after a crash, or because it is not old enough to be taken out.
            let Some(row) = rows.next().flatten() else { return Fate::Gone };
            match row.removable_since() {
                Some(at) if at <= ended_before => Fate::Removed(!row.is_discarded()),
                _ => Fate::Later,
            }
        };
        Ok(listed.iter().map(judge).collect())
    }

    /// Removes segments whose messages have ended and were accepted before that.
    async fn prune_log(
        &self,
        lease: WorkerLease,
        segments: std::ops::Range<i64>,
        accepted_before: i64,
    ) -> Result<(), StorageError> {
        let Store { log, worker_table, .. } = &*self.store;
        for segment in segments.take(SEGMENTS) {
            let last = log.last_entry(segment).await?;
            let is_recent = |id: MessageId| id.made_at() >= accepted_before;
            if last.is_some_and(|entry| is_recent(entry.id)) {
                return Ok(());
            }
            log.remove(segment).await?;
            if !worker_table.keep_from(lease, segment + 1).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn remove_empty_buckets(
        &self,
        progress: &mut Progress,
        kept_before: i64,
        now: i64,
    ) -> Result<(), StorageError> {
        for (list, before) in [
            (List::All, kept_before),
            (List::Rejected, kept_before),
            (List::Pending, now - PENDING_KEPT),
        ] {
            let after = &mut progress.buckets[list as usize];
            *after = self.store.index.remove_empty_buckets(list, before, *after).await?;
        }
        Ok(())
    }

    /// Removes texts that were stored before that and never queued, as by a server that stopped in between.
    /// They are in no list, so the next range of the table is looked through.
    async fn remove_unqueued(&self, texts: &mut Texts, before: i64) -> Result<(), StorageError> {
        let Texts { after, width } = *texts;
        // The end of the ring is the end of a range.
        let to = after.checked_add_unsigned(width).unwrap_or(i64::MAX);
        let found = match self.store.messages.scan((after, to), SWEPT).await {
            Ok(found) => found,
            Err(error) => {
                // A range with very many removed messages takes longer than a request may.
                texts.width = (width / 8).max(1 << 20);
                tracing::debug!(%error, "a range of texts cannot be read, the next one is smaller");
                return Ok(());
            }
        };
        let is_full = found.len() >= SWEPT.unsigned_abs() as usize;
        for id in found.iter().filter_map(|(_, id)| *id) {
            if id.made_at() < before && !self.is_of_use(id).await? {
                tracing::debug!(%id, "removing the text of a message that was never queued");
                self.store.messages.take_back(id).await;
            }
        }
        let last = found.last().filter(|_| is_full).map_or(to, |(token, _)| *token);
        texts.after = if last == i64::MAX { i64::MIN } else { last };
        texts.width = match is_full {
            true => (width / 2).max(1 << 20),
            false if found.len() < SWEPT.unsigned_abs() as usize / 4 => (width * 2).min(1 << 54),
            false => width,
        };
        Ok(())
    }

    /// Whether a message was queued, or will be: the rejected message that it repeats is linked with it.
    async fn is_of_use(&self, id: MessageId) -> Result<bool, StorageError> {
        let found = self.store.messages.find(id, false).await?;
        if let Some(rejected) = found.and_then(|row| row.retry_of()) {
            let rejected = self.store.messages.find(rejected, true).await?;
            if rejected.is_some_and(|row| row.retried_as() == Some(id)) {
                return Ok(true);
            }
        }
        self.store.was_queued(id).await
    }

    /// The message up to which nothing is looked at again for now.
    #[cfg(test)]
    pub(super) async fn stopped_at(&self) -> Option<MessageId> {
        self.progress.lock().await.after
    }

    /// Looks through the whole table for texts that were never queued before that.
    #[cfg(test)]
    pub(super) async fn sweep_texts(&self, before: i64) {
        let mut texts = Texts { after: i64::MIN, width: 1 << 60 };
        loop {
            self.remove_unqueued(&mut texts, before).await.unwrap();
            if texts.after == i64::MIN {
                return;
            }
        }
    }
}

/// Messages that follow each other in the list of all and are removed.
#[derive(Default)]
struct Run {
    /// The first and the last one.
    ids: Option<(MessageId, MessageId)>,
    /// Whether any of them may be in the list of rejected ones.
    has_rejected: bool,
}

impl Run {
    /// Adds a message that was accepted before that. They are in the order in which they were, so after one
    /// that was not none is added.
    fn add_if_before(&mut self, time: i64, listed: &Listed) {
        if listed.id.made_at() >= time {
            return;
        }
        let first = self.ids.map_or(listed.id, |(first, _)| first);
        self.ids = Some((first, listed.id));
        self.has_rejected |= listed.state.as_deref() != Some("applied");
    }
}

fn has_ended(listed: &Listed) -> bool {
    matches!(listed.state.as_deref(), Some("applied" | "retried" | "discarded"))
}
