//! The pending index: the attempts that may not have ended, for recovery to find.
//!
//! An attempt is recorded before it changes anything, in the slot of its start time, and removed when
//! it has ended; the slots in use are listed. So recovery reads one short list and each slot once or
//! twice. Also here: the lease of an attempt. What recovery does with an attempt is in `recovery`.

use std::collections::HashMap;
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

/// How long only its owner runs an attempt.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How far the clocks of servers may differ before recovery interrupts owners, which costs an
/// attempt but no consistency.
const CLOCK_MARGIN: Duration = Duration::from_secs(3);
/// The length of a slot.
const SLOT: Duration = Duration::from_secs(5);
/// Partitions of a slot.
const SHARDS: i32 = 8;

const LIST_SLOT: &str = "INSERT INTO $.cart_slots (name, slot) VALUES ('attempts', ?)";
const SLOTS: &str = "SELECT slot FROM $.cart_slots WHERE name = 'attempts'";
const CLOSE_SLOT: &str = "DELETE FROM $.cart_slots WHERE name = 'attempts' AND slot = ?";
const ADD: &str =
    "INSERT INTO $.cart_attempts (slot, shard, attempt_id, order_id) VALUES (?, ?, ?, ?)";
const REMOVE: &str = "DELETE FROM $.cart_attempts WHERE slot = ? AND shard = ? AND attempt_id = ?";
const ATTEMPTS: &str =
    "SELECT attempt_id, order_id FROM $.cart_attempts WHERE slot = ? AND shard = ?";

pub(super) struct PendingIndex {
    cluster: Arc<Cluster>,
    /// The slot that this process listed last: it need not be listed again.
    last_listed_slot: AtomicI64,
    list_slot: PreparedStatement,
    read_slots: PreparedStatement,
    remove_slot: PreparedStatement,
    add: PreparedStatement,
    remove: PreparedStatement,
    attempts: PreparedStatement,
}

impl PendingIndex {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            last_listed_slot: AtomicI64::new(-1),
            list_slot: cluster.prepare(LIST_SLOT, StatementKind::Plain).await?,
            read_slots: cluster.prepare(SLOTS, StatementKind::Scan).await?,
            remove_slot: cluster.prepare(CLOSE_SLOT, StatementKind::Plain).await?,
            add: cluster.prepare(ADD, StatementKind::Plain).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            attempts: cluster.prepare(ATTEMPTS, StatementKind::Scan).await?,
        })
    }

    /// Records an attempt that has not begun. The slot is listed first: an attempt in a slot that
    /// is not listed would never be found.
    pub(super) async fn add(&self, attempt_id: Uuid, order: &OrderId) -> Result<(), StorageError> {
        let slot = slot_of(attempt_id);
        if self.last_listed_slot.load(Ordering::Relaxed) != slot {
            self.cluster.execute(&self.list_slot, (slot,)).await?;
            self.last_listed_slot.store(slot, Ordering::Relaxed);
        }
        let values = (slot, shard_of(attempt_id), attempt_id, order.as_str());
        self.cluster.execute(&self.add, values).await.map(drop)
    }

    /// Puts an attempt back that the index lacks. Its slot is listed after it, so that a server that
    /// finds the slot finds the attempt. A server that is closing the slot at this moment may still
    /// take it off the list: the caller looks whether the attempt is there.
    pub(super) async fn restore(
        &self,
        attempt_id: Uuid,
        order: &OrderId,
    ) -> Result<(), StorageError> {
        let slot = slot_of(attempt_id);
        let values = (slot, shard_of(attempt_id), attempt_id, order.as_str());
        self.cluster.execute(&self.add, values).await?;
        self.cluster.execute(&self.list_slot, (slot,)).await.map(drop)
    }

    /// Removes an attempt that has ended.
    pub(super) async fn remove(&self, attempt_id: Uuid) -> Result<(), StorageError> {
        let values = (slot_of(attempt_id), shard_of(attempt_id), attempt_id);
        self.cluster.execute(&self.remove, values).await.map(drop)
    }

    /// The slots in which all leases have expired, the oldest first.
    pub(super) async fn expired_slots(&self) -> Result<Vec<i64>, StorageError> {
        let mut slots = self.slots().await?;
        slots.retain(|slot| lease_expired_at(millis(SLOT) * (slot + 1)));
        Ok(slots)
    }

    /// The slots that are in use, the oldest first.
    async fn slots(&self) -> Result<Vec<i64>, StorageError> {
        let result = self.cluster.execute(&self.read_slots, ()).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        rows.rows().map_err(shape)?.map(|row| Ok(row.map_err(shape)?).map(|(slot,)| slot)).collect()
    }

    /// The attempts that have not ended, whether their leases have expired or not, each with its
    /// order.
    pub(super) async fn entries(&self) -> Result<HashMap<Uuid, OrderId>, StorageError> {
        let mut entries = HashMap::new();
        for slot in retry_transient(|| self.slots()).await? {
            entries.extend(retry_transient(|| self.attempts_in(slot)).await?);
        }
        Ok(entries)
    }

    /// The attempts of a slot that have not ended.
    pub(super) async fn attempts_in(
        &self,
        slot: i64,
    ) -> Result<Vec<(Uuid, OrderId)>, StorageError> {
        let mut noted = Vec::new();
        for shard in 0..SHARDS {
            let result = self.cluster.execute(&self.attempts, (slot, shard)).await?;
            let rows = result.into_rows_result().map_err(shape)?;
            for row in rows.rows::<(Uuid, &str)>().map_err(shape)? {
                let (attempt_id, order) = row.map_err(shape)?;
                noted.push((attempt_id, OrderId::parse(order).ok_or_else(damaged)?));
            }
        }
        Ok(noted)
    }

    /// Closes a slot in which all leases have expired and no attempt is left. None can appear later:
    /// an owner does not begin an attempt whose lease had expired when it was recorded.
    pub(super) async fn close_slot(&self, slot: i64) -> Result<(), StorageError> {
        self.cluster.execute(&self.remove_slot, (slot,)).await.map(drop)
    }
}

