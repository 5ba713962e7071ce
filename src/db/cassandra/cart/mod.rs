//! OrdersTable, stock and payment in Cassandra, which has no transaction over several rows: a checkout is
//! a saga.
//!
//! In this room: what decides, all of it pure ([`balance`], [`order`], [`saga`], [`account_batch`]; checked by
//! `saga_model`); the tables ([`accounts_table`], [`orders_table`], [`pending_index`]); those who op_id ([`runner`] carries
//! a saga out, [`account_batcher`] changes an account for many at once, [`keyed_lock`] lets op_ids on an order in one by
//! one, [`recovery`] ends what others have left); and the op_ids ([`order_edits`], [`checkout`], [`fixtures`],
//! [`audit`]).

mod account_batcher;
mod accounts_table;
mod audit;
mod backoff;
mod balance_cache;
mod checkout;
mod coordinator;
#[cfg(test)]
mod crash_tests;
mod fixtures;
mod keyed_lock;
mod order_edits;
mod orders_table;
mod pending_index;
mod recovery;
mod runner;
mod saga;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::task::AbortOnDropHandle;

use self::accounts_table::AccountKey;
use self::audit::Auditor;
use self::coordinator::CheckoutCoordinator;
use self::fixtures::Fixtures;
use self::saga::balance::AccountOp;
use super::act;
use super::connection::Cluster;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartResult, ErrorKind, FixtureStore, OrderStore, PaymentStore,
    StockStore, StorageError,
};
use crate::telemetry::metrics::Metrics;

pub(super) struct CassandraCart {
    coordinator: Arc<CheckoutCoordinator>,
    fixtures: Arc<Fixtures>,
    auditor: Arc<Auditor>,
    _recovery: AbortOnDropHandle<()>,
}

impl CassandraCart {
    /// Starts recovery too; it ends when this value is dropped.
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
    ) -> Result<Self, StorageError> {
        let coordinator = CheckoutCoordinator::open(cluster, metrics).await?;
        let recovery = recovery::run(Arc::clone(&coordinator), metrics.cart_abandoned.clone());
        Ok(Self {
            fixtures: Arc::new(Fixtures::new()),
            auditor: Arc::new(Auditor::open(cluster).await?),
            _recovery: AbortOnDropHandle::new(tokio::spawn(recovery)),
            coordinator,
        })
    }

    /// Runs an op_id that nobody can cancel.
    async fn act<T, F>(
        &self,
        context: ActContext,
        work: impl FnOnce(Arc<CheckoutCoordinator>) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act(context, work(Arc::clone(&self.coordinator))).await
    }

    /// Makes one move of one account.
    async fn apply_op(&self, context: ActContext, key: AccountKey, op: AccountOp) -> CartResult {
        self.act(context, move |coordinator| async move { coordinator.apply_op(key, op).await })
            .await
    }

    async fn begin(
        &self,
        context: ActContext,
        keys: Vec<AccountKey>,
        begin: AccountOp,
    ) -> Result<(), StorageError> {
        let fixtures = Arc::clone(&self.fixtures);
        self.act(
            context,
            |coordinator| async move { fixtures.begin(&coordinator, keys, begin).await },
        )
        .await
    }
}

#[async_trait]
impl OrderStore for CassandraCart {
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> Result<(), StorageError> {
        self.act(context, |coordinator| async move { coordinator.create_order(order, user).await })
            .await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found = self.coordinator.orders.find(id, false).await?;
        Ok(found.map(|row| row.order(id.clone())))
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.act(context, move |coordinator| async move {
            coordinator.add_item(order, item, quantity).await
        })
        .await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        self.act(context, |coordinator| async move { coordinator.remove_item(order, item).await })
            .await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.act(context, |coordinator| async move { coordinator.remove_order(order).await }).await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        self.act(context, |coordinator| async move { coordinator.checkout(order).await }).await
    }
}

#[async_trait]
impl StockStore for CassandraCart {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> Result<(), StorageError> {
        let begin = AccountOp::Create { available: 0, price: price.signed() };
        self.apply_op(context, AccountKey::Item(item), begin).await?.map_err(unexpected)
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.coordinator.find_item(item).await
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.apply_op(context, AccountKey::Item(item), AccountOp::Add(quantity.signed())).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.apply_op(context, AccountKey::Item(item), AccountOp::Remove(quantity.signed())).await
    }
}

#[async_trait]
impl PaymentStore for CassandraCart {
    async fn create_user(&self, context: ActContext, user: UserId) -> Result<(), StorageError> {
        let begin = AccountOp::Create { available: 0, price: 0 };
        self.apply_op(context, AccountKey::User(user), begin).await?.map_err(unexpected)
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.coordinator.find_credit(user).await
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.apply_op(context, AccountKey::User(user), AccountOp::Add(amount.signed())).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.apply_op(context, AccountKey::User(user), AccountOp::Remove(amount.signed())).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        self.act(context, |coordinator| async move { coordinator.cancel(user, order).await }).await
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let found = self.coordinator.orders.find(order, false).await?;
        Ok(found.filter(|row| row.user == *user).map(|row| row.is_paid()))
    }
}

#[async_trait]
impl FixtureStore for CassandraCart {
    async fn put_orders(
        &self,
        context: ActContext,
        orders: Vec<Order>,
    ) -> Result<(), StorageError> {
        let fixtures = Arc::clone(&self.fixtures);
        self.act(context, |coordinator| async move { fixtures.put(&coordinator, orders).await })
            .await
    }

    async fn put_items(
        &self,
        context: ActContext,
        items: Vec<ItemId>,
        item: Item,
    ) -> Result<(), StorageError> {
        let begin =
            AccountOp::Create { available: item.stock.signed(), price: item.price.signed() };
        self.begin(context, items.into_iter().map(AccountKey::Item).collect(), begin).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> Result<(), StorageError> {
        let begin = AccountOp::Create { available: credit.signed(), price: 0 };
        self.begin(context, users.into_iter().map(AccountKey::User).collect(), begin).await
    }
}

#[async_trait]
impl CartAudit for CassandraCart {
    async fn audit(&self) -> Result<Audit, StorageError> {
        let auditor = Arc::clone(&self.auditor);
        self.act(ActContext::new(), |coordinator| async move { auditor.audit(&coordinator).await })
            .await
    }
}

fn unexpected(refused: crate::db::storage::CartRefusal) -> StorageError {
    StorageError::with_source(ErrorKind::Internal, "a new account was refused", refused)
}
