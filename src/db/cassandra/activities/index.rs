//! Lists of messages in the order of their ids.
//!
//! A list is cut into buckets of ten minutes, each a partition, and the buckets in use are a list of
//! their own. A bucket is listed before a message is put into it. What a list says of a state is a hint:
//! the message itself decides.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use uuid::{Builder, Uuid};

use super::messages::received_at;
use crate::activities::model::MessageId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::query_result::rows;
use crate::db::storage::StorageError;

/// Milliseconds of ids in one bucket.
const BUCKET: i64 = 600_000;
/// Buckets that are looked at, to remove them, in one call.
const BUCKETS: usize = 16;
/// Rows of one read.
const CHUNK: i32 = 500;

const PUT: &str = "INSERT INTO $.activity_index (list, bucket, id, state, cause) \
                   VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
const MARK: &str = "UPDATE $.activity_index SET state = ? WHERE list = ? AND bucket = ? AND id = ?";
const REMOVE: &str = "DELETE FROM $.activity_index WHERE list = ? AND bucket = ? AND id = ?";
const DOWN: &str = "SELECT id, state, cause FROM $.activity_index \
                    WHERE list = ? AND bucket = ? AND id < ? ORDER BY id DESC LIMIT ?";
const UP: &str = "SELECT id, state, cause FROM $.activity_index \
                  WHERE list = ? AND bucket = ? AND id > ? ORDER BY id ASC LIMIT ?";

pub(super) struct Index {
    cluster: Arc<Cluster>,
    put: PreparedStatement,
    mark: PreparedStatement,
    remove: PreparedStatement,
    down: PreparedStatement,
    up: PreparedStatement,
    /// The bucket of each list that this process has listed last.
    listed: Mutex<[i64; 2]>,
}

/// What a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// All messages.
    All,
    /// Those that were rejected; the state is `rejected` while they are neither retried nor discarded.
    Rejected,
}

/// An entry of a list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: MessageId,
    /// `None` while it is queued, as far as the list knows.
    pub(super) state: Option<String>,
    pub(super) cause: Option<String>,
}

/// Where a walk through a list is, chunk by chunk.
pub(super) struct Walk<'a> {
    index: &'a Index,
    list: List,
    descends: bool,
    /// The id after which the next chunk begins.
    after: Uuid,
    /// The buckets that are known to follow.
    buckets: VecDeque<Uuid>,
    bucket: Option<i64>,
    /// The bucket after which more are looked up; `None` at the end.
    buckets_after: Option<Uuid>,
}

impl List {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Rejected => "rejected",
        }
    }

    const fn buckets(self) -> &'static str {
        match self {
            Self::All => "all/buckets",
            Self::Rejected => "rejected/buckets",
        }
    }
}

/// The list of retries and discards that may not have ended, in one bucket.
const PENDING: &str = "pending";

