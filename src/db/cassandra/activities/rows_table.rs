//! The rows of all tables that messages have made.
//!
//! A row is written once, as a whole, under a number that is never used again, and removed as a whole;
//! each at the timestamp of the worker's step. So a write may be repeated, and one that comes late does
//! not undo a later step's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::cells::hash;
use super::redo::{Cells, NewRow, Redo};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::query_result::rows;
use crate::db::storage::StorageError;

/// Rows in a partition.
const BUCKET: i64 = 1_024;
/// Batches in flight.
const CONCURRENCY: usize = 16;
/// Rows, and bytes of values, of one batch.
const BATCH_ROWS: usize = 64;
const BATCH_BYTES: usize = 32_768;
/// Rows of one page of a search.
const PAGE: i32 = 500;
/// Columns by which the index is searched at once; further ones are compared with what was found.
const MAX_HASHES: usize = 4;

const PUT: &str = "UPDATE $.activity_rows USING TIMESTAMP ? SET cells = ?, hashes = hashes + ? \
                   WHERE table_id = ? AND bucket = ? AND row_id = ?";
const DELETE: &str = "DELETE FROM $.activity_rows USING TIMESTAMP ? \
                      WHERE table_id = ? AND bucket = ? AND row_id = ?";
const DROP: &str =
    "DELETE FROM $.activity_rows USING TIMESTAMP ? WHERE table_id = ? AND bucket = ?";
const SEARCH: &str = "SELECT table_id, row_id, cells FROM $.activity_rows WHERE hashes CONTAINS ?";
const PAGE_OF: &str = "SELECT row_id, cells FROM $.activity_rows \
                       WHERE table_id = ? AND bucket = ? AND row_id >= ? AND row_id < ? LIMIT ?";

pub(super) struct RowsTable {
    cluster: Arc<Cluster>,
    put: PreparedStatement,
    delete: PreparedStatement,
    drop: PreparedStatement,
    /// By the number of hashes, from one on.
    searches: Vec<PreparedStatement>,
    page: PreparedStatement,
}

/// A row: its number and its values.
pub(super) type StoredRow = (i64, Cells);

