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
use tokio_util::task::AbortOnDropHandle;

use self::audit::{audit, nothing_to_repair};
use self::checkout::Checkout;
use self::order_versions::OrderVersions;
use super::batch::{self, Batcher};
use super::connection::Connector;
use super::idempotency::{self, milliseconds};
use super::pool::{Pool, with_client};
use super::session::{PgSession, Sql};
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, ErrorKind, FixtureStore, IdempotencyKey,
    Made, StorageError,
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
    _pruning: AbortOnDropHandle<()>,
}

impl PostgresCart {
    /// `pool` is shared with the activities.
    pub(super) fn new(connector: &Connector, pool: Pool) -> Self {
        let prune = {
            let pool = pool.clone();
            async move || idempotency::prune(&pool).await
        };
        let pruning = connector.supervisor().supervise("removal of expired keys", prune);
        Self {
            checkout: batch::start(connector, Checkout),
            versions: OrderVersions::default(),
            pool,
            connector: connector.clone(),
            _pruning: AbortOnDropHandle::new(tokio::spawn(pruning)),
        }
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

    /// Calls a function that returns why it refused, if it did; else gives what the request made.
    async fn call<T: Made>(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        values: Values,
        made: T,
    ) -> CartResult<T> {
        match self.answer(context, sql, values, made.to_record()).await? {
            Answer::New(refused) => Ok(outcome(refused.as_deref())?.map(|()| made)),
            Answer::Recorded(record) => T::from_record(&record).map(Ok).ok_or_else(damaged),
        }
    }

    /// Calls a function that changes the lines of an order and returns its new version.
    async fn edit(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        order: OrderId,
        values: Values,
    ) -> CartResult {
        let answer = match self.answer(context, sql, values, String::new()).await? {
            Answer::New(answer) => answer,
            Answer::Recorded(_) => return Ok(Ok(())),
        };
        let Some(version) = answer.as_deref().and_then(|answer| number_after("version", answer))
        else {
            return outcome(answer.as_deref());
        };
        self.versions.remember(order, version);
        Ok(Ok(()))
    }

    /// Calls a function, once for each key; `record` is what the request makes.
    async fn answer(
        &self,
        context: ActContext,
        sql: Sql<'static>,
        values: Values,
        record: String,
    ) -> Result<Answer, StorageError> {
        let read = |row: &Row| row.try_get::<_, Option<String>>(0);
        let Some(key) = context.key().cloned() else {
            return Ok(Answer::New(self.query(context, sql, values, read).await?.flatten()));
        };
        let answer = with_client(&self.pool, context, {
            let key = key.clone();
            move |client| async move { call_once(&client, &key, &record, sql, &values).await }
        });
        let answer = answer.await?;
        Ok(match answer.as_deref().and_then(|answer| answer.strip_prefix("replayed ")) {
            Some(record) => {
                key.set_replayed();
                Answer::Recorded(record.to_owned())
            }
            None => Answer::New(answer),
        })
    }
}

/// What a function answered.
enum Answer {
    /// To this request: NULL is success.
    New(Option<String>),
    /// To an earlier request under the same key, which made this.
    Recorded(String),
}

const ONCE: Sql<'_> = Sql {
    text: "SELECT storefront_once($1, $2, $3, $4, $5, $6)",
    types: &[Type::TEXT, Type::BYTEA, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT_ARRAY],
};

/// Runs a statement together with its key, in one round trip.
async fn call_once(
    client: &PgSession,
    key: &IdempotencyKey,
    record: &str,
    sql: Sql<'static>,
    values: &Values,
) -> Result<Option<String>, Error> {
    let (fingerprint, kept_for) = (key.fingerprint(), milliseconds(key.kept_for()));
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    let (statement, text) = (client.prepare_cached(ONCE).await?, with_array(sql));
    let (key, fingerprint) = (key.text(), fingerprint.as_slice());
    let values: &[&(dyn ToSql + Sync)] = &[&key, &fingerprint, &kept_for, &record, &text, &values];
    client.query_opt(&statement, values).await?.map_or(Ok(None), |row| row.try_get(0))
}

/// The statement with one parameter, an array of its values as text.
fn with_array(sql: Sql<'_>) -> String {
    let mut parts = sql.text.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    // The number of a parameter is one digit.
    for part in parts {
        let (number, rest) = part.split_at(1);
        let kind = number.parse::<usize>().ok().and_then(|number| sql.types.get(number - 1));
        let kind = kind.map_or("text", |kind| kind.name());
        text.push_str(&format!("($1)[{number}]::{kind}{rest}"));
    }
    text
}

/// A value of a statement.
#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
}

type Values = Vec<Value>;

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

fn text(id: &str) -> Value {
    Value::Text(id.to_owned())
}

const fn number(amount: Amount) -> Value {
    Value::Number(amount.signed())
}

impl Value {
    fn borrowed(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number,
        }
    }
}

fn borrowed(values: &Values) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(Value::borrowed).collect()
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
        ("key-reused", ..) => CartRefusal::KeyReused,
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
    async fn find_outcome(
        &self,
        context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let Some(key) = context.key() else { return Ok(None) };
        idempotency::find_outcome(&self.pool, key).await
    }

    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult {
        fixtures::put_orders(&self.pool, context, orders).await
    }

    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult {
        fixtures::put_items(&self.pool, context, items, item).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_its_values_from_one_array() {
        let sql = Sql { text: "SELECT f($2, $1) WHERE $1 > ''", types: &[Type::TEXT, Type::INT8] };
        assert_eq!(
            with_array(sql),
            "SELECT f(($1)[2]::int8, ($1)[1]::text) WHERE ($1)[1]::text > ''"
        );
    }
}
