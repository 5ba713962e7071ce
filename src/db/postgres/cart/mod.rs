//! Orders, stock and payment in PostgreSQL.
//!
//! Each write is one call of a function of the schema, one transaction and one round trip; the rules,
//! the locks and their order are in `schema/postgres/functions/cart_*.sql`. Here: the calls, and what
//! their answers mean. Checkouts, the most frequent of them, are batched in [`checkout`]. Which version
//! of an order a checkout or a cancel is meant for is in [`order_versions`]. [`fixtures`] and
//! [`mod@audit`] have statements of their own.

mod audit;
mod checkout;
mod fixtures;
mod order_versions;

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
use crate::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, ErrorKind, FixtureStore, OrderStore,
    PaymentStore, StockStore, StorageError,
};

/// Ids of two kinds, one after the other.
const IDS: &[Type] = &[Type::TEXT, Type::TEXT];
const ID: &[Type] = &[Type::TEXT];
const ID_AND_AMOUNT: &[Type] = &[Type::TEXT, Type::INT8];

const CREATE_ORDER: Sql<'_> =
    Sql { text: "INSERT INTO cart_orders (order_id, user_id) VALUES ($1, $2)", types: IDS };
const ORDER: Sql<'_> = Sql {
    text: "SELECT user_id, paid, items, quantities, costs FROM cart_orders WHERE order_id = $1",
    types: ID,
};
const ADD_ITEM: Sql<'_> =
    Sql { text: "SELECT cart_add_item($1, $2, $3)", types: &[Type::TEXT, Type::TEXT, Type::INT8] };
const REMOVE_ITEM: Sql<'_> = Sql { text: "SELECT cart_remove_item($1, $2)", types: IDS };
const REMOVE_ORDER: Sql<'_> = Sql { text: "SELECT cart_remove_order($1)", types: ID };
const IS_PAID: Sql<'_> =
    Sql { text: "SELECT paid FROM cart_orders WHERE order_id = $1 AND user_id = $2", types: IDS };
const CANCEL: Sql<'_> =
    Sql { text: "SELECT cart_cancel($1, $2, $3)", types: &[Type::TEXT, Type::TEXT, Type::INT8] };
const CREATE_ITEM: Sql<'_> = Sql {
    text: "INSERT INTO cart_items (item_id, price, stock, added) VALUES ($1, $2, 0, 0)",
    types: ID_AND_AMOUNT,
};
const ITEM: Sql<'_> =
    Sql { text: "SELECT stock, price FROM cart_items WHERE item_id = $1", types: ID };
const CREATE_USER: Sql<'_> =
    Sql { text: "INSERT INTO cart_users (user_id, credit, funded) VALUES ($1, 0, 0)", types: ID };
const CREDIT: Sql<'_> = Sql { text: "SELECT credit FROM cart_users WHERE user_id = $1", types: ID };

const ADD_STOCK: Sql<'_> = Sql { text: "SELECT cart_add_stock($1, $2)", types: ID_AND_AMOUNT };
const SUBTRACT_STOCK: Sql<'_> =
    Sql { text: "SELECT cart_subtract_stock($1, $2)", types: ID_AND_AMOUNT };
const ADD_FUNDS: Sql<'_> = Sql { text: "SELECT cart_add_funds($1, $2)", types: ID_AND_AMOUNT };
const PAY: Sql<'_> = Sql { text: "SELECT cart_pay($1, $2)", types: ID_AND_AMOUNT };

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
impl OrderStore for PostgresCart {
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> CartResult<OrderId> {
        let values = vec![text(order.as_str()), text(user.as_str())];
        self.execute(context, CREATE_ORDER, values).await?;
        Ok(Ok(order))
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found =
            self.query(ActContext::new(), ORDER, vec![text(id.as_str())], order_row).await?;
        found.map(|found| found.order(id.clone())).transpose()
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        let values = vec![text(order.as_str()), text(item.as_str()), number(quantity)];
        self.edit(context, ADD_ITEM, order, values).await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        let values = vec![text(order.as_str()), text(item.as_str())];
        self.edit(context, REMOVE_ITEM, order, values).await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.versions.forget(&order);
        self.call(context, REMOVE_ORDER, vec![text(order.as_str())]).await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        let version = self.versions.seen(&order);
        let mut request = checkout::Request { order, version };
        loop {
            // A repetition is only sent by a server that still has the request, within its deadline.
            match self.checkout.submit(context.clone(), request).await? {
                checkout::Response::Ended(refused) => return outcome(refused.as_deref()),
                checkout::Response::Changed(order, version) => {
                    self.versions.remember(order.clone(), version);
                    request = checkout::Request { order, version };
                }
            }
        }
    }
}

