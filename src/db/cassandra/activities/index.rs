//! Lists of messages in the order of their ids.
//!
//! A list is cut into buckets of ten minutes, each a partition, and the buckets in use are a list of
//! their own. A bucket is listed before a message is put into it. What a list says of a state is a hint:
//! the message itself decides.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use uuid::{Builder, Uuid};

use crate::activities::model::MessageId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::query_result::rows;
use crate::db::storage::StorageError;

/// Buckets that are looked at, to remove them, in one call.
const BUCKETS: usize = 16;
/// Rows of one read.
const CHUNK: i32 = 500;
/// Buckets that are summed up at once.
const CONCURRENCY: usize = 8;

const PUT: &str = "INSERT INTO $.activity_index (list, bucket, id, state, cause) \
                   VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
const MARK: &str = "UPDATE $.activity_index SET state = ? WHERE list = ? AND bucket = ? AND id = ?";
const REMOVE: &str = "DELETE FROM $.activity_index WHERE list = ? AND bucket = ? AND id = ?";
const REMOVE_RUN: &str = "DELETE FROM $.activity_index \
                          WHERE list = ? AND bucket = ? AND id >= ? AND id <= ?";
const DOWN: &str = "SELECT id, state, cause FROM $.activity_index \
                    WHERE list = ? AND bucket = ? AND id < ? ORDER BY id DESC LIMIT ?";
const UP: &str = "SELECT id, state, cause FROM $.activity_index \
                  WHERE list = ? AND bucket = ? AND id > ? ORDER BY id ASC LIMIT ?";

pub(super) struct Index {
    cluster: Arc<Cluster>,
    put: PreparedStatement,
    mark: PreparedStatement,
    remove: PreparedStatement,
    remove_run: PreparedStatement,
    down: PreparedStatement,
    up: PreparedStatement,
    /// The bucket of each list that this process has listed last.
    listed: Mutex<[i64; 3]>,
}

/// What a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// All messages.
    All,
    /// Those that were rejected; the state is `rejected` while they are neither retried nor discarded.
    Rejected,
    /// Retries and discards that may not have ended, by ids of their own; the cause is the message's id.
    Pending,
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
            Self::Pending => "pending",
        }
    }

    const fn buckets(self) -> &'static str {
        match self {
            Self::All => "all/buckets",
            Self::Rejected => "rejected/buckets",
            Self::Pending => "pending/buckets",
        }
    }

    /// Milliseconds of ids in one bucket. Entries of the pending list are removed soon, and those of one
    /// bucket leave their tombstones to every read of it.
    const fn bucket(self) -> i64 {
        match self {
            Self::All | Self::Rejected => 600_000,
            Self::Pending => 60_000,
        }
    }

    fn bucket_of(self, id: Uuid) -> i64 {
        MessageId(id).made_at() / self.bucket()
    }
}

