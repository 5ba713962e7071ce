//! Orders, stock and payment in Cassandra, which has no transaction over several partitions: a
//! checkout is a saga, a series of conditional writes that are compensated until the order is paid.
//!
//! To follow one checkout, read [`coordinator`] (permit, lock, one attempt), [`saga::saga_state`]
//! (which step comes next), [`runner`] (carrying steps out), [`account_batcher`] (operations on one
//! account as one batch) and [`orders_table`] (the write of `paid` is the commit point). The decisions
//! are all in [`saga`], pure; those about one order and one account are model-checked there.
//!
//! Why a checkout waits on a sold-out item: [`saga::balance`] (`Decision::Wait`); how:
//! [`account_batcher`]; how long: [`contention`].
//!
//! Beside them: [`accounts_table`] and [`pending_index`] (the other tables), [`balance_cache`],
//! [`recovery`] (attempts of servers that stopped), [`order_edits`], [`fixtures`], [`audit`],
//! [`metrics`]. Here: the storage traits, each method handing over to one of these.

mod account_batcher;
mod accounts_table;
mod audit;
mod balance_cache;
mod contention;
mod coordinator;
#[cfg(test)]
mod crash_tests;
mod fixtures;
mod metrics;
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
use self::metrics::CartMetrics;
use self::saga::balance::AccountOp;
use super::act::{act, act_to_end};
use super::connection::Cluster;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, ErrorKind, FixtureStore, OrderStore,
    PaymentStore, StockStore, StorageError,
};
use crate::telemetry::Registry;

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
        registry: &Registry,
    ) -> Result<Self, StorageError> {
        let metrics = CartMetrics::register(registry);
        let coordinator = CheckoutCoordinator::open(cluster, &metrics).await?;
        let (recovery, abandoned) = (Arc::clone(&coordinator.recovery), metrics.abandoned);
        let passes = async move || Arc::clone(&recovery).run(abandoned.clone()).await;
        let recovery = registry.supervisor().supervise("recovery of checkouts", passes);
        Ok(Self {
            fixtures: Arc::new(Fixtures::new()),
            auditor: Arc::new(Auditor::open(cluster).await?),
            _recovery: AbortOnDropHandle::new(tokio::spawn(recovery)),
            coordinator,
        })
    }

    /// Runs a write in a task of its own, and answers by its deadline: neither a client that hangs up
    /// nor the deadline stops it half way.
    async fn act<T, F>(
        &self,
        context: ActContext,
        work: impl FnOnce(Arc<CheckoutCoordinator>, ActContext) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.coordinator), contention::capped(context.clone()));
        act(context, work).await
    }

    /// The same for what makes an attempt: its time starts with its permit.
    async fn attempt<F>(
        &self,
        context: ActContext,
        work: impl FnOnce(Arc<CheckoutCoordinator>, ActContext) -> F + Send + 'static,
    ) -> CartResult
    where
        F: Future<Output = CartResult> + Send + 'static,
    {
        let (permit, context) = self.coordinator.admit(contention::capped(context)).await?;
        self.act(context, |coordinator, context| async move {
            let outcome = work(coordinator, context).await;
            drop(permit);
            outcome
        })
        .await
    }

    /// The same for fixtures and the audit, which take as long as there is to do.
    async fn act_to_end<T, F>(
        &self,
        context: ActContext,
        work: impl FnOnce(Arc<CheckoutCoordinator>, ActContext) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.coordinator), contention::capped(context.clone()));
        act_to_end(context, work).await
    }

    /// One operation on one account.
    async fn apply(&self, context: ActContext, key: AccountKey, op: AccountOp) -> CartResult {
        self.act(context, |coordinator, context| async move {
            coordinator.runner.batchers.apply(context, key, op).await
        })
        .await
    }

    async fn put_accounts(
        &self,
        context: ActContext,
        keys: Vec<AccountKey>,
        create: AccountOp,
    ) -> Result<(), StorageError> {
        let fixtures = Arc::clone(&self.fixtures);
        self.act_to_end(context, |coordinator, context| async move {
            fixtures.put_accounts(&coordinator, &context, keys, create).await
        })
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
    ) -> CartResult<OrderId> {
        self.act(context, |coordinator, context| async move {
            order_edits::create_order(&coordinator, context, order.clone(), user).await?;
            Ok(Ok(order))
        })
        .await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found = self.coordinator.runner.orders.find(id, false).await?;
        Ok(found.map(|row| row.order(id.clone())))
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.act(context, move |coordinator, context| async move {
            order_edits::add_item(&coordinator, context, order, item, quantity).await
        })
        .await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        self.act(context, |coordinator, context| async move {
            order_edits::remove_item(&coordinator, context, order, item).await
        })
        .await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.act(context, |coordinator, context| async move {
            order_edits::remove_order(&coordinator, context, order).await
        })
        .await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        self.attempt(context, |coordinator, context| async move {
            coordinator.checkout(context, order).await
        })
        .await
    }
}

