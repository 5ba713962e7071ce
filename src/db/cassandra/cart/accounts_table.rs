//! The partitions of users and items: what `ledger` decides about, read and written.

use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::orders_table::damaged;
use super::saga::account_batch::{Account, AccountChange};
use super::saga::balance::{Balance, OpRecord, OpState};
use crate::cart::model::{ItemId, UserId};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::storage::StorageError;

/// The columns of [`Columns`], in its order.
macro_rules! columns {
    () => {
        "kind, id, op_id, state, amount, version, available, reserved, captured, added, removed, written_off, epoch, \
         price, created_by"
    };
}
pub(super) use columns;

const READ: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM $.cart_accounts WHERE kind = ? AND id = ? AND op_id IN ?"
);
const BALANCE: &str = "UPDATE $.cart_accounts SET version = ?, available = ?, reserved = ?, captured = ?, \
                    added = ?, removed = ?, written_off = ?, epoch = ?, price = ?, created_by = ? \
                    WHERE kind = ? AND id = ? AND op_id = 00000000-0000-0000-0000-000000000000 \
                    IF version = ?";
const KEEP: &str = "UPDATE $.cart_accounts SET state = ?, amount = ? \
                    WHERE kind = ? AND id = ? AND op_id = ? IF state = ?";
/// What has ended is kept for a week: no owner comes later than that.
const END: &str = "UPDATE $.cart_accounts USING TTL 604800 SET state = ?, amount = ? \
                   WHERE kind = ? AND id = ? AND op_id = ? IF state = ?";

const STATES: [(OpState, &str); 3] =
    [(OpState::Reserved, "reserved"), (OpState::Done, "done"), (OpState::Released, "released")];

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum AccountKey {
    User(UserId),
    Item(ItemId),
}

pub(super) struct AccountsTable {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    read_serial: PreparedStatement,
    balance: PreparedStatement,
    keep: PreparedStatement,
    end: PreparedStatement,
}

#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct Columns {
    kind: String,
    id: String,
    op_id: Uuid,
    state: Option<String>,
    #[scylla(default_when_null)]
    amount: i64,
    version: Option<i64>,
    #[scylla(default_when_null)]
    available: i64,
    #[scylla(default_when_null)]
    reserved: i64,
    #[scylla(default_when_null)]
    captured: i64,
    #[scylla(default_when_null)]
    added: i64,
    #[scylla(default_when_null)]
    removed: i64,
    #[scylla(default_when_null)]
    written_off: i64,
    #[scylla(default_when_null)]
    epoch: i64,
    #[scylla(default_when_null)]
    price: i64,
    #[scylla(default_when_null)]
    created_by: Uuid,
}

impl AccountsTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            read: cluster.prepare(READ, StatementKind::Read).await?,
            read_serial: cluster.prepare(READ, StatementKind::SerialRead).await?,
            balance: cluster.prepare(BALANCE, StatementKind::Conditional).await?,
            keep: cluster.prepare(KEEP, StatementKind::Conditional).await?,
            end: cluster.prepare(END, StatementKind::Conditional).await?,
        })
    }

    /// The balance and the records of these op_ids; `decided`: as the last write has left them.
    pub(super) async fn read(
        &self,
        key: &AccountKey,
        op_ids: impl IntoIterator<Item = Uuid>,
        serial: bool,
    ) -> Result<Account, StorageError> {
        let statement = if serial { &self.read_serial } else { &self.read };
        let op_ids: Vec<Uuid> = std::iter::once(Uuid::nil()).chain(op_ids).collect();
        let result = self.cluster.execute(statement, (key.kind(), key.id(), op_ids)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let mut account = Account::default();
        for row in rows.rows::<Columns>().map_err(shape)? {
            account.add(&row.map_err(shape)?)?;
        }
        Ok(account)
    }

    /// The balance; one that is missing is looked for once more, for certain.
    pub(super) async fn balance(&self, key: &AccountKey) -> Result<Option<Balance>, StorageError> {
        match self.read(key, [], false).await?.balance {
            None => Ok(self.read(key, [], true).await?.balance),
            balance => Ok(balance),
        }
    }

    /// Whether the account was as the change wants it, and is changed now.
    pub(super) async fn write(
        &self,
        key: &AccountKey,
        change: &AccountChange,
    ) -> Result<bool, StorageError> {
        let balance = Values::balance(key, change);
        if change.records.is_empty() {
            return applied(self.cluster.execute(&self.balance, balance).await?);
        }
        let mut statements = vec![self.balance.clone()];
        let mut values = vec![balance];
        for row @ (.., after) in &change.records {
            let ends = after.state != OpState::Reserved;
            statements.push(if ends { &self.end } else { &self.keep }.clone());
            values.push(Values::row(key, row));
        }
        applied(self.cluster.batch(statements, values).await?)
    }
}

