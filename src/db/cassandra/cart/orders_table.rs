//! The table of orders: reads and conditional writes of whole orders.
//!
//! Every write tests the version that was read. An order remembers its last versions, so that a
//! writer whose answer was lost can tell whether its write was done. Which state follows which is in
//! `saga::order_state`; users and items are in `accounts_table`.

use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::response::query_result::QueryResult;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::saga::order_state::{OrderState, Reversal, amounts, cost};
use crate::cart::model::{Amount, ItemId, Line, Order, OrderId, UserId};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::storage::{ErrorKind, StorageError};

/// The columns of [`Columns`], in its order.
macro_rules! columns {
    () => {
        "user_id, items, quantities, costs, state, attempt_id, epochs, version, past_versions"
    };
}
pub(super) use columns;

const FIND: &str = concat!("SELECT ", columns!(), " FROM $.cart_orders WHERE order_id = ?");
const REPLACE: &str = "UPDATE $.cart_orders SET user_id = ?, items = ?, quantities = ?, costs = ?, \
                       state = ?, attempt_id = ?, epochs = ?, version = ?, past_versions = ? \
                       WHERE order_id = ? IF version = ?";
const REMOVE: &str = "DELETE FROM $.cart_orders WHERE order_id = ? IF version = ?";
/// Past versions that are kept: as many changes may follow a write whose answer was lost before its
/// outcome stays unknown.
const PAST_VERSIONS: usize = 8;

/// An order as it is stored.
#[derive(Debug, Clone)]
pub(super) struct OrderRow {
    pub(super) user: UserId,
    pub(super) lines: Vec<Line>,
    pub(super) state: OrderState,
    pub(super) version: Uuid,
    pub(super) past_versions: Vec<Uuid>,
}

pub(super) struct OrdersTable {
    cluster: Arc<Cluster>,
    find: PreparedStatement,
    find_serial: PreparedStatement,
    replace: PreparedStatement,
    remove: PreparedStatement,
}

#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct Columns {
    user_id: String,
    #[scylla(default_when_null)]
    items: Vec<String>,
    #[scylla(default_when_null)]
    quantities: Vec<i64>,
    #[scylla(default_when_null)]
    costs: Vec<i64>,
    state: String,
    attempt_id: Uuid,
    #[scylla(default_when_null)]
    epochs: Vec<i64>,
    version: Uuid,
    #[scylla(default_when_null)]
    past_versions: Vec<Uuid>,
}

impl OrdersTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            find: cluster.prepare(FIND, StatementKind::Read).await?,
            find_serial: cluster.prepare(FIND, StatementKind::SerialRead).await?,
            replace: cluster.prepare(REPLACE, StatementKind::Conditional).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Conditional).await?,
        })
    }

    /// The order; `serial`: as the last write left it.
    pub(super) async fn find(
        &self,
        id: &OrderId,
        serial: bool,
    ) -> Result<Option<OrderRow>, StorageError> {
        let statement = if serial { &self.find_serial } else { &self.find };
        one(self.cluster.execute(statement, (id.as_str(),)).await?)
    }

    /// Whether the order had that version, or was not there, and is `new` now.
    pub(super) async fn replace(
        &self,
        id: &OrderId,
        if_version: Option<Uuid>,
        new: &OrderRow,
    ) -> Result<bool, StorageError> {
        let (attempt_id, epochs) = new.attempt_id_and_epochs();
        let values = (
            new.user.as_str(),
            new.lines.iter().map(|line| line.item.as_str()).collect::<Vec<_>>(),
            new.lines.iter().map(|line| line.quantity.signed()).collect::<Vec<_>>(),
            new.lines.iter().map(|line| line.cost.signed()).collect::<Vec<_>>(),
            state_name(&new.state),
            attempt_id,
            epochs,
            new.version,
            &new.past_versions,
            id.as_str(),
            if_version,
        );
        applied(self.cluster.execute(&self.replace, values).await?)
    }

    /// Whether the order had that version, and is gone now.
    pub(super) async fn remove(&self, id: &OrderId, version: Uuid) -> Result<bool, StorageError> {
        applied(self.cluster.execute(&self.remove, (id.as_str(), version)).await?)
    }
}

fn one(result: QueryResult) -> Result<Option<OrderRow>, StorageError> {
    let rows = result.into_rows_result().map_err(shape)?;
    rows.maybe_first_row::<Columns>().map_err(shape)?.map(OrderRow::try_from).transpose()
}

impl OrderRow {
    /// A new order.
    pub(super) fn open(user: UserId, lines: Vec<Line>) -> Self {
        Self {
            user,
            lines,
            state: OrderState::Open,
            version: Uuid::now_v7(),
            past_versions: Vec::new(),
        }
    }

    /// The same order under a new version, which remembers the last ones.
    pub(super) fn next(&self) -> Self {
        let past_versions = std::iter::once(self.version)
            .chain(self.past_versions.iter().copied())
            .take(PAST_VERSIONS);
        Self { version: Uuid::now_v7(), past_versions: past_versions.collect(), ..self.clone() }
    }