/// A new attempt's id, a UUIDv7: its time is the start of the lease.
pub(super) fn new_attempt_id() -> Uuid {
    Uuid::now_v7()
}

/// Whether the lease has expired by the clock of its owner.
pub(super) fn owner_lease_expired(attempt_id: Uuid) -> bool {
    now() > started_at(attempt_id) + millis(LEASE)
}

/// Whether the lease has expired, also if the clocks differ by the margin.
pub(super) fn lease_expired(attempt_id: Uuid) -> bool {
    lease_expired_at(started_at(attempt_id))
}

fn lease_expired_at(started_at: i64) -> bool {
    now() > started_at + millis(LEASE + CLOCK_MARGIN)
}

fn slot_of(attempt_id: Uuid) -> i64 {
    started_at(attempt_id) / millis(SLOT)
}

fn shard_of(attempt_id: Uuid) -> i32 {
    i32::from(attempt_id.as_bytes()[15]) % SHARDS
}

/// When the attempt started, in milliseconds since 1970.
fn started_at(attempt_id: Uuid) -> i64 {
    let (seconds, nanos) = attempt_id.get_timestamp().map_or((0, 0), |time| time.to_unix());
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

    /// An attempt whose lease has expired.
    pub(crate) fn expired_attempt_id() -> Uuid {
        let started_at = SystemTime::now() - 2 * (LEASE + CLOCK_MARGIN + SLOT);
        let started_at = started_at.duration_since(UNIX_EPOCH).unwrap();
        Uuid::new_v7(Timestamp::from_unix(
            NoContext,
            started_at.as_secs(),
            started_at.subsec_nanos(),
        ))
    }

    #[test]
    fn an_attempt_id_tells_when_its_lease_expires() {
        for (attempt_id, over) in [(new_attempt_id(), false), (expired_attempt_id(), true)] {
            assert_eq!((lease_expired(attempt_id), owner_lease_expired(attempt_id)), (over, over));
        }
        assert!((0..SHARDS).contains(&shard_of(new_attempt_id())));
        assert!(slot_of(expired_attempt_id()) < slot_of(new_attempt_id()));
    }
}
