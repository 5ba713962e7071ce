//! The table of orders: reads and conditional writes of whole orders.
//!
//! Every write tests the version that was read. An order remembers its last versions, so that a
//! writer whose answer was lost can tell whether its write was done, and the last requests with an
//! idempotency key that changed it. Which state follows which is in `saga::order_state`; users and
//! items are in `accounts_table`.

use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::response::query_result::QueryResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
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
        "user_id, items, quantities, costs, state, attempt_id, epochs, version, past_versions, \
         requests"
    };
}
pub(super) use columns;

const FIND: &str = concat!("SELECT ", columns!(), " FROM $.cart_orders WHERE order_id = ?");
const REPLACE: &str = "UPDATE $.cart_orders USING TTL ? SET user_id = ?, items = ?, quantities = ?, \
                       costs = ?, state = ?, attempt_id = ?, epochs = ?, version = ?, \
                       past_versions = ?, requests = ? WHERE order_id = ? IF version = ?";
const REMOVE: &str = "DELETE FROM $.cart_orders WHERE order_id = ? IF version = ?";
/// Past versions that are kept: as many changes may follow a write whose answer was lost before its
/// outcome stays unknown.
const PAST_VERSIONS: usize = 8;
/// Requests that are kept: as many changes under other keys may follow one whose server stopped before
/// a repeat cannot tell any more whether it was done.
const REQUESTS: usize = 64;
/// Seconds for which a removed order is kept, as long as operation records of accounts.
const REMOVED_TTL: i32 = 604_800;

/// An order as it is stored.
#[derive(Debug, Clone)]
pub(super) struct OrderRow {
    pub(super) user: UserId,
    pub(super) lines: Vec<Line>,
    pub(super) state: OrderState,
    pub(super) version: Uuid,
    pub(super) past_versions: Vec<Uuid>,
    /// The last requests with a key that changed it, the youngest first.
    pub(super) requests: Vec<Uuid>,
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
    #[scylla(default_when_null)]
    requests: Vec<Uuid>,
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

    /// The order, also a removed one; `serial`: as the last write left it.
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
        // The list never gets shorter, so that there is nothing to write where it is empty.
        let requests = Some(&new.requests).filter(|requests| !requests.is_empty());
        let values = (
            if new.is_removed() { REMOVED_TTL } else { 0 },
            new.user.as_str(),
            new.lines.iter().map(|line| line.item.as_str()).collect::<Vec<_>>(),
            new.lines.iter().map(|line| line.quantity.signed()).collect::<Vec<_>>(),
            new.lines.iter().map(|line| line.cost.signed()).collect::<Vec<_>>(),
            state_name(&new.state),
            attempt_id,
            epochs,
            new.version,
            &new.past_versions,
            MaybeUnset::from_option(requests),
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
            requests: Vec::new(),
        }
    }

    /// The same order under a new version, which remembers the last ones.
    pub(super) fn next(&self) -> Self {
        let past_versions = std::iter::once(self.version)
            .chain(self.past_versions.iter().copied())
            .take(PAST_VERSIONS);
        Self { version: Uuid::now_v7(), past_versions: past_versions.collect(), ..self.clone() }
    }

    /// This order in place of another, of which only the versions and requests remain.
    pub(super) fn in_place_of(&self, other: &Self) -> Self {
        let Self { version, past_versions, requests, .. } = other.next();
        Self { version, past_versions, requests, ..self.clone() }
    }

    /// This order as a request changes it, if it has a key.
    pub(super) fn changed_by(mut self, request_id: Option<Uuid>) -> Self {
        if let Some(request_id) = request_id {
            self.requests.insert(0, request_id);
            self.requests.truncate(REQUESTS);
        }
        self
    }

    /// What remains of it when it is removed; `None` if no request with a key has changed it, so that
    /// nothing needs to.
    pub(super) fn removed(&self, request_id: Option<Uuid>) -> Option<Self> {
        let is_remembered = request_id.is_some() || !self.requests.is_empty();
        let removed = Self { state: OrderState::Removed, lines: Vec::new(), ..self.next() };
        is_remembered.then_some(removed)
    }

    /// Whether a request with a key has changed it; an error if it remembers only younger ones.
    pub(super) fn was_changed_by(&self, request_id: Uuid) -> Result<bool, StorageError> {
        let is_found = self.requests.contains(&request_id);
        let may_be_forgotten = self.requests.len() == REQUESTS
            && self.requests.iter().all(|other| *other > request_id);
        if !is_found && may_be_forgotten {
            let text = "too many changes since: whether an earlier request under the same \
                        Idempotency-Key was done is unknown";
            return Err(StorageError::new(ErrorKind::Timeout, text));
        }
        Ok(is_found)
    }

    pub(super) fn is_removed(&self) -> bool {
        self.state == OrderState::Removed
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
        let Columns { version, past_versions, requests, .. } = columns;
        Ok(Self { user, lines, state, version, past_versions, requests })
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
        OrderState::Removed => "removed",
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
        "removed" => OrderState::Removed,
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
            OrderState::Removed,
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

    #[test]
    fn the_last_requests_are_remembered_and_a_forgotten_one_is_no_new_one() {
        let [forgotten, request] = [1, 2].map(Uuid::from_u128);
        let mut row = OrderRow::open(UserId::new(), vec![]).changed_by(Some(forgotten));
        row = row.next().changed_by(Some(request));
        for other in 3..REQUESTS as u128 + 2 {
            assert!(row.was_changed_by(forgotten).unwrap());
            row = row.next().changed_by(None).changed_by(Some(Uuid::from_u128(other)));
        }
        let fixture = OrderRow::open(UserId::new(), vec![]).in_place_of(&row);
        assert!(fixture.was_changed_by(request).unwrap());
        assert_eq!(row.was_changed_by(forgotten).unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!row.was_changed_by(Uuid::max()).unwrap());
        assert!(row.removed(None).is_some_and(|row| row.was_changed_by(request).unwrap()));
    }
}
