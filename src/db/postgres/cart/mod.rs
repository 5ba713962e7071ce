//! Orders, stock and payment in PostgreSQL.
//!
//! Each write is one call of a function of the schema, one transaction and one round trip; the rules,
//! the locks and their order are in `schema/postgres/functions/cart_*.sql`. Here: how they are called, and
//! what their answers mean. The calls are in [`orders`], [`stock`] and [`payment`], one for each trait.
//! Checkouts, the most frequent of them, are batched in [`checkout`]. Which version
//! of an order a checkout or a cancel is meant for is in [`order_versions`]. [`fixtures`] and
//! [`mod@audit`] have statements of their own.

mod audit;
mod checkout;
mod fixtures;
mod order_versions;
mod orders;
mod payment;
mod stock;

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use self::audit::{audit, nothing_to_repair};
use self::checkout::Checkout;
use self::order_versions::OrderVersions;
use super::batch::{self, Batcher};
use super::connection::Connector;
use super::pool::{Pool, with_client};
use super::session::Sql;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, ErrorKind, FixtureStore, StorageError,
};

/// Ids of two kinds, one after the other.
const IDS: &[Type] = &[Type::TEXT, Type::TEXT];
const ID: &[Type] = &[Type::TEXT];
const ID_AND_AMOUNT: &[Type] = &[Type::TEXT, Type::INT8];

pub(super) struct PostgresCart {
    checkout: Batcher<Checkout>,
    versions: OrderVersions,
    pool: Pool,
    connector: Connector,
}

impl PostgresCart {
    /// `pool` is how many connections it gets besides that of the checkouts.
    pub(super) fn new(connector: &Connector, pool: usize) -> Result<Self, StorageError> {
        Ok(Self {
            checkout: batch::start(connector, Checkout),
            versions: OrderVersions::default(),
            pool: Pool::new(connector, pool)?,
            connector: connector.clone(),
        })
    }

    /// Runs a statement that returns no row.
    async fn execute(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        values: Values,
    ) -> Result<(), StorageError> {
        with_client(&self.pool, context, move |client| async move {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, &borrowed(&values)).await.map(drop)
        })
        .await
    }

    /// Runs a statement that returns at most one row.
    async fn query<T: Send + 'static>(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        values: Values,
        read: fn(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, StorageError> {
        with_client(&self.pool, context, move |client| async move {
            let statement = client.prepare_cached(sql).await?;
            let row = client.query_opt(&statement, &borrowed(&values)).await?;
            row.as_ref().map(read).transpose()
        })
        .await
    }

    /// Calls a function that returns why it refused, if it did.
    async fn call(&self, context: ActContext, sql: Sql<'static>, values: Values) -> CartResult {
        outcome(self.answer(context, sql, values).await?.as_deref())
    }

    /// Calls a function that changes the lines of an order and returns its new version.
    async fn edit(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        order: OrderId,
        values: Values,
    ) -> CartResult {
        let answer = self.answer(context, sql, values).await?;
        let Some(version) = answer.as_deref().and_then(|answer| number_after("version", answer))
        else {
            return outcome(answer.as_deref());
        };
        self.versions.remember(order, version);
        Ok(Ok(()))
    }

    async fn answer(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        values: Values,
    ) -> Result<Option<String>, StorageError> {
        let answer = self.query(context, sql, values, |row| row.try_get::<_, Option<String>>(0));
        Ok(answer.await?.flatten())
    }
}

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

fn text(id: &str) -> Box<dyn ToSql + Sync + Send> {
    Box::new(id.to_owned())
}

fn number(amount: Amount) -> Box<dyn ToSql + Sync + Send> {
    Box::new(amount.signed())
}

fn borrowed(values: &Values) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
}

/// The version that the order has, if the function did nothing because it was meant for another.
fn changed(answer: &str) -> Option<i64> {
    number_after("changed", answer)
}

fn number_after(word: &str, answer: &str) -> Option<i64> {
    answer.strip_prefix(word)?.strip_prefix(' ')?.parse().ok()
}

/// What the answer of a function means: NULL is success.
fn outcome(refused: Option<&str>) -> CartResult {
    let Some(refused) = refused else { return Ok(Ok(())) };
    let (word, id) = refused.split_once(' ').unwrap_or((refused, ""));
    let refused = match (word, ItemId::parse(id), UserId::parse(id)) {
        ("no-order", ..) => CartRefusal::NoOrder,
        ("paid", ..) => CartRefusal::Paid,
        ("not-paid", ..) => CartRefusal::NotPaid,
        ("wrong-user", ..) => CartRefusal::WrongUser,
        ("not-in-order", ..) => CartRefusal::NotInOrder,
        ("empty", ..) => CartRefusal::Empty,
        ("not-enough-credit", ..) => CartRefusal::NotEnoughCredit,
        ("amount-overflow", ..) => CartRefusal::AmountOverflow,
        ("too-many-lines", ..) => CartRefusal::TooManyLines,
        ("no-item", Some(item), _) => CartRefusal::NoItem(item),
        ("out-of-stock", Some(item), _) => CartRefusal::OutOfStock(item),
        ("no-user", _, Some(user)) => CartRefusal::NoUser(user),
        _ => {
            let text = format!("a function of the schema returned `{refused}`");
            return Err(StorageError::new(ErrorKind::Invalid, text));
        }
    };
    Ok(Err(refused))
}

#[async_trait]
impl FixtureStore for PostgresCart {
    async fn put_orders(
        &self,
        context: ActContext,
        orders: Vec<Order>,
    ) -> Result<(), StorageError> {
        fixtures::put_orders(&self.pool, context, orders).await
    }

    async fn put_items(
        &self,
        context: ActContext,
        items: Vec<ItemId>,
        item: Item,
    ) -> Result<(), StorageError> {
        fixtures::put_items(&self.pool, context, items, item).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> Result<(), StorageError> {
        fixtures::put_users(&self.pool, context, users, credit).await
    }
}

#[async_trait]
impl CartAudit for PostgresCart {
    async fn audit(&self) -> Result<Audit, StorageError> {
        audit(&self.connector).await
    }

    async fn repair(&self) -> Result<Audit, StorageError> {
        Err(nothing_to_repair())
    }
}

fn amount(value: i64) -> Result<Amount, StorageError> {
    Amount::stored(value).ok_or_else(damaged)
}

fn damaged() -> StorageError {
    StorageError::new(
        ErrorKind::Invalid,
        "a row of the cart has a value that this program never writes",
    )
}
