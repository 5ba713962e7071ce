//! The queue: one log, in segments of a fixed number of positions, each a partition.
//!
//! A group of messages is appended by one LWT on the position after the last entry, so positions follow
//! each other without a gap, and a message that was answered before another was sent has the lower one.
//! A segment is begun only when the one before it is full, which never changes back: so one that is full
//! needs no fence. Who appends is [`super::appender`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::try_join_all;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::activities::model::MessageId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::query_result::{optional_row, rows};
use crate::db::storage::StorageError;

/// Positions in a segment.
pub(super) const SEGMENT: i64 = 4_096;
/// Segments read at once.
const CONCURRENCY: i64 = 4;

const ADVANCE: &str = "UPDATE $.activity_log SET next = ?, bytes = ?, stream_id = ?, \
                       stream_sequence = ? WHERE segment = ? IF next = ?";
const ADD: &str =
    "INSERT INTO $.activity_log (segment, position, message_id, length) VALUES (?, ?, ?, ?)";
const READ_END: &str = "SELECT DISTINCT next, bytes, stream_id, stream_sequence \
                        FROM $.activity_log WHERE segment = ?";
const READ: &str = "SELECT position, message_id, length FROM $.activity_log \
                    WHERE segment = ? AND position >= ? LIMIT ?";
const REMOVE: &str = "DELETE FROM $.activity_log WHERE segment = ? AND position >= ?";

/// The statements on the log, and how far this process knows it.
pub(super) struct Log {
    cluster: Arc<Cluster>,
    segment: i64,
    advance: PreparedStatement,
    add: PreparedStatement,
    read_end: PreparedStatement,
    read_end_serial: PreparedStatement,
    read: PreparedStatement,
    read_serial: PreparedStatement,
    remove: PreparedStatement,
    /// A position that the end of the log is not before. It only saves reads: its order with other
    /// memory does not matter.
    known_end: AtomicI64,
    /// Notified when this process has appended.
    pub(super) appended: Notify,
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The position after the last entry.
    pub(super) position: i64,
    /// Bytes of all texts before it.
    pub(super) bytes: i64,
    /// The last stream whose messages were moved into the log, and up to which sequence.
    pub(super) moved: Option<(Uuid, i64)>,
}

