//! Leases judged by observation.
//!
//! A record that its owner would have changed or removed within a lease has lost its owner once it
//! was seen unchanged for a whole lease. The time is measured on the observer's own monotonic clock,
//! so it does not matter what the clocks of the servers show. The value of a record must never come
//! back: two equal values at two moments then prove that nothing changed in between.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What this process has seen of records of other owners.
#[derive(Debug)]
pub(in crate::db) struct LeaseObserver<K, V> {
    lease: Duration,
    capacity: usize,
    seen: Mutex<HashMap<K, Observation<V>>>,
}

#[derive(Debug)]
struct Observation<V> {
    value: V,
    first: Instant,
    last: Instant,
}

impl<K: Hash + Eq + Clone, V: PartialEq> LeaseObserver<K, V> {
    /// At most `capacity` records are observed at a time.
    pub(in crate::db) fn new(lease: Duration, capacity: usize) -> Self {
        Self { lease, capacity, seen: Mutex::default() }
    }

    /// Takes in a record that was read before `now`; whether it was seen unchanged for a whole lease.
    pub(in crate::db) fn has_expired(&self, key: &K, value: V, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(key) {
            if known.value == value {
                known.last = known.last.max(now);
                return now.saturating_duration_since(known.first) >= self.lease;
            }
            *known = Observation { value, first: now, last: now };
            return false;
        }
        if seen.len() >= self.capacity {
            // Records that ended are not asked for again.
            let kept_for = 2 * self.lease;
            seen.retain(|_, known| now.saturating_duration_since(known.last) < kept_for);
        }
        // Without room its observation starts later, when others have ended.
        if seen.len() < self.capacity {
            seen.insert(key.clone(), Observation { value, first: now, last: now });
        }
        false
    }

    /// Forgets a record that has ended.
    pub(in crate::db) fn forget(&self, key: &K) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn after(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_expires_when_the_record_was_seen_unchanged_for_its_whole_length() {
        let (observer, begun) = (LeaseObserver::new(LEASE, 8), Instant::now());
        for (seconds, expired) in [(0, false), (14, false), (15, true), (16, true)] {
            assert_eq!(observer.has_expired(&"order", 1, after(begun, seconds)), expired);
        }
    }

    #[test]
    fn a_change_starts_the_lease_again() {
        let (observer, begun) = (LeaseObserver::new(LEASE, 8), Instant::now());
        assert!(!observer.has_expired(&"order", 1, begun));
        assert!(!observer.has_expired(&"order", 2, after(begun, 14)));
        assert!(!observer.has_expired(&"order", 2, after(begun, 28)));
        assert!(observer.has_expired(&"order", 2, after(begun, 29)));
    }

    #[test]
    fn a_record_is_observed_by_itself_and_can_be_forgotten() {
        let (observer, begun) = (LeaseObserver::new(LEASE, 8), Instant::now());
        assert!(!observer.has_expired(&"one", 1, begun));
        assert!(!observer.has_expired(&"other", 1, after(begun, 20)));
        assert!(observer.has_expired(&"one", 1, after(begun, 20)));
        observer.forget(&"one");
        assert!(!observer.has_expired(&"one", 1, after(begun, 40)));
    }

    #[test]
    fn no_more_records_are_kept_than_the_capacity() {
        let (observer, begun) = (LeaseObserver::new(LEASE, 2), Instant::now());
        for key in 0..100 {
            assert!(!observer.has_expired(&key, 1, begun));
        }
        assert_eq!(observer.seen.lock().unwrap().len(), 2);
        // Those that were first keep their place as long as they are asked for.
        assert!(observer.has_expired(&0, 1, after(begun, 20)));
        assert!(!observer.has_expired(&7, 1, after(begun, 35)));
        assert!(observer.has_expired(&0, 1, after(begun, 35)));
        assert!(!observer.has_expired(&1, 1, after(begun, 35)), "forgotten, and no room");
        assert!(observer.has_expired(&7, 1, after(begun, 50)));
        assert_eq!(observer.seen.lock().unwrap().len(), 2);
    }
}
