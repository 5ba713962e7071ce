//! Locks by key, within this process.
//!
//! A conditional write on one partition is slow under contention. Writes of this process on one key
//! therefore take turns before they reach the database; other processes are kept out by the
//! condition alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// A map of locks that holds an entry only for keys that are locked or waited for.
#[derive(Debug)]
pub(in crate::db) struct KeyedLock<K: Hash + Eq>(Mutex<HashMap<K, Arc<AsyncMutex<()>>>>);

/// The lock of one key; dropping it unlocks.
#[derive(Debug)]
pub(in crate::db) struct KeyGuard<'a, K: Hash + Eq> {
    locks: &'a KeyedLock<K>,
    key: K,
    owned: Option<OwnedMutexGuard<()>>,
}

/// The deadline passed before the lock was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) struct DeadlinePassed;

impl<K: Hash + Eq> Default for KeyedLock<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> KeyedLock<K> {
    /// Waits for the lock of a key; those who wait get it in the order in which they came.
    pub(in crate::db) async fn lock(
        &self,
        key: &K,
        deadline: Instant,
    ) -> Result<KeyGuard<'_, K>, DeadlinePassed> {
        let lock = Arc::clone(self.entries().entry(key.clone()).or_default());
        // The guard exists before the wait: if the wait ends early, its drop removes the entry.
        let mut guard = KeyGuard { locks: self, key: key.clone(), owned: None };
        let owned = timeout_at(deadline, lock.lock_owned()).await.map_err(|_| DeadlinePassed)?;
        guard.owned = Some(owned);
        Ok(guard)
    }
}

impl<K: Hash + Eq> KeyedLock<K> {
    fn entries(&self) -> MutexGuard<'_, HashMap<K, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for KeyGuard<'_, K> {
    fn drop(&mut self) {
        let mut entries = self.locks.entries();
        drop(self.owned.take());
        // The map's own reference is the last one: nothing waits for this key.
        if entries.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_at_a_time_and_forgotten_afterwards() {
        let locks = KeyedLock::default();
        let later = Instant::now() + Duration::from_secs(10);
        let first = locks.lock(&1, later).await.unwrap();
        assert_eq!(locks.lock(&1, Instant::now()).await.err(), Some(DeadlinePassed));
        drop(locks.lock(&2, Instant::now()).await.unwrap());
        drop(first);
        drop(locks.lock(&1, Instant::now()).await.unwrap());
        assert!(locks.entries().is_empty());
    }
}
