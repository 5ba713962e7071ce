//! Fixtures: orders, users and items that replace those of the same ids, each by itself.
//!
//! A paid order is reversed by writing off what it captured (`coordinator`), then overwritten; an
//! account is reset in a new epoch (`saga::balance`). An adaptive limiter bounds the writes in
//! flight and retries them, only for some seconds while no node can be reached: a client waits for the
//! answer. Demo data and `batch_init` come here; production writes do not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use super::accounts_table::AccountKey;
use super::contention::{OPERATION_TIMEOUT, contended};
use super::coordinator::CheckoutCoordinator;
use super::orders_table::OrderRow;
use super::saga::account_batch::AccountRequest;
use super::saga::balance::{AccountOp, Expected, OpOutcome};
use super::saga::order_state::Reversal;
use crate::cart::model::{Order, OrderId};
use crate::db::cassandra::adaptive_limiter::AdaptiveLimiter;
use crate::db::cassandra::retry::by_kind;
use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// Writes that wait at the limiter; how many are in flight the limiter decides.
const CONCURRENCY: usize = 512;
/// How long one try of a reset waits for reservations; the limiter tries again, and slows down.
const RESET_LIMIT: Duration = Duration::from_secs(2);

pub(super) struct Fixtures {
    limiter: AdaptiveLimiter,
    /// Whether the last id was new. Most ids are as the one before, so the next write expects it.
    last_was_new: AtomicBool,
}

impl Fixtures {
    pub(super) fn new() -> Self {
        Self { limiter: AdaptiveLimiter::new(), last_was_new: AtomicBool::new(true) }
    }

    /// Creates accounts, or resets those that exist.
    pub(super) async fn put_accounts(
        &self,
        coordinator: &CheckoutCoordinator,
        context: &ActContext,
        keys: Vec<AccountKey>,
        create: AccountOp,
    ) -> Result<(), StorageError> {
        // One operation id for all tries of an account, so that a repeated try resets nothing.
        let keys = keys.into_iter().map(|key| (key, Uuid::now_v7()));
        let puts = stream::iter(keys).map(|(key, op_id)| async move {
            let put = || self.put_account(coordinator, context, key.clone(), op_id, create);
            self.limiter.run_while(by_kind(Duration::ZERO), put).await
        });
        puts.buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn put_account(
        &self,
        coordinator: &CheckoutCoordinator,
        context: &ActContext,
        key: AccountKey,
        op_id: Uuid,
        op: AccountOp,
    ) -> Result<(), StorageError> {
        let is_new = self.last_was_new.load(Ordering::Relaxed);
        let request = AccountRequest { op_id, op, expected: is_new.then_some(Expected::NoAccount) };
        let context = context.clone().with_timeout(RESET_LIMIT);
        match coordinator.runner.batchers.submit(key, context, request).await? {
            OpOutcome::Done { epoch, .. } => {
                self.last_was_new.store(epoch == 0, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(StorageError::new(
                ErrorKind::Timeout,
                "a checkout has reservations on an account that is to be reset",
            )),
        }
    }

    /// Stores orders in place of those of the same ids.
    pub(super) async fn put_orders(
        &self,
        coordinator: &CheckoutCoordinator,
        context: &ActContext,
        orders: Vec<Order>,
    ) -> Result<(), StorageError> {
        let puts = stream::iter(orders).map(|order| async move {
            let put = || self.put_order(coordinator, context, &order);
            self.limiter.run_while(by_kind(Duration::ZERO), put).await
        });
        puts.buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn put_order(
        &self,
        coordinator: &CheckoutCoordinator,
        context: &ActContext,
        order: &Order,
    ) -> Result<(), StorageError> {
        let new = OrderRow::open(order.user.clone(), order.lines.clone());
        let is_new = self.last_was_new.load(Ordering::Relaxed);
        if is_new && coordinator.runner.orders.replace(&order.id, None, &new).await? {
            return Ok(());
        }
        self.last_was_new.store(false, Ordering::Relaxed);
        let context = context.clone().with_timeout(OPERATION_TIMEOUT);
        let found = self.replace(coordinator, &context, &order.id, &new).await?;
        self.last_was_new.store(!found, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there was an order.
    async fn replace(
        &self,
        coordinator: &CheckoutCoordinator,
        context: &ActContext,
        id: &OrderId,
        new: &OrderRow,
    ) -> Result<bool, StorageError> {
        let deadline = context.deadline();
        let _guard = coordinator.lock_order(id, deadline).await?;
        let orders = &coordinator.runner.orders;
        let mut serial = false;
        while Instant::now() < deadline {
            let row = coordinator.recovery.load_settled(id, serial, deadline).await?;
            let version = row.as_ref().map(|row| row.version);
            match row {
                // Written off first: the audit must find an order for everything captured.
                Some(row) if row.is_paid() => {
                    coordinator.reverse(id, row, Reversal::WriteOff, context, None).await?;
                }
                row => {
                    let next = row.as_ref().map(|row| new.in_place_of(row));
                    if orders.replace(id, version, next.as_ref().unwrap_or(new)).await? {
                        return Ok(row.is_some());
                    }
                }
            }
            serial = true;
        }
        Err(contended())
    }
}
