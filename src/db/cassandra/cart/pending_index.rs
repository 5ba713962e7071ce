//! The pending index: the attempts that may not have ended, for recovery to find.
//!
//! An attempt is recorded before it changes anything, in a slot, and removed when it has ended; the
//! slots in use are listed. So recovery reads one short list, and each slot once or twice.
//!
//! The index is complete whatever the clocks of servers and nodes show, because no time of one
//! machine is compared with a time of another:
//!
//! - A slot has one owner, the process that listed it, and is never listed again. The owner puts new
//!   attempts into it for [`SLOT_USE`], and begins none whose record was acknowledged later than
//!   [`RECORD_LIMIT`] after it started to list the slot, on its own clock; such an attempt is
//!   recorded again in another slot.
//! - Recovery reads a slot when it has seen it listed for [`SLOT_LEASE`] on its own monotonic clock.
//!   That began after the slot was listed, so the records of all attempts that begin are older than
//!   a whole lease: recovery sees them, and a slot that it finds empty stays empty and is closed.
//! - An owner that stops after that check and goes on when recovery has run is fenced in the order,
//!   whose version recovery has changed.
//!
//! Also here: the lease of an attempt. What recovery does with an attempt is in `recovery`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use scylla::statement::prepared::PreparedStatement;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::orders_table::damaged;
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::retry::retry_transient;
use crate::db::storage::{ErrorKind, StorageError};

/// How long only its owner runs an attempt.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How long a slot takes new attempts.
const SLOT_USE: Duration = Duration::from_secs(3);
/// How old a slot may be when the record of an attempt in it is acknowledged.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
/// How long recovery sees a slot listed before all leases in it have expired. Longer than
/// [`RECORD_LIMIT`], or a slot could be closed that still takes attempts; so much longer that
/// monotonic clocks need not run at the same rate.
pub(super) const SLOT_LEASE: Duration = RECORD_LIMIT.saturating_add(LEASE);
/// Partitions of a slot, and of the list of slots: each keeps few tombstones.
const SHARDS: i32 = 8;
/// The bits of an attempt's id that number it in its slot; the others are the slot's.
const NUMBER_BITS: u32 = u32::BITS;

const LIST_SLOT: &str = "INSERT INTO $.cart_slots (shard, slot) VALUES (?, ?)";
const SLOTS: &str = "SELECT slot FROM $.cart_slots WHERE shard IN (0, 1, 2, 3, 4, 5, 6, 7)";
const CLOSE_SLOT: &str = "DELETE FROM $.cart_slots WHERE shard = ? AND slot = ?";
const ADD: &str =
    "INSERT INTO $.cart_attempts (slot, shard, attempt_id, order_id) VALUES (?, ?, ?, ?)";
const REMOVE: &str = "DELETE FROM $.cart_attempts WHERE slot = ? AND shard = ? AND attempt_id = ?";
const ATTEMPTS: &str =
    "SELECT attempt_id, order_id FROM $.cart_attempts WHERE slot = ? AND shard = ?";

pub(super) struct PendingIndex {
    cluster: Arc<Cluster>,
    /// The slot that this process listed last. Locked while another is listed: one attempt lists it,
    /// the others wait.
    current: Mutex<Option<OwnSlot>>,
    list_slot: PreparedStatement,
    read_slots: PreparedStatement,
    remove_slot: PreparedStatement,
    add: PreparedStatement,
    remove: PreparedStatement,
    attempts: PreparedStatement,
}

/// A slot: a UUIDv7 without the bits that number the attempts in it. Its time is for the order of
/// the list only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot(Uuid);

/// A slot that this process has listed.
struct OwnSlot {
    slot: Slot,
    age: Age,
    /// How many attempts were put into it.
    attempts: u32,
}

/// The time since something began, on the monotonic clock, or on the wall clock if that says more: a
/// monotonic clock may stand still while the machine is suspended.
#[derive(Debug, Clone, Copy)]
struct Age(Instant, SystemTime);

