//! The audit's reads of all orders and of all balances; those of one account are in [`super::records`].
//!
//! Every read goes page by page and each page is retried by itself, so a partition of millions of
//! records takes no more memory than one page, and no request more time than one page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt};
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::value::DeserializeValue;
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use scylla::response::PagingState;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use crate::cart::model::OrderId;
use crate::db::cassandra::cart::accounts_table;
use crate::db::cassandra::cart::orders_table::{self, OrderRow, damaged};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::query_result;
use crate::db::cassandra::retry::retry_transient;
use crate::db::cassandra::token_ranges;
use crate::db::storage::StorageError;

const ORDERS: &str = concat!(
    "SELECT order_id, ",
    orders_table::columns!(),
    " FROM $.cart_orders WHERE token(order_id) > ? AND token(order_id) <= ?"
);
/// The balance is the first row of its partition.
const BALANCES: &str = concat!(
    "SELECT ",
    accounts_table::columns!(),
    " FROM $.cart_accounts WHERE token(kind, id) > ? AND token(kind, id) <= ? \
     PER PARTITION LIMIT 1"
);
/// All records, also those that have ended: Cassandra would have to read them too to leave them out,
/// and then reads a whole partition for one answer.
const RECORDS: &str = "SELECT op_id, state, amount FROM $.cart_accounts \
                       WHERE kind = ? AND id = ? AND op_id >= ? AND op_id < ?";
/// Token ranges, and how many of them are read at once.
const PARTS: i64 = 64;
const CONCURRENCY: usize = 4;
/// Rows in one answer.
const PAGE: i32 = 1_000;
const LOG_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Scan {
    cluster: Arc<Cluster>,
    orders: PreparedStatement,
    balances: PreparedStatement,
    pub(super) records: PreparedStatement,
}

/// Rows of one answer.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    /// Whether it is the last one of its token range, or partition.
    pub(super) is_last: bool,
}

/// An order with its id.
struct IdAndColumns(String, orders_table::Columns);

impl Scan {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Self::with_pages_of(cluster, PAGE).await
    }

    pub(super) async fn with_pages_of(
        cluster: &Arc<Cluster>,
        rows: i32,
    ) -> Result<Self, StorageError> {
        let mut orders = cluster.prepare(ORDERS, StatementKind::Scan).await?;
        let mut balances = cluster.prepare(BALANCES, StatementKind::Scan).await?;
        let mut records = cluster.prepare(RECORDS, StatementKind::Scan).await?;
        for statement in [&mut orders, &mut balances, &mut records] {
            statement.set_page_size(rows);
        }
        Ok(Self { cluster: Arc::clone(cluster), orders, balances, records })
    }

    /// All orders, in pages.
    pub(super) fn orders(
        &self,
    ) -> impl Stream<Item = Result<Page<(OrderId, OrderRow)>, StorageError>> + use<> {
        let pages = self.table::<IdAndColumns>(&self.orders);
        pages.map(|page| {
            let Page { rows, is_last } = page?;
            let rows = rows.into_iter().map(|IdAndColumns(id, columns)| {
                let id = OrderId::parse(&id).ok_or_else(damaged)?;
                Ok((id, OrderRow::try_from(columns)?))
            });
            let mut rows: Vec<_> = rows.collect::<Result<_, StorageError>>()?;
            rows.retain(|(_, row)| !row.is_removed());
            Ok(Page { rows, is_last })
        })
    }

    /// The balances of all accounts, in pages.
    pub(super) fn balances(
        &self,
    ) -> impl Stream<Item = Result<Page<accounts_table::Columns>, StorageError>> + use<> {
        self.table(&self.balances)
    }

    /// All rows of a table, some token ranges at a time.
    fn table<T>(
        &self,
        statement: &PreparedStatement,
    ) -> impl Stream<Item = Result<Page<T>, StorageError>> + use<T>
    where
        T: for<'a> DeserializeRow<'a, 'a> + Send + 'static,
    {
        let parts: Vec<_> = token_ranges::parts(PARTS)
            .map(|range| self.pages(statement, range, |_| false).boxed())
            .collect();
        stream::iter(parts).flatten_unordered(CONCURRENCY)
    }

    /// The rows of a statement, page by page. An error is not retried if it `is_final`.
    pub(super) fn pages<T, V>(
        &self,
        statement: &PreparedStatement,
        values: V,
        is_final: fn(&StorageError) -> bool,
    ) -> impl Stream<Item = Result<Page<T>, StorageError>> + use<T, V>
    where
        T: for<'a> DeserializeRow<'a, 'a> + Send + 'static,
        V: SerializeRow + Clone + Send + Sync + 'static,
    {
        let (cluster, statement) = (Arc::clone(&self.cluster), statement.clone());
        stream::try_unfold(Some(PagingState::start()), move |from| {
            let (cluster, statement, values) =
                (Arc::clone(&cluster), statement.clone(), values.clone());
            async move {
                let Some(from) = from else { return Ok(None) };
                let read = || async {
                    match cluster.page(&statement, &values, from.clone()).await {
                        Err(error) if is_final(&error) => Ok(Err(error)),
                        page => page.map(Ok),
                    }
                };
                let (result, next) = retry_transient(read).await??;
                let page = Page { rows: query_result::rows(result)?, is_last: next.is_none() };
                Ok(Some((page, next)))
            }
        })
    }
}

impl<'a, 'b> DeserializeRow<'a, 'b> for IdAndColumns {
    fn type_check(specs: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        let (id, rest) = specs.split_at(specs.len().min(1));
        <(String,) as DeserializeRow<'a, 'b>>::type_check(id)?;
        <orders_table::Columns as DeserializeRow<'a, 'b>>::type_check(rest)
    }

    fn deserialize(mut row: ColumnIterator<'a, 'b>) -> Result<Self, DeserializationError> {
        let id = match row.next().transpose()? {
            Some(column) => String::deserialize(column.spec.typ(), column.slice)?,
            None => String::new(),
        };
        Ok(Self(id, orders_table::Columns::deserialize(row)?))
    }
}

/// Logs the progress of a long read every few seconds.
pub(super) struct Progress {
    what: &'static str,
    rows: u64,
    /// Token ranges, or partitions: how many were read, and how many there are.
    read: i64,
    of: i64,
    next: Instant,
}

impl Progress {
    pub(super) fn new(what: &'static str, of: i64) -> Self {
        Self { what, rows: 0, read: 0, of, next: Instant::now() + LOG_INTERVAL }
    }

    /// Of a read of a whole table.
    pub(super) fn of_table(what: &'static str) -> Self {
        Self::new(what, PARTS)
    }

    pub(super) fn add<T>(&mut self, page: &Page<T>) {
        self.rows += page.rows.len() as u64;
        self.read += i64::from(page.is_last);
        if Instant::now() >= self.next {
            self.next = Instant::now() + LOG_INTERVAL;
            let Self { what, rows, read, of, .. } = *self;
            tracing::info!(rows, ranges = read, of, "the audit reads {what}");
        }
    }
}