    /// This order in place of another, of which only the versions remain.
    pub(super) fn in_place_of(&self, other: &Self) -> Self {
        let Self { version, past_versions, .. } = other.next();
        Self { version, past_versions, ..self.clone() }
    }

    /// Whether it has, or had, one of these versions.
    pub(super) fn has_been(&self, versions: &[Uuid]) -> bool {
        versions
            .iter()
            .any(|version| *version == self.version || self.past_versions.contains(version))
    }

    pub(super) const fn is_paid(&self) -> bool {
        matches!(self.state, OrderState::Paid { .. })
    }

    /// What it costs.
    pub(super) fn cost(&self) -> i64 {
        cost(&self.lines)
    }

    /// What a checkout reserves of each participant.
    pub(super) fn amounts(&self) -> Vec<i64> {
        amounts(&self.lines)
    }

    pub(super) fn order(self, id: OrderId) -> Order {
        Order { id, paid: self.is_paid(), user: self.user, lines: self.lines }
    }

    fn attempt_id_and_epochs(&self) -> (Uuid, &[i64]) {
        let attempt_id = self.state.attempt_id().unwrap_or_default();
        match &self.state {
            OrderState::Paid { epochs, .. } | OrderState::Reversing { epochs, .. } => {
                (attempt_id, epochs)
            }
            _ => (attempt_id, &[]),
        }
    }
}

impl TryFrom<Columns> for OrderRow {
    type Error = StorageError;

    fn try_from(columns: Columns) -> Result<Self, StorageError> {
        let mut lines = Vec::with_capacity(columns.items.len());
        for ((item, quantity), cost) in
            columns.items.iter().zip(columns.quantities).zip(columns.costs)
        {
            let item = ItemId::parse(item).ok_or_else(damaged)?;
            lines.push(Line { item, quantity: amount(quantity)?, cost: amount(cost)? });
        }
        let user = UserId::parse(&columns.user_id).ok_or_else(damaged)?;
        let state = state_of(&columns.state, columns.attempt_id, columns.epochs)?;
        let (version, past_versions) = (columns.version, columns.past_versions);
        Ok(Self { user, lines, state, version, past_versions })
    }
}

pub(super) const fn state_name(state: &OrderState) -> &'static str {
    match state {
        OrderState::Open => "open",
        OrderState::Pending { .. } => "pending",
        OrderState::Aborting { .. } => "aborting",
        OrderState::Paid { .. } => "paid",
        OrderState::Reversing { reversal: Reversal::Cancel, .. } => "cancelling",
        OrderState::Reversing { reversal: Reversal::WriteOff, .. } => "writing_off",
    }
}

fn state_of(name: &str, attempt_id: Uuid, epochs: Vec<i64>) -> Result<OrderState, StorageError> {
    Ok(match name {
        "open" => OrderState::Open,
        "pending" => OrderState::Pending { attempt_id },
        "aborting" => OrderState::Aborting { attempt_id },
        "paid" => OrderState::Paid { attempt_id, epochs },
        "cancelling" => OrderState::Reversing { attempt_id, epochs, reversal: Reversal::Cancel },
        "writing_off" => OrderState::Reversing { attempt_id, epochs, reversal: Reversal::WriteOff },
        _ => return Err(damaged()),
    })
}

/// An amount as it is stored.
pub(super) fn amount(value: i64) -> Result<Amount, StorageError> {
    Amount::stored(value).ok_or_else(damaged)
}

pub(super) fn damaged() -> StorageError {
    let text = "a row of the cart has a value that this program never writes";
    StorageError::new(ErrorKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_was_written() {
        let (attempt_id, epochs) = (Uuid::from_u128(7), vec![1, 2]);
        for state in [
            OrderState::Open,
            OrderState::Pending { attempt_id },
            OrderState::Aborting { attempt_id },
            OrderState::Paid { attempt_id, epochs: epochs.clone() },
            OrderState::Reversing {
                attempt_id,
                epochs: epochs.clone(),
                reversal: Reversal::Cancel,
            },
            OrderState::Reversing {
                attempt_id,
                epochs: epochs.clone(),
                reversal: Reversal::WriteOff,
            },
        ] {
            let row = OrderRow { state, ..OrderRow::open(UserId::new(), vec![]) };
            let (attempt_id, epochs) = row.attempt_id_and_epochs();
            let read = state_of(state_name(&row.state), attempt_id, epochs.to_vec()).unwrap();
            assert_eq!(read, row.state);
        }
    }

    #[test]
    fn the_last_versions_are_remembered() {
        let first = OrderRow::open(UserId::new(), vec![]);
        let mut row = first.clone();
        for _ in 0..PAST_VERSIONS {
            row = row.next();
            assert!(row.has_been(&[first.version]));
        }
        assert!(!row.next().has_been(&[first.version]));
    }
}
