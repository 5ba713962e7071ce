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

use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::storage::StorageError;

/// Ids in one partition, as a power of two: few partitions for a chunk of a load, none of them
/// large.
const BUCKET_BITS: u32 = 14;

const CLAIM: &str =
    "INSERT INTO $.id_claims (bucket, first_id, end_id) VALUES (?, ?, ?) USING TTL ?";
const READ: &str = "SELECT first_id, end_id FROM $.id_claims WHERE bucket = ?";

/// How long a note is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::db::cassandra) enum ClaimTtl {
    /// Ids that the counter may yet come to.
    Forever,
    /// Ids that the counter has assigned. They matter to a load only if the store is emptied and
    /// counted anew in the moment between a create's id and its game.
    OneHour,
}

impl ClaimTtl {
    /// Seconds; zero is for ever.
    const fn seconds(self) -> i32 {
        match self {
            Self::Forever => 0,
            Self::OneHour => 3_600,
        }
    }
}

pub(in crate::db::cassandra) struct IdClaims {
    cluster: Arc<Cluster>,
    claim: PreparedStatement,
    read: PreparedStatement,
}

impl IdClaims {
    pub(in crate::db::cassandra) async fn open(
        cluster: &Arc<Cluster>,
    ) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            cluster: Arc::clone(cluster),
            claim: cluster.prepare(CLAIM, StatementKind::Plain).await?,
            read: cluster.prepare(READ, StatementKind::SerialRead).await?,
        }))
    }

    /// Notes ids. A range is noted whole in each slice that it touches. Loads have no ids below 1.
    pub(in crate::db::cassandra) async fn claim(
        &self,
        ids: Range<i64>,
        ttl: ClaimTtl,
    ) -> Result<(), StorageError> {
        for bucket in buckets(&ids).filter(|_| ids.end > 1) {
            let values = (bucket, ids.start, ids.end, ttl.seconds());
            self.cluster.execute(&self.claim, values).await?;
        }
        Ok(())
    }

    /// The noted ids of a range.
    pub(in crate::db::cassandra) async fn claimed_in(
        &self,
        range: &Range<i64>,
    ) -> Result<BTreeSet<i64>, StorageError> {
        let mut ids = BTreeSet::new();
        for bucket in buckets(range) {
            let result = self.cluster.execute(&self.read, (bucket,)).await?;
            let rows = result.into_rows_result().map_err(shape)?;
            for row in rows.rows::<(i64, i64)>().map_err(shape)? {
                let (first_id, end_id) = row.map_err(shape)?;
                ids.extend(first_id.max(range.start)..end_id.min(range.end));
            }
        }
        Ok(ids)
    }
}

fn buckets(ids: &Range<i64>) -> impl Iterator<Item = i32> + use<> {
    let last = (ids.end - 1) >> BUCKET_BITS;
    // Ids are of 32 bits.
    (ids.start >> BUCKET_BITS..=last).filter_map(|bucket| bucket.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_in_every_slice_it_touches() {
        let size = 1 << BUCKET_BITS;
        for (ids, expected) in [
            (1..2, vec![0]),
            (size - 1..size, vec![0]),
            (size - 1..size + 1, vec![0, 1]),
            (size..3 * size + 1, vec![1, 2, 3]),
            (i64::from(i32::MAX)..i64::from(i32::MAX) + 1, vec![i32::MAX >> BUCKET_BITS]),
        ] {
            assert_eq!(buckets(&ids).collect::<Vec<_>>(), expected, "{ids:?}");
        }
    }
}
