//! Acts of this process on one order take turns: among themselves they need no Paxos.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as OrderTransition, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::coordinator::contended;
use crate::cart::model::OrderId;
use crate::db::storage::StorageError;

#[derive(Default)]
pub(super) struct KeyedLock(Mutex<HashMap<OrderId, Arc<OrderTransition<()>>>>);

/// One's transition; it ends with this value.
pub(super) struct Guard<'a> {
    order_locks: &'a KeyedLock,
    order: OrderId,
    transition: Option<OwnedMutexGuard<()>>,
}

impl KeyedLock {
    /// Waits for one's transition.
    pub(super) async fn enter(
        &self,
        order: &OrderId,
        until: Instant,
    ) -> Result<Guard<'_>, StorageError> {
        let transition = Arc::clone(self.turns().entry(order.clone()).or_default());
        // Made first, so that nobody is left in the map whose transition never comes.
        let mut guard = Guard { order_locks: self, order: order.clone(), transition: None };
        let owned = timeout_at(until, transition.lock_owned()).await.map_err(|_| contended())?;
        guard.transition = Some(owned);
        Ok(guard)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<OrderId, Arc<OrderTransition<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut turns = self.order_locks.turns();
        drop(self.transition.take());
        if turns.get(&self.order).is_some_and(|transition| Arc::strong_count(transition) == 1) {
            turns.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::backoff::deadline;
    use super::*;

    #[tokio::test]
    async fn one_order_is_entered_by_one_at_a_time() {
        let (order_locks, order) = (KeyedLock::default(), OrderId::new());
        let first = order_locks.enter(&order, deadline()).await.unwrap();
        assert!(order_locks.enter(&order, Instant::now()).await.is_err());
        drop(order_locks.enter(&OrderId::new(), Instant::now()).await.unwrap());
        drop(first);
        drop(order_locks.enter(&order, Instant::now()).await.unwrap());
        assert!(order_locks.turns().is_empty());
    }
}
