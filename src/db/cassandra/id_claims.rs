//! Ids that somebody creates a game under.
//!
//! A bulk load writes plainly, so it would not notice that an id is taken. Therefore an id is noted
//! here before a game is created under it, and a load looks here after it has written: either it
//! sees the note and settles the id by LWT, or the note came later, and then the create sees the
//! load's row.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use super::connection::{Cluster, StatementKind};
use super::error::shape;
use crate::db::storage::StorageError;

/// Ids in one partition, as a power of two: few partitions for a chunk of a load, none of them
/// large.
const SLICE_BITS: u32 = 14;

const NOTE: &str = "INSERT INTO $.claims (slice, first, end) VALUES (?, ?, ?) USING TTL ?";
const READ: &str = "SELECT first, end FROM $.claims WHERE slice = ?";

/// How long a note is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum ClaimTtl {
    /// Ids that the counter may yet come to.
    Forever,
    /// Ids that the counter has assigned. They matter to a load only if the store is emptied and
    /// counted anew in the moment between a create's id and its game.
    AnHour,
}

impl ClaimTtl {
    /// Seconds; zero is for ever.
    const fn seconds(self) -> i32 {
        match self {
            Self::Forever => 0,
            Self::AnHour => 3_600,
        }
    }
}

pub(super) struct Claims {
    cluster: Arc<Cluster>,
    note: PreparedStatement,
    read: PreparedStatement,
}

impl Claims {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            cluster: Arc::clone(cluster),
            note: cluster.prepare(NOTE, StatementKind::Plain).await?,
            read: cluster.prepare(READ, StatementKind::SerialRead).await?,
        }))
    }

    /// Notes ids. A range is noted whole in each slice that it touches. Loads have no ids below 1.
    pub(super) async fn note(&self, ids: Range<i64>, ttl: ClaimTtl) -> Result<(), StorageError> {
        for slice in slices(&ids).filter(|_| ids.end > 1) {
            let values = (slice, ids.start, ids.end, ttl.seconds());
            self.cluster.execute(&self.note, values).await?;
        }
        Ok(())
    }

    /// The noted ids of a range.
    pub(super) async fn within(&self, range: &Range<i64>) -> Result<BTreeSet<i64>, StorageError> {
        let mut ids = BTreeSet::new();
        for slice in slices(range) {
            let result = self.cluster.execute(&self.read, (slice,)).await?;
            let rows = result.into_rows_result().map_err(shape)?;
            for row in rows.rows::<(i64, i64)>().map_err(shape)? {
                let (first, end) = row.map_err(shape)?;
                ids.extend(first.max(range.start)..end.min(range.end));
            }
        }
        Ok(ids)
    }
}

fn slices(ids: &Range<i64>) -> impl Iterator<Item = i32> + use<> {
    let last = (ids.end - 1) >> SLICE_BITS;
    // Ids are of 32 bits.
    (ids.start >> SLICE_BITS..=last).filter_map(|slice| slice.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_in_every_slice_it_touches() {
        let size = 1 << SLICE_BITS;
        for (ids, expected) in [
            (1..2, vec![0]),
            (size - 1..size, vec![0]),
            (size - 1..size + 1, vec![0, 1]),
            (size..3 * size + 1, vec![1, 2, 3]),
            (i64::from(i32::MAX)..i64::from(i32::MAX) + 1, vec![i32::MAX >> SLICE_BITS]),
        ] {
            assert_eq!(slices(&ids).collect::<Vec<_>>(), expected, "{ids:?}");
        }
    }
}
