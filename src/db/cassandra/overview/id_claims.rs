//! Claims of ids under which clients create games.
//!
//! A bulk load writes without conditions, so it would not notice that an id is taken. Therefore a
//! create claims its id before it writes the game, and a load reads the claims after it has written
//! its rows. Either the load sees the claim, then it writes that id again by LWT; or the claim came
//! later, then the create's LWT sees the load's row. So exactly one of them has the id, and knows it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::query_result::rows;
use crate::db::storage::StorageError;

/// Ids in one partition, as a power of two: few partitions for a chunk of a load, and none of them
/// large.
const BUCKET_BITS: u32 = 14;

const CLAIM: &str =
    "INSERT INTO $.id_claims (bucket, first_id, end_id) VALUES (?, ?, ?) USING TTL ?";
const READ: &str = "SELECT first_id, end_id FROM $.id_claims WHERE bucket = ?";

/// How long a claim is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::db::cassandra) enum ClaimTtl {
    /// For ids that the counter may still reach.
    Forever,
    /// For ids that the counter has assigned, which no later load reserves. Only a reset of the store,
    /// and so of the counter, can reserve them between a create's id and its game.
    OneHour,
}

impl ClaimTtl {
    /// Zero is without expiry.
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
            // SERIAL reads see every claim that was acknowledged, also where clients read at ONE.
            read: cluster.prepare(READ, StatementKind::SerialRead).await?,
        }))
    }

    /// Claims ids; the whole range is written to each bucket that it touches. Ids below 1 need no
    /// claim, because no load has any.
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

    /// The claimed ids of a range.
    pub(in crate::db::cassandra) async fn claimed_in(
        &self,
        range: &Range<i64>,
    ) -> Result<BTreeSet<i64>, StorageError> {
        let mut ids = BTreeSet::new();
        for bucket in buckets(range) {
            let claims = self.cluster.execute(&self.read, (bucket,)).await?;
            for (first_id, end_id) in rows::<(i64, i64)>(claims)? {
                ids.extend(first_id.max(range.start)..end_id.min(range.end));
            }
        }
        Ok(ids)
    }
}

fn buckets(ids: &Range<i64>) -> impl Iterator<Item = i32> + use<> {
    let last = (ids.end - 1) >> BUCKET_BITS;
    // Ids have 32 bits, so that every bucket fits.
    (ids.start >> BUCKET_BITS..=last).filter_map(|bucket| bucket.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_in_every_bucket_that_it_touches() {
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