#[async_trait]
impl StockStore for PostgresCart {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> CartResult<ItemId> {
        self.execute(context, CREATE_ITEM, vec![text(item.as_str()), number(price)]).await?;
        Ok(Ok(item))
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        let found = |row: &Row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?));
        match self.query(ActContext::new(), ITEM, vec![text(item.as_str())], found).await? {
            Some((stock, price)) => Ok(Some(Item { stock: amount(stock)?, price: amount(price)? })),
            None => Ok(None),
        }
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.call(context, ADD_STOCK, vec![text(item.as_str()), number(quantity)]).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.call(context, SUBTRACT_STOCK, vec![text(item.as_str()), number(quantity)]).await
    }
}

#[async_trait]
impl PaymentStore for PostgresCart {
    async fn create_user(&self, context: ActContext, user: UserId) -> CartResult<UserId> {
        self.execute(context, CREATE_USER, vec![text(user.as_str())]).await?;
        Ok(Ok(user))
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        let found = |row: &Row| row.try_get::<_, i64>(0);
        let credit =
            self.query(ActContext::new(), CREDIT, vec![text(user.as_str())], found).await?;
        credit.map(amount).transpose()
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.call(context, ADD_FUNDS, vec![text(user.as_str()), number(amount)]).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.call(context, PAY, vec![text(user.as_str()), number(amount)]).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        let mut version = self.versions.seen(&order);
        loop {
            let values = vec![text(user.as_str()), text(order.as_str()), Box::new(version) as _];
            let answer = self.answer(context.clone(), CANCEL, values).await?;
            match answer.as_deref().and_then(changed) {
                Some(present) => version = present,
                None if answer.is_some() => return outcome(answer.as_deref()),
                None => {
                    self.versions.remember(order, version + 1);
                    return Ok(Ok(()));
                }
            }
        }
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let values = vec![text(order.as_str()), text(user.as_str())];
        self.query(ActContext::new(), IS_PAID, values, |row| row.try_get(0)).await
    }
}

#[async_trait]
impl FixtureStore for PostgresCart {
    async fn find_outcome(
        &self,
        _context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        Ok(None)
    }

    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult {
        fixtures::put_orders(&self.pool, context, orders).await.map(Ok)
    }

    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult {
        fixtures::put_items(&self.pool, context, items, item).await.map(Ok)
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult {
        fixtures::put_users(&self.pool, context, users, credit).await.map(Ok)
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

/// An order's row as the driver decodes it.
struct OrderRow {
    user: String,
    paid: bool,
    items: Vec<String>,
    quantities: Vec<i64>,
    costs: Vec<i64>,
}

fn order_row(row: &Row) -> Result<OrderRow, Error> {
    Ok(OrderRow {
        user: row.try_get(0)?,
        paid: row.try_get(1)?,
        items: row.try_get(2)?,
        quantities: row.try_get(3)?,
        costs: row.try_get(4)?,
    })
}

impl OrderRow {
    fn order(self, id: OrderId) -> Result<Order, StorageError> {
        let user = UserId::parse(&self.user).ok_or_else(damaged)?;
        let mut lines = Vec::with_capacity(self.items.len());
        for ((item, quantity), cost) in self.items.iter().zip(self.quantities).zip(self.costs) {
            let item = ItemId::parse(item).ok_or_else(damaged)?;
            lines.push(Line { item, quantity: amount(quantity)?, cost: amount(cost)? });
        }
        Ok(Order { id, user, paid: self.paid, lines })
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