impl AccountKey {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Item(_) => "item",
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Item(id) => id.as_str(),
        }
    }
}

impl Account {
    fn add(&mut self, row: &Columns) -> Result<(), StorageError> {
        if row.op_id.is_nil() {
            (self.balance, self.created_by) = (row.balance(), row.created_by);
        } else if let Some(state) = &row.state {
            self.records
                .insert(row.op_id, OpRecord { state: state_of(state)?, amount: row.amount });
        }
        Ok(())
    }
}

impl Columns {
    /// Whose account.
    pub(super) fn key(&self) -> Result<AccountKey, StorageError> {
        let key = match self.kind.as_str() {
            "user" => UserId::parse(&self.id).map(AccountKey::User),
            "item" => ItemId::parse(&self.id).map(AccountKey::Item),
            _ => None,
        };
        key.ok_or_else(damaged)
    }

    /// The balance, if this is its row.
    pub(super) fn balance(&self) -> Option<Balance> {
        let Self {
            available, reserved, captured, added, removed, written_off, epoch, price, ..
        } = *self;
        let version = self.version.filter(|_| self.op_id.is_nil())?;
        Some(Balance {
            version,
            available,
            reserved,
            captured,
            added,
            removed,
            written_off,
            epoch,
            price,
        })
    }
}

impl OpState {
    pub(super) fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

fn state_of(name: &str) -> Result<OpState, StorageError> {
    let found = STATES.iter().find(|(_, known)| *known == name);
    found.map(|(state, _)| *state).ok_or_else(|| shape("the state of an op_id is unknown"))
}

type BalanceValues<'a> =
    (i64, i64, i64, i64, i64, i64, i64, i64, i64, Uuid, &'static str, &'a str, Option<i64>);
type RecordValues<'a> = (&'static str, i64, &'static str, &'a str, Uuid, Option<&'static str>);

/// The values of one statement of a batch.
enum Values<'a> {
    Balance(BalanceValues<'a>),
    OpRecord(RecordValues<'a>),
}

impl<'a> Values<'a> {
    fn balance(key: &'a AccountKey, change: &AccountChange) -> Self {
        let Balance {
            version,
            available,
            reserved,
            captured,
            added,
            removed,
            written_off,
            epoch,
            price,
        } = change.balance;
        let (kind, id, before) = (key.kind(), key.id(), change.if_version);
        let created_by = change.created_by;
        Self::Balance((
            version,
            available,
            reserved,
            captured,
            added,
            removed,
            written_off,
            epoch,
            price,
            created_by,
            kind,
            id,
            before,
        ))
    }

    fn row(
        key: &'a AccountKey,
        (op_id, before, after): &(Uuid, Option<OpState>, OpRecord),
    ) -> Self {
        let before = before.map(OpState::name);
        Self::OpRecord((after.state.name(), after.amount, key.kind(), key.id(), *op_id, before))
    }
}

impl SerializeRow for Values<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Balance(values) => values.serialize(context, writer),
            Self::OpRecord(values) => values.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_known_by_its_name() {
        for (state, name) in STATES {
            assert_eq!(state_of(state.name()).unwrap(), state);
            assert_eq!(state.name(), name);
        }
        assert!(state_of("").is_err());
    }
}
