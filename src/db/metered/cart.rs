//! Calls about orders, stock, payment and fixtures.

use async_trait::async_trait;

use super::Metered;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartResult, FixtureStore, OrderStore, PaymentStore, StockStore,
    StorageError,
};

#[async_trait]
impl OrderStore for Metered<dyn OrderStore> {
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> Result<(), StorageError> {
        self.time("order_create", self.inner.create_order(context, order, user)).await
    }

    async fn find_order(&self, order: &OrderId) -> Result<Option<Order>, StorageError> {
        self.time("order_find", self.inner.find_order(order)).await
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        let added = self.inner.add_item(context, order, item, quantity);
        self.time_act("order_add_item", added).await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        self.time_act("order_remove_item", self.inner.remove_item(context, order, item)).await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.time_act("order_remove", self.inner.remove_order(context, order)).await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        self.time_act("checkout", self.inner.checkout(context, order)).await
    }
}

#[async_trait]
impl StockStore for Metered<dyn StockStore> {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> Result<(), StorageError> {
        self.time("item_create", self.inner.create_item(context, item, price)).await
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.time("item_find", self.inner.find_item(item)).await
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.time_act("add_stock", self.inner.add_stock(context, item, quantity)).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.time_act("subtract_stock", self.inner.subtract_stock(context, item, quantity)).await
    }
}

#[async_trait]
impl PaymentStore for Metered<dyn PaymentStore> {
    async fn create_user(&self, context: ActContext, user: UserId) -> Result<(), StorageError> {
        self.time("user_create", self.inner.create_user(context, user)).await
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.time("user_find", self.inner.find_credit(user)).await
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.time_act("add_funds", self.inner.add_funds(context, user, amount)).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.time_act("pay", self.inner.pay(context, user, amount)).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        self.time_act("cancel", self.inner.cancel(context, user, order)).await
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        self.time("order_find", self.inner.is_paid(user, order)).await
    }
}

#[async_trait]
impl FixtureStore for Metered<dyn FixtureStore> {
    async fn put_orders(
        &self,
        context: ActContext,
        orders: Vec<Order>,
    ) -> Result<(), StorageError> {
        self.time("orders_put", self.inner.put_orders(context, orders)).await
    }

    async fn put_items(
        &self,
        context: ActContext,
        items: Vec<ItemId>,
        item: Item,
    ) -> Result<(), StorageError> {
        self.time("items_put", self.inner.put_items(context, items, item)).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> Result<(), StorageError> {
        self.time("users_put", self.inner.put_users(context, users, credit)).await
    }
}

#[async_trait]
impl CartAudit for Metered<dyn CartAudit> {
    async fn audit(&self) -> Result<Audit, StorageError> {
        self.time("audit", self.inner.audit()).await
    }

    async fn repair(&self) -> Result<Audit, StorageError> {
        self.time("audit_repair", self.inner.repair()).await
    }
}
