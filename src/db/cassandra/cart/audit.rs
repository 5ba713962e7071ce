//! The audit: recomputes the sums of every account from the orders and reports differences.
//!
//! Orders are read first, then accounts, both by token ranges. The reservation of a paid order that
//! is not captured yet counts as captured. It reads beside running checkouts and changes nothing;
//! comparing replicas is in `replica_check`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use scylla::deserialize::row::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::accounts_table::{self, AccountKey};
use super::contention::contended;
use super::coordinator::CheckoutCoordinator;
use super::orders_table::{self, OrderRow, damaged};
use super::saga::balance::Balance;
use super::saga::order_state::OrderState;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::{self, shape};
use crate::db::cassandra::retry::retry_transient;
use crate::db::cassandra::token_ranges;
use crate::db::storage::{Audit, Difference, StorageError};

const ORDERS: &str = concat!(
    "SELECT ",
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
/// A filtering read, so not SERIAL: where replicas differ, Cassandra 5.0 answers a SERIAL read that
/// filters with a timeout, however often it is sent. If the sum does not fit, a SERIAL read of the
/// balance completes unfinished LWTs before this is sent again.
const RESERVED: &str = "SELECT op_id, amount FROM $.cart_accounts \
                        WHERE kind = ? AND id = ? AND state = 'reserved' ALLOW FILTERING";
/// Token ranges, and how many of them are read at once.
const PARTS: i64 = 64;
const CONCURRENCY: usize = 4;
const PAGE: i32 = 1_000;
/// How often an account that changes meanwhile is read.
const MAX_READS: usize = 20;

pub(super) struct Auditor {
    cluster: Arc<Cluster>,
    orders: PreparedStatement,
    balances: PreparedStatement,
    reserved: PreparedStatement,
}

/// What paid orders have captured.
#[derive(Default)]
struct CapturedByOrders {
    /// By account and epoch: how much, and by how many.
    sums: HashMap<AccountKey, HashMap<i64, (i128, u64)>>,
    attempts: HashSet<Uuid>,
}

impl Auditor {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        let mut orders = cluster.prepare(ORDERS, StatementKind::Scan).await?;
        let mut balances = cluster.prepare(BALANCES, StatementKind::Scan).await?;
        orders.set_page_size(PAGE);
        balances.set_page_size(PAGE);
        let reserved = cluster.prepare(RESERVED, StatementKind::Scan).await?;
        Ok(Self { cluster: Arc::clone(cluster), orders, balances, reserved })
    }

    pub(super) async fn audit(
        &self,
        coordinator: &CheckoutCoordinator,
    ) -> Result<Audit, StorageError> {
        let (mut audit, mut captured) = (Audit::default(), CapturedByOrders::default());
        // First: the attempts that are pending now explain what is read half done below.
        audit.unfinished = coordinator.runner.pending.unfinished().await?;
        let orders = self.scan::<orders_table::Columns>(&self.orders);
        futures::pin_mut!(orders);
        while let Some(row) = orders.try_next().await? {
            audit.orders += 1;
            audit.paid_orders += u64::from(captured.add(OrderRow::try_from(row)?));
        }
        let balances = self.scan::<accounts_table::Columns>(&self.balances);
        futures::pin_mut!(balances);
        while let Some(row) = balances.try_next().await? {
            let Some(balance) = row.balance() else { continue };
            let key = row.key()?;
            let (balance, uncaptured) = self.settled(coordinator, &key, balance, &captured).await?;
            captured.compare(&key, balance, uncaptured, &mut audit);
        }
        Ok(audit)
    }

    /// All rows of a table.
    fn scan<T>(
        &self,
        statement: &PreparedStatement,
    ) -> impl Stream<Item = Result<T, StorageError>> + use<T>
    where
        T: for<'a, 'b> DeserializeRow<'a, 'b> + Send + 'static,
    {
        let (cluster, statement) = (Arc::clone(&self.cluster), statement.clone());
        let read = move |range| {
            let (cluster, statement) = (Arc::clone(&cluster), statement.clone());
            async move { retry_transient(|| part(&cluster, &statement, range)).await }
        };
        let parts =
            stream::iter(token_ranges::parts(PARTS)).map(read).buffer_unordered(CONCURRENCY);
        parts.map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten()
    }

    /// The balance, and what paid orders have reserved that is not captured yet. Repeated until
    /// balance and reservations are of the same moment.
    async fn settled(
        &self,
        coordinator: &CheckoutCoordinator,
        key: &AccountKey,
        mut balance: Balance,
        captured: &CapturedByOrders,
    ) -> Result<(Balance, i64), StorageError> {
        for _ in 0..MAX_READS {
            let reserved = if balance.reserved == 0 {
                vec![]
            } else {
                retry_transient(|| self.reserved(key)).await?
            };
            if reserved.iter().map(|(_, amount)| amount).sum::<i64>() == balance.reserved {
                let paid = reserved.iter().filter(|(op_id, _)| captured.attempts.contains(op_id));
                return Ok((balance, paid.map(|(_, amount)| amount).sum()));
            }
            let account =
                retry_transient(|| coordinator.runner.batchers.accounts.read(key, [], true))
                    .await?;
            balance = account.balance.ok_or_else(damaged)?;
        }
        Err(contended())
    }

    async fn reserved(&self, key: &AccountKey) -> Result<Vec<(Uuid, i64)>, StorageError> {
        let result = self.cluster.execute(&self.reserved, (key.kind(), key.id())).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        rows.rows().map_err(shape)?.map(|row| row.map_err(shape)).collect()
    }
}