impl PendingIndex {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            current: Mutex::default(),
            list_slot: cluster.prepare(LIST_SLOT, StatementKind::Plain).await?,
            read_slots: cluster.prepare(SLOTS, StatementKind::Scan).await?,
            remove_slot: cluster.prepare(CLOSE_SLOT, StatementKind::Plain).await?,
            add: cluster.prepare(ADD, StatementKind::Plain).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            attempts: cluster.prepare(ATTEMPTS, StatementKind::Scan).await?,
        })
    }

    /// Records a new attempt, which has not begun, and gives it its id.
    pub(super) async fn add(
        &self,
        order: &OrderId,
        deadline: Instant,
    ) -> Result<Uuid, StorageError> {
        loop {
            let (attempt_id, slot_age) = self.new_attempt_id(deadline).await?;
            let slot = Slot::of(attempt_id);
            let values = (slot.0, shard_of(attempt_id), attempt_id, order.as_str());
            self.cluster.execute(&self.add, values).await?;
            // Checked when the record is stored: recovery may have closed an older slot without it.
            if slot_age.may_begin() {
                return Ok(attempt_id);
            }
            if Instant::now() > deadline {
                return Err(recorded_too_late());
            }
        }
    }

    /// An id in a slot that is listed and takes new attempts, and the slot's age.
    async fn new_attempt_id(&self, deadline: Instant) -> Result<(Uuid, Age), StorageError> {
        let current = timeout_at(deadline, self.current.lock()).await;
        let mut current = current.map_err(|_| recorded_too_late())?;
        let usable = current.take().filter(|own| own.age.takes_attempts());
        let own = match usable {
            Some(own) => own,
            None => self.list_new_slot().await?,
        };
        let (attempt_id, age) = (own.slot.attempt(own.attempts), own.age);
        *current = Some(OwnSlot { attempts: own.attempts + 1, ..own });
        Ok((attempt_id, age))
    }

    async fn list_new_slot(&self) -> Result<OwnSlot, StorageError> {
        // Its age starts before it is listed: no server can have seen it for longer.
        let own = OwnSlot { slot: Slot::new(), age: Age::start(), attempts: 0 };
        self.cluster.execute(&self.list_slot, (own.slot.shard(), own.slot.0)).await?;
        Ok(own)
    }

    /// Puts the next attempt into a new slot, as if time had passed.
    #[cfg(test)]
    pub(super) async fn leave_slot(&self) {
        *self.current.lock().await = None;
    }

    /// Puts an attempt back that the index lacks: the one case in which a slot is listed again. That is
    /// after the record, so that a server that finds the slot finds the attempt. One that saw the slot
    /// listed before may recover the attempt at once, and one that is closing the slot may take it off
    /// the list again: the caller looks whether the attempt is there.
    pub(super) async fn restore(
        &self,
        attempt_id: Uuid,
        order: &OrderId,
    ) -> Result<(), StorageError> {
        let slot = Slot::of(attempt_id);
        let values = (slot.0, shard_of(attempt_id), attempt_id, order.as_str());
        self.cluster.execute(&self.add, values).await?;
        self.cluster.execute(&self.list_slot, (slot.shard(), slot.0)).await.map(drop)
    }

    /// Removes an attempt that has ended.
    pub(super) async fn remove(&self, attempt_id: Uuid) -> Result<(), StorageError> {
        let values = (Slot::of(attempt_id).0, shard_of(attempt_id), attempt_id);
        self.cluster.execute(&self.remove, values).await.map(drop)
    }

    /// The slots that are listed, the oldest first.
    pub(super) async fn slots(&self) -> Result<Vec<Slot>, StorageError> {
        let result = self.cluster.execute(&self.read_slots, ()).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let slots = rows.rows::<(Uuid,)>().map_err(shape)?;
        let mut slots = slots
            .map(|row| row.map(|(slot,)| Slot(slot)).map_err(shape))
            .collect::<Result<Vec<_>, _>>()?;
        slots.sort_unstable();
        Ok(slots)
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
        slot: Slot,
    ) -> Result<Vec<(Uuid, OrderId)>, StorageError> {
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            let result = self.cluster.execute(&self.attempts, (slot.0, shard)).await?;
            let rows = result.into_rows_result().map_err(shape)?;
            for row in rows.rows::<(Uuid, &str)>().map_err(shape)? {
                let (attempt_id, order) = row.map_err(shape)?;
                found.push((attempt_id, OrderId::parse(order).ok_or_else(damaged)?));
            }
        }
        Ok(found)
    }

    /// Closes a slot that was found empty after it was seen for [`SLOT_LEASE`]. No attempt can begin
    /// in it later.
    pub(super) async fn close_slot(&self, slot: Slot) -> Result<(), StorageError> {
        self.cluster.execute(&self.remove_slot, (slot.shard(), slot.0)).await.map(drop)
    }
}

impl Slot {
    fn new() -> Self {
        Self::of(Uuid::now_v7())
    }

    /// The slot of an attempt.
    fn of(attempt_id: Uuid) -> Self {
        Self(Uuid::from_u128(attempt_id.as_u128() >> NUMBER_BITS << NUMBER_BITS))
    }

    fn attempt(self, number: u32) -> Uuid {
        Uuid::from_u128(self.0.as_u128() | u128::from(number))
    }

    /// The partition of the list that it is in, by its last random byte.
    fn shard(self) -> i32 {
        i32::from(self.0.as_bytes()[11]) % SHARDS
    }
}

impl Age {
    fn start() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// Whether a new attempt may be put into a slot of this age.
    fn takes_attempts(self) -> bool {
        self.elapsed() < SLOT_USE
    }

    /// Whether an attempt may begin whose record was acknowledged when its slot was of this age.
    fn may_begin(self) -> bool {
        self.elapsed() < RECORD_LIMIT
    }

    fn elapsed(self) -> Duration {
        // An error is a wall clock that was set back.
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

fn shard_of(attempt_id: Uuid) -> i32 {
    i32::from(attempt_id.as_bytes()[15]) % SHARDS
}

fn recorded_too_late() -> StorageError {
    StorageError::new(ErrorKind::Conflict, "an attempt could not be recorded in time")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_attempt_id_names_its_slot() {
        let (slot, other) = (Slot::new(), Slot::new());
        assert_ne!(slot, other);
        let attempts: Vec<_> = (0..100).map(|number| slot.attempt(number)).collect();
        assert!(attempts.iter().all(|attempt_id| Slot::of(*attempt_id) == slot));
        assert_eq!(attempts.iter().collect::<HashSet<_>>().len(), 100);
        let shards: HashSet<_> = attempts.iter().map(|attempt_id| shard_of(*attempt_id)).collect();
        assert_eq!(shards, (0..SHARDS).collect());
        assert!((0..SHARDS).contains(&slot.shard()));
    }

    #[test]
    fn a_slot_ages_by_the_clock_that_says_more() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        for (monotonic, wall) in [
            (Instant::now() - 4 * second, SystemTime::now()),
            (Instant::now(), SystemTime::now() - 4 * second),
            // A clock that was set back says nothing.
            (Instant::now() - 4 * second, SystemTime::now() + hour),
        ] {
            let age = Age(monotonic, wall);
            assert!(age.elapsed() >= 4 * second && age.elapsed() < hour, "{age:?}");
            assert!(!age.takes_attempts() && age.may_begin(), "{age:?}");
        }
        let over = Age(Instant::now() - RECORD_LIMIT, SystemTime::now());
        assert!(!over.may_begin() && Age::start().takes_attempts());
    }
}