#[async_trait]
impl StockStore for CassandraCart {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> CartResult<ItemId> {
        let create = AccountOp::Create { available: 0, price: price.signed() };
        let created = self.apply(context, AccountKey::Item(item.clone()), create).await?;
        created.map_err(unexpected)?;
        Ok(Ok(item))
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.coordinator.runner.batchers.accounts.find_item(item).await
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.apply(context, AccountKey::Item(item), AccountOp::Add(quantity.signed())).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.apply(context, AccountKey::Item(item), AccountOp::Remove(quantity.signed())).await
    }
}

#[async_trait]
impl PaymentStore for CassandraCart {
    async fn create_user(&self, context: ActContext, user: UserId) -> CartResult<UserId> {
        let create = AccountOp::Create { available: 0, price: 0 };
        let created = self.apply(context, AccountKey::User(user.clone()), create).await?;
        created.map_err(unexpected)?;
        Ok(Ok(user))
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.coordinator.runner.batchers.accounts.find_credit(user).await
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.apply(context, AccountKey::User(user), AccountOp::Add(amount.signed())).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.apply(context, AccountKey::User(user), AccountOp::Remove(amount.signed())).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        self.attempt(context, |coordinator, context| async move {
            coordinator.cancel(context, user, order).await
        })
        .await
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let found = self.coordinator.runner.orders.find(order, false).await?;
        Ok(found.filter(|row| row.user == *user).map(|row| row.is_paid()))
    }
}

#[async_trait]
impl FixtureStore for CassandraCart {
    async fn find_outcome(
        &self,
        _context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        Ok(None)
    }

    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult {
        let fixtures = Arc::clone(&self.fixtures);
        self.act_to_end(context, |coordinator, context| async move {
            fixtures.put_orders(&coordinator, &context, orders).await.map(Ok)
        })
        .await
    }

    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult {
        let create =
            AccountOp::Create { available: item.stock.signed(), price: item.price.signed() };
        self.put_accounts(context, items.into_iter().map(AccountKey::Item).collect(), create)
            .await
            .map(Ok)
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult {
        let create = AccountOp::Create { available: credit.signed(), price: 0 };
        self.put_accounts(context, users.into_iter().map(AccountKey::User).collect(), create)
            .await
            .map(Ok)
    }
}

#[async_trait]
impl CartAudit for CassandraCart {
    async fn audit(&self) -> Result<Audit, StorageError> {
        let auditor = Arc::clone(&self.auditor);
        self.act_to_end(ActContext::new(), |coordinator, _| async move {
            auditor.audit(&coordinator).await
        })
        .await
    }

    async fn repair(&self) -> Result<Audit, StorageError> {
        let auditor = Arc::clone(&self.auditor);
        self.act_to_end(ActContext::new(), |coordinator, _| async move {
            auditor.repair(&coordinator).await
        })
        .await
    }
}

fn unexpected(refused: CartRefusal) -> StorageError {
    StorageError::with_source(ErrorKind::Internal, "a new account was refused", refused)
}
