//! Test fixtures: orders, items and users that take the place of those of the same ids, each by itself.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use super::accounts_table::AccountKey;
use super::backoff::deadline;
use super::coordinator::{CheckoutCoordinator, contended};
use super::orders_table::OrderRow;
use super::saga::account_batch::AccountRequest;
use super::saga::balance::{AccountOp, Expected};
use super::saga::order_state::Reversal;
use super::saga::saga_state::OpOutcome;
use crate::cart::model::{Order, OrderId};
use crate::db::cassandra::adaptive_limiter::AdaptiveLimiter;
use crate::db::storage::{ErrorKind, StorageError};

/// Writes under way at most; the window has the last word.
const AT_ONCE: usize = 512;

pub(super) struct Fixtures {
    limiter: AdaptiveLimiter,
    /// Whether the last one that was put was new: most are as the one before.
    fresh: AtomicBool,
}

impl Fixtures {
    pub(super) fn new() -> Self {
        Self { limiter: AdaptiveLimiter::new(), fresh: AtomicBool::new(true) }
    }

    /// Begins accounts anew.
    pub(super) async fn begin(
        &self,
        coordinator: &CheckoutCoordinator,
        keys: Vec<AccountKey>,
        begin: AccountOp,
    ) -> Result<(), StorageError> {
        let keys = keys.into_iter().map(|key| (key, Uuid::now_v7()));
        let puts = stream::iter(keys).map(|(key, op_id)| async move {
            self.limiter.run(|| self.begin_one(coordinator, key.clone(), op_id, begin)).await
        });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn begin_one(
        &self,
        coordinator: &CheckoutCoordinator,
        key: AccountKey,
        op_id: Uuid,
        op: AccountOp,
    ) -> Result<(), StorageError> {
        let fresh = self.fresh.load(Ordering::Relaxed);
        let expected = fresh.then_some(Expected::NoAccount);
        // The window tries again, and learns from that.
        let deadline = Instant::now() + std::time::Duration::from_secs(2);
        match coordinator
            .batchers
            .submit(key, AccountRequest { op_id, op, expected, deadline })
            .await?
        {
            OpOutcome::Done { epoch } => {
                self.fresh.store(epoch == 0, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(StorageError::new(
                ErrorKind::Timeout,
                "a checkout holds on to what is put anew",
            )),
        }
    }

    /// Stores orders in place of others.
    pub(super) async fn put(
        &self,
        coordinator: &CheckoutCoordinator,
        orders: Vec<Order>,
    ) -> Result<(), StorageError> {
        let puts = stream::iter(orders).map(|order| async move {
            self.limiter.run(|| self.put_one(coordinator, &order)).await
        });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn put_one(
        &self,
        coordinator: &CheckoutCoordinator,
        order: &Order,
    ) -> Result<(), StorageError> {
        let new = OrderRow::open(order.user.clone(), order.lines.clone());
        let fresh = self.fresh.load(Ordering::Relaxed);
        if fresh && coordinator.orders.replace(&order.id, None, &new).await? {
            return Ok(());
        }
        self.fresh.store(false, Ordering::Relaxed);
        let found = self.replace(coordinator, &order.id, &new).await?;
        self.fresh.store(!found, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there was an order.
    async fn replace(
        &self,
        coordinator: &CheckoutCoordinator,
        id: &OrderId,
        new: &OrderRow,
    ) -> Result<bool, StorageError> {
        let deadline = deadline();
        let _guard = coordinator.order_locks.enter(id, deadline).await?;
        let mut serial = false;
        while Instant::now() < deadline {
            let row = coordinator.load_settled(id, serial, deadline).await?;
            let version = row.as_ref().map(|row| row.version);
            match row {
                Some(row) if row.is_paid() => {
                    coordinator.reverse(id, row, Reversal::WriteOff, deadline).await?;
                }
                row => {
                    let next = row.as_ref().map(|row| new.in_place_of(row));
                    if coordinator.orders.replace(id, version, next.as_ref().unwrap_or(new)).await?
                    {
                        return Ok(row.is_some());
                    }
                }
            }
            serial = true;
        }
        Err(contended())
    }
}
