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
use super::idempotency::{Claim, IdempotencyKeys};
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, ErrorKind, FixtureStore, Made,
    OrderStore, PaymentStore, StockStore, StorageError,
};
use crate::telemetry::Registry;

pub(super) struct CassandraCart {
    coordinator: Arc<CheckoutCoordinator>,
    keys: Arc<IdempotencyKeys>,
    fixtures: Arc<Fixtures>,
    auditor: Arc<Auditor>,
    _recovery: AbortOnDropHandle<()>,
}

impl CassandraCart {
    /// Starts recovery too; it ends when this value is dropped.
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        keys: &Arc<IdempotencyKeys>,
        registry: &Registry,
    ) -> Result<Self, StorageError> {
        let metrics = CartMetrics::register(registry);
        let coordinator = CheckoutCoordinator::open(cluster, &metrics).await?;
        let (recovery, abandoned) = (Arc::clone(&coordinator.recovery), metrics.abandoned);
        let passes = async move || Arc::clone(&recovery).run(abandoned.clone()).await;
        let recovery = registry.supervisor().supervise("recovery of checkouts", passes);
        Ok(Self {
            keys: Arc::clone(keys),
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

    /// The same once for each key. `new_id` is the id of what the write creates, or empty.
    async fn once<T, F>(
        &self,
        context: ActContext,
        new_id: &str,
        work: impl FnOnce(Arc<CheckoutCoordinator>, ActContext, Option<Claim>) -> F + Send + 'static,
    ) -> CartResult<T>
    where
        T: Made + Send + 'static,
        F: Future<Output = CartResult<T>> + Send + 'static,
    {
        let (keys, new_id) = (Arc::clone(&self.keys), new_id.to_owned());
        self.act(context, |coordinator, context| async move {
            keys.once(&context, new_id, |claim| work(coordinator, context.clone(), claim)).await
        })
        .await
    }

    /// The same for what makes an attempt: its time starts with its permit.
    async fn attempt<F>(
        &self,
        context: ActContext,
        work: impl FnOnce(Arc<CheckoutCoordinator>, ActContext, Option<Claim>) -> F + Send + 'static,
    ) -> CartResult
    where
        F: Future<Output = CartResult> + Send + 'static,
    {
        let (permit, context) = self.coordinator.admit(contention::capped(context)).await?;
        self.once(context, "", |coordinator, context, claim| async move {
            let outcome = work(coordinator, context, claim).await;
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
        self.once(context, "", move |coordinator, context, claim| async move {
            coordinator.runner.batchers.apply(context, claim, key, op).await
        })
        .await
    }

    /// A new account; its id is that of the first request under the key.
    async fn create<M: Made + Clone + Send + 'static>(
        &self,
        context: ActContext,
        id: M,
        account: fn(M) -> AccountKey,
        price: i64,
    ) -> CartResult<M> {
        let create = AccountOp::Create { available: 0, price };
        self.once(context, &id.to_record(), move |coordinator, context, claim| async move {
            let id = claimed(claim.as_ref(), id)?;
            let (batchers, key) = (&coordinator.runner.batchers, account(id.clone()));
            batchers.apply(context, claim, key, create).await?.map_err(unexpected)?;
            Ok(Ok(id))
        })
        .await
    }

    async fn put_accounts(
        &self,
        context: ActContext,
        accounts: Vec<AccountKey>,
        create: AccountOp,
    ) -> CartResult {
        let (fixtures, keys) = (Arc::clone(&self.fixtures), Arc::clone(&self.keys));
        self.act_to_end(context, |coordinator, context| async move {
            fixtures.put_accounts(&coordinator, &context, accounts, create).await?;
            record_fixtures(&keys, &context).await
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
        let new_id = order.to_string();
        self.once(context, &new_id, |coordinator, context, claim| async move {
            let order = claimed(claim.as_ref(), order)?;
            order_edits::create_order(&coordinator, context, claim, order.clone(), user).await?;
            Ok(Ok(order))
        })
        .await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found = self.coordinator.runner.orders.find(id, false).await?;
        Ok(found.filter(|row| !row.is_removed()).map(|row| row.order(id.clone())))
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.once(context, "", move |coordinator, context, claim| async move {
            order_edits::add_item(&coordinator, context, claim, order, item, quantity).await
        })
        .await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        self.once(context, "", |coordinator, context, claim| async move {
            order_edits::remove_item(&coordinator, context, claim, order, item).await
        })
        .await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.once(context, "", |coordinator, context, claim| async move {
            order_edits::remove_order(&coordinator, context, claim, order).await
        })
        .await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        self.attempt(context, |coordinator, context, claim| async move {
            coordinator.checkout(context, claim, order).await
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
        self.create(context, item, AccountKey::Item, price.signed()).await
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
        self.create(context, user, AccountKey::User, 0).await
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
        self.attempt(context, |coordinator, context, claim| async move {
            coordinator.cancel(context, claim, user, order).await
        })
        .await
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let found = self.coordinator.runner.orders.find(order, false).await?;
        let found = found.filter(|row| !row.is_removed() && row.user == *user);
        Ok(found.map(|row| row.is_paid()))
    }
}

#[async_trait]
impl FixtureStore for CassandraCart {
    async fn find_outcome(
        &self,
        context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let Some(key) = context.key() else { return Ok(None) };
        self.keys.find_outcome(key).await
    }

    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult {
        let (fixtures, keys) = (Arc::clone(&self.fixtures), Arc::clone(&self.keys));
        self.act_to_end(context, |coordinator, context| async move {
            fixtures.put_orders(&coordinator, &context, orders).await?;
            record_fixtures(&keys, &context).await
        })
        .await
    }

    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult {
        let create =
            AccountOp::Create { available: item.stock.signed(), price: item.price.signed() };
        self.put_accounts(context, items.into_iter().map(AccountKey::Item).collect(), create).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult {
        let create = AccountOp::Create { available: credit.signed(), price: 0 };
        self.put_accounts(context, users.into_iter().map(AccountKey::User).collect(), create).await
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

/// Records that a request for fixtures is done, if its key is here: with the last chunk.
async fn record_fixtures(keys: &IdempotencyKeys, context: &ActContext) -> CartResult {
    match context.key() {
        Some(key) => keys.record_unclaimed(key, Ok(())).await,
        None => Ok(Ok(())),
    }
}

/// The id of what a request creates: that of its first try.
fn claimed<M: Made>(claim: Option<&Claim>, new_id: M) -> Result<M, StorageError> {
    claim.map_or(Ok(new_id), Claim::new_id)
}

fn unexpected(refused: CartRefusal) -> StorageError {
    StorageError::with_source(ErrorKind::Internal, "a new account was refused", refused)
}
