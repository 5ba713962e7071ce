//! The attempts that may not have ended, for recovery to find.
//!
//! An attempt is noted before it changes anything. It is in the slot of its time; the slots that are
//! in use are listed. So recovery reads a reason list, and each slot but once or twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::orders_table::damaged;
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::retry::retry_transient;
use crate::db::storage::StorageError;

/// How long an attempt is its owner's alone.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How far clocks of servers may be apart before recoverers disturb owners. (They never do harm.)
const MARGIN: Duration = Duration::from_secs(3);
/// The length of a slot.
const SLOT: Duration = Duration::from_secs(5);
/// Partitions of a slot.
const SHARDS: i32 = 8;

const LIST: &str = "INSERT INTO $.cart_slots (name, slot) VALUES ('attempts', ?)";
const LISTED: &str = "SELECT slot FROM $.cart_slots WHERE name = 'attempts'";
const CLOSE: &str = "DELETE FROM $.cart_slots WHERE name = 'attempts' AND slot = ?";
const NOTE: &str =
    "INSERT INTO $.cart_attempts (slot, shard, attempt, order_id) VALUES (?, ?, ?, ?)";
const CLEAR: &str = "DELETE FROM $.cart_attempts WHERE slot = ? AND shard = ? AND attempt = ?";
const NOTED: &str = "SELECT attempt, order_id FROM $.cart_attempts WHERE slot = ? AND shard = ?";

pub(super) struct Attempts {
    cluster: Arc<Cluster>,
    /// The slot that this process listed last.
    listed_last: AtomicI64,
    list: PreparedStatement,
    listed: PreparedStatement,
    close: PreparedStatement,
    note: PreparedStatement,
    clear: PreparedStatement,
    noted: PreparedStatement,
}

impl Attempts {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            listed_last: AtomicI64::new(-1),
            list: cluster.prepare(LIST, StatementKind::Plain).await?,
            listed: cluster.prepare(LISTED, StatementKind::Scan).await?,
            close: cluster.prepare(CLOSE, StatementKind::Plain).await?,
            note: cluster.prepare(NOTE, StatementKind::Plain).await?,
            clear: cluster.prepare(CLEAR, StatementKind::Plain).await?,
            noted: cluster.prepare(NOTED, StatementKind::Scan).await?,
        })
    }

    /// Notes an attempt that has not begun.
    pub(super) async fn note(&self, attempt: Uuid, order: &OrderId) -> Result<(), StorageError> {
        let slot = slot_of(attempt);
        if self.listed_last.load(Ordering::Relaxed) != slot {
            self.cluster.execute(&self.list, (slot,)).await?;
            self.listed_last.store(slot, Ordering::Relaxed);
        }
        let values = (slot, shard_of(attempt), attempt, order.as_str());
        self.cluster.execute(&self.note, values).await.map(drop)
    }

    /// Nothing is left to do about the attempt.
    pub(super) async fn clear(&self, attempt: Uuid) -> Result<(), StorageError> {
        let values = (slot_of(attempt), shard_of(attempt), attempt);
        self.cluster.execute(&self.clear, values).await.map(drop)
    }

    /// The slots in which all leases are over, the oldest first.
    pub(super) async fn over(&self) -> Result<Vec<i64>, StorageError> {
        let mut slots = self.slots().await?;
        slots.retain(|slot| is_past(millis(SLOT) * (slot + 1)));
        Ok(slots)
    }

    /// The slots that are in use, the oldest first.
    async fn slots(&self) -> Result<Vec<i64>, StorageError> {
        let result = self.cluster.execute(&self.listed, ()).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        rows.rows().map_err(shape)?.map(|row| Ok(row.map_err(shape)?).map(|(slot,)| slot)).collect()
    }

    /// How many attempts have not ended, whether their leases are over or not.
    pub(super) async fn unfinished(&self) -> Result<u64, StorageError> {
        let mut count = 0;
        for slot in retry_transient(|| self.slots()).await? {
            count += retry_transient(|| self.noted(slot)).await?.len() as u64;
        }
        Ok(count)
    }

    /// The attempts of a slot that have not ended.
    pub(super) async fn noted(&self, slot: i64) -> Result<Vec<(Uuid, OrderId)>, StorageError> {
        let mut noted = Vec::new();
        for shard in 0..SHARDS {
            let result = self.cluster.execute(&self.noted, (slot, shard)).await?;
            let rows = result.into_rows_result().map_err(shape)?;
            for row in rows.rows::<(Uuid, &str)>().map_err(shape)? {
                let (attempt, order) = row.map_err(shape)?;
                noted.push((attempt, OrderId::parse(order).ok_or_else(damaged)?));
            }
        }
        Ok(noted)
    }

    /// A slot in which all leases are over and nothing is noted will not be needed any more:
    /// nobody begins an attempt whose lease was over when it had been noted.
    pub(super) async fn close(&self, slot: i64) -> Result<(), StorageError> {
        self.cluster.execute(&self.close, (slot,)).await.map(drop)
    }
}

/// A new attempt's id, which tells when its lease began.
pub(super) fn new_attempt() -> Uuid {
    Uuid::now_v7()
}

/// Whether the lease is over by the clock of its owner.
pub(super) fn has_run_out(attempt: Uuid) -> bool {
    now() > began(attempt) + millis(LEASE)
}

/// Whether the lease is over by anybody's clock.
pub(super) fn is_over(attempt: Uuid) -> bool {
    is_past(began(attempt))
}

fn is_past(began: i64) -> bool {
    now() > began + millis(LEASE + MARGIN)
}

fn slot_of(attempt: Uuid) -> i64 {
    began(attempt) / millis(SLOT)
}

fn shard_of(attempt: Uuid) -> i32 {
    i32::from(attempt.as_bytes()[15]) % SHARDS
}

/// Milliseconds since 1970.
fn began(attempt: Uuid) -> i64 {
    let (seconds, nanos) = attempt.get_timestamp().map_or((0, 0), |time| time.to_unix());
    millis(Duration::new(seconds, nanos))
}

fn now() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::{NoContext, Timestamp};

    use super::*;

    /// An attempt whose lease is over.
    pub(crate) fn old_attempt() -> Uuid {
        let began = SystemTime::now() - 2 * (LEASE + MARGIN + SLOT);
        let began = began.duration_since(UNIX_EPOCH).unwrap();
        Uuid::new_v7(Timestamp::from_unix(NoContext, began.as_secs(), began.subsec_nanos()))
    }

    #[test]
    fn an_attempt_tells_when_its_lease_is_over() {
        for (attempt, over) in [(new_attempt(), false), (old_attempt(), true)] {
            assert_eq!((is_over(attempt), has_run_out(attempt)), (over, over));
        }
        assert!((0..SHARDS).contains(&shard_of(new_attempt())));
        assert!(slot_of(old_attempt()) < slot_of(new_attempt()));
    }
}