impl RowsTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        let mut searches = Vec::new();
        for hashes in 1..=MAX_HASHES {
            let text = format!("{SEARCH}{}", " AND hashes CONTAINS ?".repeat(hashes - 1));
            let mut search = cluster.prepare(&text, StatementKind::Scan).await?;
            search.set_page_size(PAGE);
            searches.push(search);
        }
        Ok(Self {
            cluster: Arc::clone(cluster),
            put: cluster.prepare(PUT, StatementKind::Plain).await?,
            delete: cluster.prepare(DELETE, StatementKind::Plain).await?,
            drop: cluster.prepare(DROP, StatementKind::Plain).await?,
            searches,
            page: cluster.prepare(PAGE_OF, StatementKind::Scan).await?,
        })
    }

    /// Removes and adds the rows of a step.
    pub(super) async fn write(&self, step: i64, redo: &Redo) -> Result<(), StorageError> {
        let deletes = redo.deletes.iter().flat_map(|(table_id, rows)| {
            rows.chunk_by(|a, b| a / BUCKET == b / BUCKET)
                .flat_map(move |rows| rows.chunks(BATCH_ROWS).map(move |rows| (*table_id, rows)))
        });
        // Collected: a stream that borrows through closures is not `Send` for every lifetime.
        let deletes: Vec<_> =
            deletes.map(|(table_id, rows)| self.delete_batch(step, table_id, rows)).collect();
        drain(deletes).await?;
        let puts: Vec<_> =
            batches(&redo.inserts).into_iter().map(|rows| self.put_batch(step, rows)).collect();
        drain(puts).await
    }

    /// Rows of one partition.
    async fn put_batch(&self, step: i64, rows: &[NewRow]) -> Result<(), StorageError> {
        let values = rows.iter().map(|row| {
            let hashes: BTreeSet<Uuid> = row
                .cells
                .iter()
                .map(|(column, value)| hash(row.table_id, *column, value))
                .collect();
            (step, &row.cells, hashes, row.table_id, row.row_id / BUCKET, row.row_id)
        });
        let statements = vec![self.put.clone(); rows.len()];
        self.cluster.batch(statements, values.collect::<Vec<_>>()).await.map(drop)
    }

    /// Rows of one partition.
    async fn delete_batch(
        &self,
        step: i64,
        table_id: i64,
        rows: &[i64],
    ) -> Result<(), StorageError> {
        let values = rows.iter().map(|row| (step, table_id, row / BUCKET, *row));
        let statements = vec![self.delete.clone(); rows.len()];
        self.cluster.batch(statements, values.collect::<Vec<_>>()).await.map(drop)
    }

    /// Removes all rows of the tables that a step drops.
    pub(super) async fn drop_tables(&self, step: i64, redo: &Redo) -> Result<(), StorageError> {
        for &(table_id, next_row) in &redo.dropped {
            let drops = stream::iter(0..=next_row / BUCKET)
                .map(|bucket| self.cluster.execute(&self.drop, (step, table_id, bucket)));
            drops.buffer_unordered(CONCURRENCY).try_for_each(async |_| Ok(())).await?;
        }
        Ok(())
    }

    /// The rows of a table with all these values, of which there is at least one; more than `limit` if
    /// there are more, but not all of them.
    pub(super) async fn search(
        &self,
        table_id: i64,
        cells: &Cells,
        limit: usize,
    ) -> Result<BTreeMap<i64, Cells>, StorageError> {
        let hashes: Vec<Uuid> = cells
            .iter()
            .take(MAX_HASHES)
            .map(|(column, value)| hash(table_id, *column, value))
            .collect();
        let mut found = BTreeMap::new();
        let Some(statement) = self.searches.get(hashes.len().wrapping_sub(1)) else {
            return Ok(found);
        };
        let mut from = PagingState::start();
        loop {
            let (page, next) = self.cluster.page(statement, &hashes, from).await?;
            for (id, row_id, row) in rows::<(i64, i64, Cells)>(page)? {
                if id == table_id && cells.iter().all(|(n, value)| row.get(n) == Some(value)) {
                    found.insert(row_id, row);
                }
            }
            match next {
                Some(state) if found.len() <= limit => from = state,
                _ => return Ok(found),
            }
        }
    }

    /// The first `limit` rows with numbers of a range, ascending.
    pub(super) async fn page(
        &self,
        table_id: i64,
        range: std::ops::Range<i64>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, StorageError> {
        let mut found = Vec::new();
        let mut bucket = range.start / BUCKET;
        while found.len() < limit && bucket * BUCKET < range.end {
            // Buckets whose rows were removed cost a read each: more at once after an empty one.
            let ahead = if found.is_empty() { CONCURRENCY as i64 } else { 1 };
            let last = ((range.end - 1) / BUCKET).min(bucket + ahead - 1);
            let left = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let reads: Vec<_> = (bucket..=last)
                .map(|bucket| (table_id, bucket, range.start, range.end, left))
                .map(|values| self.cluster.execute(&self.page, values))
                .collect();
            for part in futures::future::try_join_all(reads).await? {
                found.extend(rows::<StoredRow>(part)?);
            }
            bucket = last + 1;
        }
        found.truncate(limit);
        Ok(found)
    }
}

/// Runs writes, so many at once.
async fn drain<F>(writes: Vec<F>) -> Result<(), StorageError>
where
    F: Future<Output = Result<(), StorageError>>,
{
    stream::iter(writes).buffer_unordered(CONCURRENCY).try_for_each(async |()| Ok(())).await
}

/// Rows that are written together: of one partition, up to so many rows and bytes.
fn batches(rows: &[NewRow]) -> Vec<&[NewRow]> {
    let mut bytes = 0;
    let size = |row: &NewRow| row.cells.values().map(|value| value.len() + 40).sum::<usize>();
    let mut count = 0;
    let parts = rows.chunk_by(move |a, b| {
        bytes += size(a);
        count += 1;
        let joins = (a.table_id, a.row_id / BUCKET) == (b.table_id, b.row_id / BUCKET)
            && bytes + size(b) <= BATCH_BYTES
            && count < BATCH_ROWS;
        if !joins {
            (bytes, count) = (0, 0);
        }
        joins
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_of_one_partition_and_bounded() {
        let row = |table_id, row_id, length: usize| NewRow {
            table_id,
            row_id,
            cells: Cells::from([(0, "x".repeat(length))]),
        };
        let sizes = |rows: &[NewRow]| batches(rows).iter().map(|b| b.len()).collect::<Vec<_>>();
        let small: Vec<_> = (1_000..1_100).map(|n| row(1, n, 1)).collect();
        assert_eq!(sizes(&small), [24, 64, 12]);
        let large: Vec<_> = (0..5).map(|n| row(1, n, BATCH_BYTES / 2)).collect();
        assert_eq!(sizes(&large), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(&[row(1, 0, 1), row(2, 1, 1), row(2, 2, 1)]), [1, 2]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
