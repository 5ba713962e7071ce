//! Test beds: orders, items and users that take the place of those of the same ids, each by itself.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use super::accounts::Key;
use super::house::{House, busy};
use super::ledger::{Expected, Move};
use super::order::Undo;
use super::pause::patience;
use super::plan::Ask;
use super::rows::OrderRow;
use super::saga::Moved;
use crate::cart::model::{Order, OrderId};
use crate::db::cassandra::window::Window;
use crate::db::storage::{Kind, StorageError};

/// Writes under way at most; the window has the last word.
const AT_ONCE: usize = 512;

pub(super) struct Beds {
    window: Window,
    /// Whether the last one that was put was new: most are as the one before.
    fresh: AtomicBool,
}

impl Beds {
    pub(super) fn new() -> Self {
        Self { window: Window::new(), fresh: AtomicBool::new(true) }
    }

    /// Begins accounts anew.
    pub(super) async fn begin(
        &self,
        house: &House,
        keys: Vec<Key>,
        begin: Move,
    ) -> Result<(), StorageError> {
        let keys = keys.into_iter().map(|key| (key, Uuid::now_v7()));
        let puts = stream::iter(keys).map(|(key, act)| async move {
            self.window.run(|| self.begin_one(house, key.clone(), act, begin)).await
        });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn begin_one(
        &self,
        house: &House,
        key: Key,
        act: Uuid,
        wanted: Move,
    ) -> Result<(), StorageError> {
        let fresh = self.fresh.load(Ordering::Relaxed);
        let expected = fresh.then_some(Expected::NoPartition);
        // The window tries again, and learns from that.
        let until = Instant::now() + std::time::Duration::from_secs(2);
        match house.desks.ask(key, Ask { act, wanted, expected, until }).await? {
            Moved::Done { epoch } => {
                self.fresh.store(epoch == 0, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(StorageError::new(Kind::Timeout, "a checkout holds on to what is put anew")),
        }
    }

    /// Stores orders in place of others.
    pub(super) async fn put(&self, house: &House, orders: Vec<Order>) -> Result<(), StorageError> {
        let puts = stream::iter(orders)
            .map(|order| async move { self.window.run(|| self.put_one(house, &order)).await });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn put_one(&self, house: &House, order: &Order) -> Result<(), StorageError> {
        let new = OrderRow::open(order.user.clone(), order.lines.clone());
        let fresh = self.fresh.load(Ordering::Relaxed);
        if fresh && house.orders.replace(&order.id, None, &new).await? {
            return Ok(());
        }
        self.fresh.store(false, Ordering::Relaxed);
        let found = self.replace(house, &order.id, &new).await?;
        self.fresh.store(!found, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there was an order.
    async fn replace(
        &self,
        house: &House,
        id: &OrderId,
        new: &OrderRow,
    ) -> Result<bool, StorageError> {
        let until = patience();
        let _turn = house.gate.enter(id, until).await?;
        let mut certain = false;
        while Instant::now() < until {
            let row = house.at_rest(id, certain, until).await?;
            let stamp = row.as_ref().map(|row| row.stamp);
            match row {
                Some(row) if row.is_paid() => {
                    house.undo(id, row, Undo::Erase, until).await?;
                }
                row => {
                    let next = row.as_ref().map(|row| new.in_place_of(row));
                    if house.orders.replace(id, stamp, next.as_ref().unwrap_or(new)).await? {
                        return Ok(row.is_some());
                    }
                }
            }
            certain = true;
        }
        Err(busy())
    }
}
