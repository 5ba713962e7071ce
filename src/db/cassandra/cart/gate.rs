//! Acts of this process on one order take turns: among themselves they need no Paxos.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::house::busy;
use crate::cart::model::OrderId;
use crate::db::storage::StorageError;

#[derive(Default)]
pub(super) struct Gate(Mutex<HashMap<OrderId, Arc<Turn<()>>>>);

/// One's turn; it ends with this value.
pub(super) struct Entered<'a> {
    gate: &'a Gate,
    order: OrderId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Gate {
    /// Waits for one's turn.
    pub(super) async fn enter(
        &self,
        order: &OrderId,
        until: Instant,
    ) -> Result<Entered<'_>, StorageError> {
        let turn = Arc::clone(self.turns().entry(order.clone()).or_default());
        // Made first, so that nobody is left in the map whose turn never comes.
        let mut entered = Entered { gate: self, order: order.clone(), turn: None };
        let owned = timeout_at(until, turn.lock_owned()).await.map_err(|_| busy())?;
        entered.turn = Some(owned);
        Ok(entered)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<OrderId, Arc<Turn<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut turns = self.gate.turns();
        drop(self.turn.take());
        if turns.get(&self.order).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pause::patience;
    use super::*;

    #[tokio::test]
    async fn one_order_is_entered_by_one_at_a_time() {
        let (gate, order) = (Gate::default(), OrderId::new());
        let first = gate.enter(&order, patience()).await.unwrap();
        assert!(gate.enter(&order, Instant::now()).await.is_err());
        drop(gate.enter(&OrderId::new(), Instant::now()).await.unwrap());
        drop(first);
        drop(gate.enter(&order, Instant::now()).await.unwrap());
        assert!(gate.turns().is_empty());
    }
}