impl Index {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            put: cluster.prepare(PUT, StatementKind::Plain).await?,
            mark: cluster.prepare(MARK, StatementKind::Plain).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            down: cluster.prepare(DOWN, StatementKind::Scan).await?,
            up: cluster.prepare(UP, StatementKind::Scan).await?,
            listed: Mutex::new([-1; 2]),
        })
    }

    /// Puts a message into a list at a timestamp. May be repeated.
    pub(super) async fn put(
        &self,
        list: List,
        id: MessageId,
        state: Option<&str>,
        cause: Option<&str>,
        timestamp: i64,
    ) -> Result<(), StorageError> {
        let bucket = bucket_of(id);
        if self.is_listed(list) != bucket {
            let (none, first) = (MaybeUnset::<&str>::Unset, smallest_of(bucket * BUCKET));
            let values = (list.buckets(), 0_i64, first, none, none, 1_i64);
            self.cluster.execute(&self.put, values).await?;
            self.listed.lock().unwrap_or_else(PoisonError::into_inner)[list as usize] = bucket;
        }
        let (state, cause) = (MaybeUnset::from_option(state), MaybeUnset::from_option(cause));
        let values = (list.name(), bucket, id.0, state, cause, timestamp);
        self.cluster.execute(&self.put, values).await.map(drop)
    }

    fn is_listed(&self, list: List) -> i64 {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)[list as usize]
    }

    /// Changes the state of a message that was rejected, in both lists.
    pub(super) async fn mark(&self, id: MessageId, state: &str) -> Result<(), StorageError> {
        for list in [List::All, List::Rejected] {
            let values = (state, list.name(), bucket_of(id), id.0);
            self.cluster.execute(&self.mark, values).await?;
        }
        Ok(())
    }

    /// Takes a message out of all lists. The buckets stay listed.
    pub(super) async fn remove(&self, id: MessageId) -> Result<(), StorageError> {
        for list in [List::All, List::Rejected] {
            let values = (list.name(), bucket_of(id), id.0);
            self.cluster.execute(&self.remove, values).await?;
        }
        Ok(())
    }

    /// Takes the oldest buckets out of the lists of buckets if they are empty and end before that time, in
    /// milliseconds: nothing is put into them any more.
    pub(super) async fn remove_empty_buckets(&self, before: i64) -> Result<(), StorageError> {
        for list in [List::All, List::Rejected] {
            let listed = self.read(list.buckets(), 0, Uuid::nil(), false).await?;
            let ends_before = |listed: &&Listed| received_at(listed.id) + BUCKET < before;
            for first in listed.iter().take_while(ends_before).take(BUCKETS).map(|l| l.id) {
                if self.read(list.name(), bucket_of(first), Uuid::nil(), false).await?.is_empty() {
                    let values = (list.buckets(), 0_i64, first.0);
                    self.cluster.execute(&self.remove, values).await?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a rejected message is about to be retried or discarded.
    pub(super) async fn put_pending(&self, id: MessageId) -> Result<(), StorageError> {
        let (now, none) = (jiff::Timestamp::now(), MaybeUnset::<&str>::Unset);
        let since = MaybeUnset::Set(now.as_millisecond().to_string());
        let values = (PENDING, 0_i64, id.0, since, none, now.as_microsecond());
        self.cluster.execute(&self.put, values).await.map(drop)
    }

    pub(super) async fn remove_pending(&self, id: MessageId) -> Result<(), StorageError> {
        self.cluster.execute(&self.remove, (PENDING, 0_i64, id.0)).await.map(drop)
    }

    /// Some of the messages whose retry or discard may not have ended, and since when, in milliseconds.
    pub(super) async fn pending(&self) -> Result<Vec<(MessageId, i64)>, StorageError> {
        let found = self.read(PENDING, 0, Uuid::nil(), false).await?;
        let since = |listed: &Listed| listed.state.as_deref().and_then(|at| at.parse().ok());
        Ok(found.iter().map(|listed| (listed.id, since(listed).unwrap_or(0))).collect())
    }

    /// Newest first, those before an id or all.
    pub(super) fn newest_first(&self, list: List, before: Option<MessageId>) -> Walk<'_> {
        self.walk(list, true, before.map_or(Uuid::max(), |id| id.0))
    }

    /// Oldest first.
    pub(super) fn oldest_first(&self, list: List) -> Walk<'_> {
        self.walk(list, false, Uuid::nil())
    }

    fn walk(&self, list: List, descends: bool, after: Uuid) -> Walk<'_> {
        let (buckets, buckets_after) = (VecDeque::new(), Some(after));
        Walk { index: self, list, descends, after, buckets, bucket: None, buckets_after }
    }

    async fn read(
        &self,
        list: &str,
        bucket: i64,
        after: Uuid,
        descends: bool,
    ) -> Result<Vec<Listed>, StorageError> {
        let statement = if descends { &self.down } else { &self.up };
        let found = self.cluster.execute(statement, (list, bucket, after, CHUNK)).await?;
        let found = rows::<(Uuid, Option<String>, Option<String>)>(found)?.into_iter();
        Ok(found.map(|(id, state, cause)| Listed { id: MessageId(id), state, cause }).collect())
    }
}

impl Walk<'_> {
    /// The next entries, at least one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Listed>>, StorageError> {
        loop {
            let Some(bucket) = self.bucket else {
                if !self.next_bucket().await? {
                    return Ok(None);
                }
                continue;
            };
            let (list, descends) = (self.list.name(), self.descends);
            let found = self.index.read(list, bucket, self.after, descends).await?;
            match found.last() {
                None => self.bucket = None,
                Some(last) => {
                    self.after = last.id.0;
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Goes on to the next bucket, if there is one.
    async fn next_bucket(&mut self) -> Result<bool, StorageError> {
        if self.buckets.is_empty()
            && let Some(after) = self.buckets_after
        {
            // The id after which a walk begins is in a bucket that begins before or with it.
            let found = self.index.read(self.list.buckets(), 0, after, self.descends).await?;
            self.buckets_after = found.last().map(|last| last.id.0);
            self.buckets.extend(found.into_iter().map(|listed| listed.id.0));
        }
        self.bucket = self.buckets.pop_front().map(|first| bucket_of(MessageId(first)));
        Ok(self.bucket.is_some())
    }
}

fn bucket_of(id: MessageId) -> i64 {
    received_at(id) / BUCKET
}

/// The smallest id that is made in a millisecond.
fn smallest_of(millis: i64) -> Uuid {
    Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &[0; 10]).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_with_its_smallest_id() {
        for millis in [0, BUCKET, 3_000_000 * BUCKET] {
            let first = MessageId(smallest_of(millis));
            assert_eq!(bucket_of(first) * BUCKET, millis);
        }
        let id = MessageId::new();
        assert!(smallest_of(bucket_of(id) * BUCKET) <= id.0);
        assert!(smallest_of((bucket_of(id) + 1) * BUCKET) > id.0);
    }
}