impl End {
    /// The end after appending messages of such lengths.
    pub(super) fn after(self, lengths: impl ExactSizeIterator<Item = usize>) -> Self {
        let count = lengths.len() as i64;
        let bytes: usize = lengths.sum();
        let (position, bytes) = (self.position + count, self.bytes + bytes as i64);
        Self { position, bytes, ..self }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: i64,
    pub(super) id: MessageId,
    /// Bytes of its text.
    pub(super) length: i32,
}

impl Log {
    /// `segment`: positions in a segment, the same for all servers.
    pub(super) async fn open(cluster: &Arc<Cluster>, segment: i64) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            segment,
            advance: cluster.prepare(ADVANCE, StatementKind::Conditional).await?,
            add: cluster.prepare(ADD, StatementKind::Conditional).await?,
            read_end: cluster.prepare(READ_END, StatementKind::Scan).await?,
            read_end_serial: cluster.prepare(READ_END, StatementKind::SerialRead).await?,
            read: cluster.prepare(READ, StatementKind::Scan).await?,
            read_serial: cluster.prepare(READ, StatementKind::SerialRead).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            known_end: AtomicI64::new(0),
            appended: Notify::new(),
        })
    }

    /// The segment of a position.
    pub(super) const fn segment_of(&self, position: i64) -> i64 {
        position / self.segment
    }

    /// How many messages fit behind that position in its segment.
    pub(super) fn room(&self, end: End) -> usize {
        let used = end.position % self.segment;
        usize::try_from(self.segment - used).unwrap_or(0)
    }

    /// Appends at that end, all in one segment; the new end, or `None` if others have appended.
    pub(super) async fn append(
        &self,
        end: End,
        messages: &[(MessageId, usize)],
    ) -> Result<Option<End>, StorageError> {
        self.append_moved(end, messages, end.moved).await
    }

    /// The same, recording up to where a stream was moved; what was recorded is tested with the end, in one
    /// LWT, because it changes only with the end.
    pub(super) async fn append_moved(
        &self,
        end: End,
        messages: &[(MessageId, usize)],
        moved: Option<(Uuid, i64)>,
    ) -> Result<Option<End>, StorageError> {
        let segment = self.segment_of(end.position);
        let new = End { moved, ..end.after(messages.iter().map(|(_, length)| *length)) };
        // A segment that nothing was appended to has no `next`.
        let before = (end.position % self.segment != 0).then_some(end.position);
        let mut statements = vec![self.advance.clone()];
        let mut values: Vec<Box<dyn SerializeRow + Send + Sync>> = vec![Box::new((
            new.position,
            new.bytes,
            MaybeUnset::from_option(moved.map(|(stream, _)| stream)),
            MaybeUnset::from_option(moved.map(|(_, sequence)| sequence)),
            segment,
            before,
        ))];
        for (position, (id, length)) in (end.position..).zip(messages) {
            statements.push(self.add.clone());
            values.push(Box::new((segment, position, id.0, i32::try_from(*length).unwrap_or(0))));
        }
        let appended = applied(self.cluster.batch(statements, values).await?)?;
        if appended {
            self.know(new.position);
            self.appended.notify_waiters();
        }
        Ok(appended.then_some(new))
    }

    /// The entry at a position, linearizable: an append that is under way there is completed or lost.
    pub(super) async fn settled_entry(&self, position: i64) -> Result<Option<Entry>, StorageError> {
        let values = (self.segment_of(position), position, 1);
        let found = rows(self.cluster.execute(&self.read_serial, values).await?)?;
        Ok(found.into_iter().next().map(entry).filter(|entry| entry.position == position))
    }

    /// Where the log ends; `serial`: with all appends that are under way.
    pub(super) async fn end(&self, serial: bool) -> Result<End, StorageError> {
        let known = self.known_end.load(Ordering::Relaxed);
        let mut segment = self.last_segment(self.segment_of(known)).await?;
        let mut end = self.segment_end(segment, serial).await?;
        while let Some(found) = end.filter(|end| self.segment_of(end.position) > segment) {
            segment += 1;
            end = self.segment_end(segment, serial).await?.or(Some(found));
        }
        let end = match end {
            // Nothing in this segment: it is the first, or it was begun by a write that was lost.
            None if segment > 0 => self.segment_end(segment - 1, serial).await?.unwrap_or_default(),
            end => end.unwrap_or_default(),
        };
        self.know(end.position);
        Ok(end)
    }

    /// The last segment that is in use, at or after that one: all before it are full.
    async fn last_segment(&self, from: i64) -> Result<i64, StorageError> {
        let (mut last, mut stride, mut grows) = (from, 1, true);
        while stride > 0 {
            let is_used = self.segment_end(last + stride, false).await?.is_some();
            if is_used {
                last += stride;
            }
            grows &= is_used;
            stride = if grows { stride * 2 } else { stride / 2 };
        }
        Ok(last)
    }

    async fn segment_end(&self, segment: i64, serial: bool) -> Result<Option<End>, StorageError> {
        let statement = if serial { &self.read_end_serial } else { &self.read_end };
        let row = optional_row::<(Option<i64>, Option<i64>, Option<Uuid>, Option<i64>)>(
            self.cluster.execute(statement, (segment,)).await?,
        )?;
        let end = |(next, bytes, stream, sequence): (Option<i64>, Option<i64>, _, _)| {
            let moved = Option::zip(stream, sequence);
            Some(End { position: next?, bytes: bytes?, moved })
        };
        Ok(row.and_then(end))
    }

    /// Up to `limit` entries from a position on, without a gap.
    pub(super) async fn read(&self, from: i64, limit: usize) -> Result<Vec<Entry>, StorageError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut expected = from;
        loop {
            let begun = expected;
            let first = self.segment_of(expected);
            let segments = first..first + if entries.is_empty() { 1 } else { CONCURRENCY };
            let parts =
                segments.map(|n| self.read_segment(n, expected.max(n * self.segment), limit));
            for part in try_join_all(parts).await? {
                for entry in part {
                    // An append that this read does not see may lie between.
                    if entry.position != expected || entries.len() == limit {
                        return Ok(entries);
                    }
                    expected += 1;
                    entries.push(entry);
                }
            }
            // The last one that was read is not full.
            if expected % self.segment != 0 || entries.len() == limit || expected == begun {
                return Ok(entries);
            }
        }
    }

    async fn read_segment(
        &self,
        segment: i64,
        from: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let found = self.cluster.execute(&self.read, (segment, from, limit)).await?;
        Ok(rows(found)?.into_iter().map(entry).collect())
    }

    /// Whether the log has an entry of a message, at that position or after it.
    pub(super) async fn contains(&self, id: MessageId, from: i64) -> Result<bool, StorageError> {
        let mut from = from;
        loop {
            let entries = self.read(from, self.segment as usize).await?;
            let Some(last) = entries.last() else { return Ok(false) };
            if entries.iter().any(|entry| entry.id == id) {
                return Ok(true);
            }
            from = last.position + 1;
        }
    }

    /// The last entry of a full segment, if it is kept.
    pub(super) async fn last_entry(&self, segment: i64) -> Result<Option<Entry>, StorageError> {
        let last = (segment + 1) * self.segment - 1;
        Ok(self.read_segment(segment, last, 1).await?.into_iter().next())
    }

    /// Removes the entries of a full segment. Where the next one begins stays known.
    pub(super) async fn remove(&self, segment: i64) -> Result<(), StorageError> {
        let values = (segment, segment * self.segment);
        self.cluster.execute(&self.remove, values).await.map(drop)
    }

    /// A position that the end of the log is not before.
    pub(super) fn known_end(&self) -> i64 {
        self.known_end.load(Ordering::Relaxed)
    }

    /// Notes that the end of the log is not before a position.
    pub(super) fn know(&self, position: i64) {
        self.known_end.fetch_max(position, Ordering::Relaxed);
    }
}

fn entry((position, id, length): (i64, Uuid, i32)) -> Entry {
    Entry { position, id: MessageId(id), length }
}