impl Index {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            put: cluster.prepare(PUT, StatementKind::Plain).await?,
            mark: cluster.prepare(MARK, StatementKind::Plain).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            remove_run: cluster.prepare(REMOVE_RUN, StatementKind::Plain).await?,
            down: cluster.prepare(DOWN, StatementKind::Scan).await?,
            up: cluster.prepare(UP, StatementKind::Scan).await?,
            listed: Mutex::new([-1; 3]),
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
        let bucket = list.bucket_of(id.0);
        if self.is_listed(list) != bucket {
            let (none, first) = (MaybeUnset::<&str>::Unset, smallest_of(bucket * list.bucket()));
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
            let values = (state, list.name(), list.bucket_of(id.0), id.0);
            self.cluster.execute(&self.mark, values).await?;
        }
        Ok(())
    }

    /// Takes messages that follow each other in the list of all out of a list, by one range: of many single
    /// rows the tombstones would make the list unreadable. They are of one bucket.
    pub(super) async fn remove_run(
        &self,
        list: List,
        first: MessageId,
        last: MessageId,
    ) -> Result<(), StorageError> {
        let values = (list.name(), list.bucket_of(first.0), first.0, last.0);
        self.cluster.execute(&self.remove_run, values).await.map(drop)
    }

    async fn remove(&self, list: &str, bucket: i64, id: Uuid) -> Result<(), StorageError> {
        self.cluster.execute(&self.remove, (list, bucket, id)).await.map(drop)
    }

    /// Takes some buckets out of the list of a list's buckets if they are empty and end before that time, in
    /// milliseconds: nothing is put into them any more. Begins after the bucket that is given; where to go
    /// on, which is the oldest one again after the last one that ends before.
    pub(super) async fn remove_empty_buckets(
        &self,
        list: List,
        before: i64,
        after: Uuid,
    ) -> Result<Uuid, StorageError> {
        let listed = self.read(list.buckets(), 0, after, false).await?;
        let ends_before = |first: &Uuid| (list.bucket_of(*first) + 1) * list.bucket() <= before;
        let firsts = listed.iter().map(|listed| listed.id.0);
        let mut last = Uuid::nil();
        for first in firsts.take_while(ends_before).take(BUCKETS) {
            let bucket = list.bucket_of(first);
            if self.read(list.name(), bucket, Uuid::nil(), false).await?.is_empty() {
                self.remove(list.buckets(), 0, first).await?;
            }
            last = first;
        }
        Ok(last)
    }

    /// Notes that a rejected message is about to be retried or discarded, under the act's own id. The
    /// bucket is listed afterwards and each time, so that one that was just removed is listed again.
    pub(super) async fn put_pending(&self, act: Uuid, id: MessageId) -> Result<(), StorageError> {
        let (list, now) = (List::Pending, jiff::Timestamp::now().as_microsecond());
        let (none, id) = (MaybeUnset::<&str>::Unset, MaybeUnset::Set(id.to_string()));
        let bucket = list.bucket_of(act);
        let values = (list.name(), bucket, act, none, id, now);
        self.cluster.execute(&self.put, values).await?;
        let first = smallest_of(bucket * list.bucket());
        let values = (list.buckets(), 0_i64, first, none, none, now);
        self.cluster.execute(&self.put, values).await.map(drop)
    }

    pub(super) async fn remove_pending(&self, act: Uuid) -> Result<(), StorageError> {
        self.remove(List::Pending.name(), List::Pending.bucket_of(act), act).await
    }

    /// The acts that may not have ended, and their messages.
    pub(super) async fn pending(&self) -> Result<Vec<(Uuid, MessageId)>, StorageError> {
        let (mut walk, mut all) = (self.oldest_first(List::Pending, None), Vec::new());
        while let Some(listed) = walk.next().await? {
            let act = |listed: Listed| Some((listed.id.0, MessageId::parse(&listed.cause?)?));
            all.extend(listed.into_iter().filter_map(act));
        }
        Ok(all)
    }

    /// Newest first, those before an id or all.
    pub(super) fn newest_first(&self, list: List, before: Option<MessageId>) -> Walk<'_> {
        self.walk(list, true, before.map_or(Uuid::max(), |id| id.0))
    }

    /// Oldest first, those after an id or all.
    pub(super) fn oldest_first(&self, list: List, after: Option<MessageId>) -> Walk<'_> {
        let mut walk = self.walk(list, false, after.map_or(Uuid::nil(), |id| id.0));
        // It has begun before the id, so it is not among those that are looked up.
        walk.bucket = after.map(|after| list.bucket_of(after.0));
        walk
    }

    /// Sums a list up: each bucket on its own, several at once, the oldest first. `add` adds entries, oldest
    /// first, to the sum of their bucket, and `merge` a bucket's sum to that of those before.
    pub(super) async fn sum<T: Default>(
        &self,
        list: List,
        add: impl Fn(&mut T, Vec<Listed>),
        merge: impl Fn(&mut T, T),
    ) -> Result<T, StorageError> {
        let (mut sum, mut after) = (T::default(), Uuid::nil());
        loop {
            let buckets = self.read(list.buckets(), 0, after, false).await?;
            let Some(last) = buckets.last() else { return Ok(sum) };
            after = last.id.0;
            let sums = buckets.iter().map(|first| self.sum_of(list, first.id.0, &add));
            // Collected: a stream that borrows through closures is not `Send` for every lifetime.
            let sums: Vec<_> = sums.collect();
            let mut sums = stream::iter(sums).buffered(CONCURRENCY);
            while let Some(of_bucket) = sums.try_next().await? {
                merge(&mut sum, of_bucket);
            }
        }
    }

    async fn sum_of<T: Default>(
        &self,
        list: List,
        first: Uuid,
        add: &impl Fn(&mut T, Vec<Listed>),
    ) -> Result<T, StorageError> {
        let (mut sum, mut after, bucket) = (T::default(), Uuid::nil(), list.bucket_of(first));
        loop {
            let found = self.read(list.name(), bucket, after, false).await?;
            let Some(last) = found.last() else { return Ok(sum) };
            after = last.id.0;
            add(&mut sum, found);
        }
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
        self.bucket = self.buckets.pop_front().map(|first| self.list.bucket_of(first));
        Ok(self.bucket.is_some())
    }
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
        for list in [List::All, List::Pending] {
            for bucket in [0, 1, 3_000_000] {
                let first = smallest_of(bucket * list.bucket());
                assert_eq!(list.bucket_of(first), bucket);
            }
            let id = Uuid::now_v7();
            let bucket = list.bucket_of(id);
            assert!(smallest_of(bucket * list.bucket()) <= id);
            assert!(smallest_of((bucket + 1) * list.bucket()) > id);
        }
    }
}
