//! The versions of orders, as this server has seen them last.
//!
//! A checkout and a cancel are sent with a version of their order, and the database changes nothing if
//! the order has another one. So a statement that reaches the database late, after its server died,
//! finds that the order was edited, cancelled or paid and cancelled since, and does no harm.
//!
//! Any version that the order had before the statement was sent is safe to send, because versions only
//! grow: one that is out of date costs a second statement. So no version is read in advance. An order
//! that this server does not know gets 0, that of an order which was never edited.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::cart::model::OrderId;

/// Orders that are remembered: some megabytes at most. Then all are forgotten, which is safe.
const CAPACITY: usize = 16_384;

#[derive(Default)]
pub(super) struct OrderVersions(Mutex<HashMap<OrderId, i64>>);

impl OrderVersions {
    /// A version that the order has, or has had.
    pub(super) fn seen(&self, order: &OrderId) -> i64 {
        let versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(order).copied().unwrap_or(0)
    }

    /// Remembers the version that the database has told.
    pub(super) fn remember(&self, order: OrderId, version: i64) {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.len() >= CAPACITY {
            versions.clear();
        }
        versions.insert(order, version);
    }

    /// Forgets an order that is gone.
    pub(super) fn forget(&self, order: &OrderId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_order_has_version_0_and_memory_is_bounded() {
        let versions = OrderVersions::default();
        let order = OrderId::numbered(0);
        assert_eq!(versions.seen(&order), 0);
        versions.remember(order.clone(), 3);
        assert_eq!(versions.seen(&order), 3);
        for number in 1..2 * CAPACITY as u64 {
            versions.remember(OrderId::numbered(number), 1);
        }
        assert_eq!(versions.seen(&order), 0, "forgotten");
        assert!(versions.0.lock().unwrap().len() <= CAPACITY);
        let last = OrderId::numbered(2 * CAPACITY as u64 - 1);
        versions.forget(&last);
        assert_eq!(versions.seen(&last), 0);
    }
}
