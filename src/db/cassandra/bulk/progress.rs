//! How far a load is: its chunks that are done.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use super::overtaken;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::StoreState;
use crate::db::storage::{ErrorKind, Load, StorageError};

const RECORD: &str =
    "INSERT INTO $.chunks (load, first, end, rows, owner) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS";
const OWNER: &str = "SELECT owner FROM $.chunks WHERE load = ? AND first = ?";
const DONE: &str = "SELECT first, end, rows FROM $.chunks WHERE load = ?";
/// How often a record whose outcome was unknown is tried again.
const ATTEMPTS: usize = 10;

pub(super) struct Progress {
    cluster: Arc<Cluster>,
    record: PreparedStatement,
    owner: PreparedStatement,
    done: PreparedStatement,
}

impl Progress {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            record: cluster.prepare(RECORD, StatementKind::Conditional).await?,
            owner: cluster.prepare(OWNER, StatementKind::SerialRead).await?,
            done: cluster.prepare(DONE, StatementKind::SerialRead).await?,
        })
    }

    /// Records a chunk as done; of two processes that wrote the same one counts it.
    pub(super) async fn record(
        &self,
        load: i64,
        range: &Range<i64>,
        rows: u64,
    ) -> Result<u64, StorageError> {
        let owner = RandomState::new().build_hasher().finish().cast_signed();
        let values = (load, range.start, range.end, rows.cast_signed(), owner);
        for _ in 0..ATTEMPTS {
            let recorded = self.cluster.execute(&self.record, values).await;
            match recorded.and_then(applied) {
                Ok(true) => return Ok(rows),
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                // Perhaps it was this one that did it, and its answer was lost.
                _ => match self.owner_of(load, range.start).await? {
                    Some(found) if found == owner => return Ok(rows),
                    Some(_) => return Err(overtaken()),
                    None => {}
                },
            }
        }
        Err(StorageError::new(ErrorKind::Timeout, "a chunk could not be recorded"))
    }

    async fn owner_of(&self, load: i64, first: i64) -> Result<Option<i64>, StorageError> {
        let result = self.cluster.execute(&self.owner, (load, first)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let row = rows.maybe_first_row::<(i64,)>().map_err(shape)?;
        Ok(row.map(|(owner,)| owner))
    }

    /// The open load of the store.
    pub(super) async fn load(&self, state: &StoreState) -> Result<Load, StorageError> {
        let result = self.cluster.execute(&self.done, (state.load,)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let (mut done, mut written) = (Vec::new(), 0);
        for row in rows.rows::<(i64, i64, i64)>().map_err(shape)? {
            let (first, end, rows) = row.map_err(shape)?;
            done.push(first..end);
            written += rows.cast_unsigned();
        }
        let pending = gaps(&state.spans, &done);
        Ok(Load { id: state.load, seed: state.seed, rows: state.wanted, written, pending })
    }
}

/// What of the spans is not done; both ascend.
pub(super) fn gaps(spans: &[Range<i64>], done: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut gaps = Vec::new();
    for span in spans {
        let mut from = span.start;
        for chunk in done.iter().filter(|chunk| span.contains(&chunk.start)) {
            gaps.push(from..chunk.start);
            from = from.max(chunk.end);
        }
        gaps.push(from..span.end);
    }
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a span is one range")]
    fn gaps_are_what_is_not_done() {
        for (done, expected) in [
            (vec![], vec![1..10, 20..25]),
            (vec![1..4], vec![4..10, 20..25]),
            (vec![4..7], vec![1..4, 7..10, 20..25]),
            (vec![1..4, 4..10, 20..22], vec![22..25]),
            (vec![1..10, 20..25], vec![]),
        ] {
            assert_eq!(gaps(&[1..10, 20..25], &done), expected);
        }
        assert_eq!(gaps(&[1..1], &[]), []);
    }
}