/// The rows of a token range.
async fn part<T>(
    cluster: &Cluster,
    statement: &PreparedStatement,
    range: (i64, i64),
) -> Result<Vec<T>, StorageError>
where
    T: for<'a, 'b> DeserializeRow<'a, 'b>,
{
    cluster.rows(statement, range).await?.map_err(error::next_row).try_collect().await
}

impl CapturedByOrders {
    /// Adds what an order captures, if it is paid.
    fn add(&mut self, row: OrderRow) -> bool {
        let (cost, OrderState::Paid { attempt_id, epochs }) = (row.cost(), &row.state) else {
            return false;
        };
        self.attempts.insert(*attempt_id);
        let user = (AccountKey::User(row.user), cost);
        let items =
            row.lines.into_iter().map(|line| (AccountKey::Item(line.item), line.quantity.signed()));
        for ((key, amount), epoch) in std::iter::once(user).chain(items).zip(epochs) {
            let sum = self.sums.entry(key).or_default().entry(*epoch).or_default();
            *sum = (sum.0 + i128::from(amount), sum.1 + 1);
        }
        true
    }

    /// Compares an account with its other sums, and with the orders.
    fn compare(&self, key: &AccountKey, balance: Balance, uncaptured: i64, audit: &mut Audit) {
        let sums = self.sums.get(key);
        let expected = sums.and_then(|sums| sums.get(&balance.epoch)).map_or(0, |sum| sum.0);
        let former = sums.into_iter().flatten().filter(|(epoch, _)| **epoch != balance.epoch);
        audit.reset += former.map(|(_, (_, orders))| orders).sum::<u64>();
        audit.reset += u64::from(balance.written_off != 0);
        let names = match key {
            AccountKey::User(_) => ("credit", "charged"),
            AccountKey::Item(_) => ("stock", "sold"),
        };
        *(if matches!(key, AccountKey::User(_)) { &mut audit.users } else { &mut audit.items }) +=
            1;
        let rest = [balance.removed, balance.captured, balance.written_off, balance.reserved]
            .map(i128::from);
        let available = i128::from(balance.added) - rest.iter().sum::<i128>();
        let captured = i128::from(balance.captured) + i128::from(uncaptured);
        for (name, found, expected) in
            [(names.0, balance.available.into(), available), (names.1, captured, expected)]
        {
            if found != expected {
                let what = format!("{name} of {} {}", key.kind(), key.id());
                audit.differs(Difference { what, found, expected });
            }
        }
    }
}
