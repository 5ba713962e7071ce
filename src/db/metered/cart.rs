//! Calls about orders, stock and payment.

use std::sync::Arc;

use async_trait::async_trait;

use super::Meter;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{Audit, CartResult, CartStore, StorageError};

pub(super) struct MeteredCart {
    pub(super) inner: Arc<dyn CartStore>,
    pub(super) meter: Meter,
}

#[async_trait]
impl CartStore for MeteredCart {
    async fn create_order(&self, order: OrderId, user: UserId) -> Result<(), StorageError> {
        self.meter.time("order_create", self.inner.create_order(order, user)).await
    }

    async fn find_order(&self, order: &OrderId) -> Result<Option<Order>, StorageError> {
        self.meter.time("order_find", self.inner.find_order(order)).await
    }

    async fn add_item(&self, order: OrderId, item: ItemId, quantity: Amount) -> CartResult {
        self.meter.time_act("order_add_item", self.inner.add_item(order, item, quantity)).await
    }

    async fn remove_item(&self, order: OrderId, item: ItemId) -> CartResult {
        self.meter.time_act("order_remove_item", self.inner.remove_item(order, item)).await
    }

    async fn remove_order(&self, order: OrderId) -> CartResult {
        self.meter.time_act("order_remove", self.inner.remove_order(order)).await
    }

    async fn checkout(&self, order: OrderId) -> CartResult {
        self.meter.time_act("checkout", self.inner.checkout(order)).await
    }

    async fn cancel(&self, user: UserId, order: OrderId) -> CartResult {
        self.meter.time_act("cancel", self.inner.cancel(user, order)).await
    }

    async fn create_item(&self, item: ItemId, price: Amount) -> Result<(), StorageError> {
        self.meter.time("item_create", self.inner.create_item(item, price)).await
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.meter.time("item_find", self.inner.find_item(item)).await
    }

    async fn add_stock(&self, item: ItemId, quantity: Amount) -> CartResult {
        self.meter.time_act("add_stock", self.inner.add_stock(item, quantity)).await
    }

    async fn subtract_stock(&self, item: ItemId, quantity: Amount) -> CartResult {
        self.meter.time_act("subtract_stock", self.inner.subtract_stock(item, quantity)).await
    }

    async fn create_user(&self, user: UserId) -> Result<(), StorageError> {
        self.meter.time("user_create", self.inner.create_user(user)).await
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.meter.time("user_find", self.inner.find_credit(user)).await
    }

    async fn add_funds(&self, user: UserId, amount: Amount) -> CartResult {
        self.meter.time_act("add_funds", self.inner.add_funds(user, amount)).await
    }

    async fn pay(&self, user: UserId, amount: Amount) -> CartResult {
        self.meter.time_act("pay", self.inner.pay(user, amount)).await
    }

    async fn put_orders(&self, orders: Vec<Order>) -> Result<(), StorageError> {
        self.meter.time("orders_put", self.inner.put_orders(orders)).await
    }

    async fn put_items(&self, items: Vec<ItemId>, item: Item) -> Result<(), StorageError> {
        self.meter.time("items_put", self.inner.put_items(items, item)).await
    }

    async fn put_users(&self, users: Vec<UserId>, credit: Amount) -> Result<(), StorageError> {
        self.meter.time("users_put", self.inner.put_users(users, credit)).await
    }

    async fn audit(&self) -> Result<Audit, StorageError> {
        self.meter.time("audit", self.inner.audit()).await
    }
}
