//! Orders, stock and payment in Cassandra, which has no transaction over several rows: a checkout is
//! a saga.
//!
//! In this room: what decides, all of it pure ([`ledger`], [`order`], [`saga`], [`plan`], [`lines`]; checked by
//! `saga_model`); the tables ([`accounts`], [`rows`], [`attempts`]); those who act ([`run`] carries
//! a course out, [`desk`] changes an account for many at once, [`gate`] lets acts on an order in one by
//! one, [`recovery`] ends what others have left); and the acts ([`acts`], [`checkout`], [`beds`],
//! [`audit`]).

mod accounts;
mod acts;
mod attempts;
mod audit;
mod beds;
mod checkout;
mod desk;
mod gate;
mod house;
mod ledger;
#[cfg(test)]
mod left_half_way;
mod lines;
mod order;
mod pause;
mod plan;
mod recovery;
mod rows;
mod run;
mod saga;
#[cfg(test)]
mod saga_model;
mod seen;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::task::AbortOnDropHandle;

use self::accounts::Key;
use self::audit::Auditor;
use self::beds::Beds;
use self::house::House;
use self::ledger::Move;
use super::act;
use super::connection::Cluster;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{Audit, CartStore, Done, Kind, StorageError};
use crate::telemetry::metrics::Metrics;

pub(super) struct CassandraCart {
    house: Arc<House>,
    beds: Arc<Beds>,
    auditor: Arc<Auditor>,
    _recovery: AbortOnDropHandle<()>,
}

impl CassandraCart {
    /// Starts recovery too; it ends when this value is dropped.
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
    ) -> Result<Self, StorageError> {
        let house = House::open(cluster, metrics).await?;
        let recovery = recovery::run(Arc::clone(&house), metrics.cart_abandoned.clone());
        Ok(Self {
            beds: Arc::new(Beds::new()),
            auditor: Arc::new(Auditor::open(cluster).await?),
            _recovery: AbortOnDropHandle::new(tokio::spawn(recovery)),
            house,
        })
    }

    /// Runs an act that nobody can cancel.
    async fn act<T, F>(&self, work: impl FnOnce(Arc<House>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act(work(Arc::clone(&self.house))).await
    }

    /// Makes one move of one account.
    async fn direct(&self, key: Key, wanted: Move) -> Done {
        self.act(move |house| async move { house.direct(key, wanted).await }).await
    }

    async fn begin(&self, keys: Vec<Key>, begin: Move) -> Result<(), StorageError> {
        let beds = Arc::clone(&self.beds);
        self.act(|house| async move { beds.begin(&house, keys, begin).await }).await
    }
}

#[async_trait]
impl CartStore for CassandraCart {
    async fn create_order(&self, order: OrderId, user: UserId) -> Result<(), StorageError> {
        self.act(|house| async move { house.create_order(order, user).await }).await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found = self.house.orders.find(id, false).await?;
        Ok(found.map(|row| row.order(id.clone())))
    }

    async fn add_item(&self, order: OrderId, item: ItemId, quantity: Amount) -> Done {
        self.act(move |house| async move { house.add_item(order, item, quantity).await }).await
    }

    async fn remove_item(&self, order: OrderId, item: ItemId) -> Done {
        self.act(|house| async move { house.remove_item(order, item).await }).await
    }

    async fn remove_order(&self, order: OrderId) -> Done {
        self.act(|house| async move { house.remove_order(order).await }).await
    }

    async fn checkout(&self, order: OrderId) -> Done {
        self.act(|house| async move { house.checkout(order).await }).await
    }

    async fn cancel(&self, user: UserId, order: OrderId) -> Done {
        self.act(|house| async move { house.cancel(user, order).await }).await
    }

    async fn create_item(&self, item: ItemId, price: Amount) -> Result<(), StorageError> {
        let begin = Move::Begin { free: 0, price: price.signed() };
        self.direct(Key::Item(item), begin).await?.map_err(unexpected)
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.house.find_item(item).await
    }

    async fn add_stock(&self, item: ItemId, quantity: Amount) -> Done {
        self.direct(Key::Item(item), Move::Add(quantity.signed())).await
    }

    async fn subtract_stock(&self, item: ItemId, quantity: Amount) -> Done {
        self.direct(Key::Item(item), Move::Remove(quantity.signed())).await
    }

    async fn create_user(&self, user: UserId) -> Result<(), StorageError> {
        let begin = Move::Begin { free: 0, price: 0 };
        self.direct(Key::User(user), begin).await?.map_err(unexpected)
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.house.find_credit(user).await
    }

    async fn add_funds(&self, user: UserId, amount: Amount) -> Done {
        self.direct(Key::User(user), Move::Add(amount.signed())).await
    }

    async fn pay(&self, user: UserId, amount: Amount) -> Done {
        self.direct(Key::User(user), Move::Remove(amount.signed())).await
    }

    async fn put_orders(&self, orders: Vec<Order>) -> Result<(), StorageError> {
        let beds = Arc::clone(&self.beds);
        self.act(|house| async move { beds.put(&house, orders).await }).await
    }

    async fn put_items(&self, items: Vec<ItemId>, item: Item) -> Result<(), StorageError> {
        let begin = Move::Begin { free: item.stock.signed(), price: item.price.signed() };
        self.begin(items.into_iter().map(Key::Item).collect(), begin).await
    }

    async fn put_users(&self, users: Vec<UserId>, credit: Amount) -> Result<(), StorageError> {
        let begin = Move::Begin { free: credit.signed(), price: 0 };
        self.begin(users.into_iter().map(Key::User).collect(), begin).await
    }

    async fn audit(&self) -> Result<Audit, StorageError> {
        let auditor = Arc::clone(&self.auditor);
        self.act(|house| async move { auditor.audit(&house).await }).await
    }
}

fn unexpected(refused: crate::db::storage::Refused) -> StorageError {
    StorageError::caused(Kind::Internal, "a new account was refused", refused)
}
