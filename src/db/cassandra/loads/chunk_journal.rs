//! How far a load is: its chunks that are done.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use super::superseded;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::Metadata;
use crate::db::storage::{ErrorKind, Load, StorageError};

const RECORD: &str = "INSERT INTO $.load_chunks (load_id, first_id, end_id, rows, writer) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS";
const WRITER: &str = "SELECT writer FROM $.load_chunks WHERE load_id = ? AND first_id = ?";
const DONE: &str = "SELECT first_id, end_id, rows FROM $.load_chunks WHERE load_id = ?";
/// How often a record whose outcome was unknown is tried again.
const ATTEMPTS: usize = 10;

pub(super) struct ChunkJournal {
    cluster: Arc<Cluster>,
    record: PreparedStatement,
    writer: PreparedStatement,
    done: PreparedStatement,
}

impl ChunkJournal {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            record: cluster.prepare(RECORD, StatementKind::Conditional).await?,
            writer: cluster.prepare(WRITER, StatementKind::SerialRead).await?,
            done: cluster.prepare(DONE, StatementKind::SerialRead).await?,
        })
    }

    /// Records a chunk as done; of two processes that wrote the same one counts it.
    pub(super) async fn record(
        &self,
        load_id: i64,
        range: &Range<i64>,
        rows: u64,
    ) -> Result<u64, StorageError> {
        let writer = RandomState::new().build_hasher().finish().cast_signed();
        let values = (load_id, range.start, range.end, rows.cast_signed(), writer);
        for _ in 0..ATTEMPTS {
            let recorded = self.cluster.execute(&self.record, values).await;
            match recorded.and_then(applied) {
                Ok(true) => return Ok(rows),
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                // Perhaps it was this one that did it, and its answer was lost.
                _ => match self.writer_of(load_id, range.start).await? {
                    Some(found) if found == writer => return Ok(rows),
                    Some(_) => return Err(superseded()),
                    None => {}
                },
            }
        }
        Err(StorageError::new(ErrorKind::Timeout, "a chunk could not be recorded"))
    }

    async fn writer_of(&self, load_id: i64, first: i64) -> Result<Option<i64>, StorageError> {
        let result = self.cluster.execute(&self.writer, (load_id, first)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let row = rows.maybe_first_row::<(i64,)>().map_err(shape)?;
        Ok(row.map(|(writer,)| writer))
    }

    /// The open load of the store.
    pub(super) async fn load(&self, state: &Metadata) -> Result<Load, StorageError> {
        let result = self.cluster.execute(&self.done, (state.load_id,)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let (mut done, mut written) = (Vec::new(), 0);
        for row in rows.rows::<(i64, i64, i64)>().map_err(shape)? {
            let (first_id, end_id, rows) = row.map_err(shape)?;
            done.push(first_id..end_id);
            written += rows.cast_unsigned();
        }
        let pending = remaining(&state.reserved, &done);
        Ok(Load { id: state.load_id, seed: state.seed, rows: state.rows, written, pending })
    }
}

/// What of the spans is not done; both ascend.
pub(super) fn remaining(reserved: &[Range<i64>], done: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut remaining = Vec::new();
    for range in reserved {
        let mut from = range.start;
        for chunk in done.iter().filter(|chunk| range.contains(&chunk.start)) {
            remaining.push(from..chunk.start);
            from = from.max(chunk.end);
        }
        remaining.push(from..range.end);
    }
    remaining.retain(|range| !range.is_empty());
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a range is one range")]
    fn gaps_are_what_is_not_done() {
        for (done, expected) in [
            (vec![], vec![1..10, 20..25]),
            (vec![1..4], vec![4..10, 20..25]),
            (vec![4..7], vec![1..4, 7..10, 20..25]),
            (vec![1..4, 4..10, 20..22], vec![22..25]),
            (vec![1..10, 20..25], vec![]),
        ] {
            assert_eq!(remaining(&[1..10, 20..25], &done), expected);
        }
        assert_eq!(remaining(&[1..1], &[]), []);
    }
}
