//! The table of accounts: reads and conditional writes of balances and operation records.
//!
//! A write is one batch on one partition: the balance, if it still has the version that was read,
//! and each record, if it still has its state. What to write is decided in `saga`; operations are
//! gathered in `account_batcher`; orders are in `orders_table`.

use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::orders_table::{amount, damaged};
use super::saga::account_batch::{Account, AccountChange};
use super::saga::balance::{Balance, OpRecord, OpState, RefusalReason};
use crate::cart::model::{Amount, Item, ItemId, UserId};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::storage::{CartRefusal, StorageError};

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
const RESERVE: &str = "UPDATE $.cart_accounts SET state = ?, amount = ? \
                    WHERE kind = ? AND id = ? AND op_id = ? IF state = ?";
/// Records of ended operations expire after a week: no late write of an owner arrives after that.
const END: &str = "UPDATE $.cart_accounts USING TTL 604800 SET state = ?, amount = ? \
                   WHERE kind = ? AND id = ? AND op_id = ? IF state = ?";

const STATES: [(OpState, &str); 3] =
    [(OpState::Reserved, "reserved"), (OpState::Done, "done"), (OpState::Released, "released")];

/// Whose account it is; the partition key.
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
    reserve: PreparedStatement,
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
            reserve: cluster.prepare(RESERVE, StatementKind::Conditional).await?,
            end: cluster.prepare(END, StatementKind::Conditional).await?,
        })
    }

    /// The balance and the records of these operations; `serial`: as the last write left them.
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
            let row = row.map_err(shape)?;
            if row.op_id.is_nil() {
                (account.balance, account.created_by) = (row.balance(), row.created_by);
            } else if let Some(state) = &row.state {
                let record = OpRecord { state: state_of(state)?, amount: row.amount };
                account.records.insert(row.op_id, record);
            }
        }
        Ok(account)
    }

    /// The balance. A plain read may miss a new account, so its absence is read again, SERIAL.
    pub(super) async fn balance(&self, key: &AccountKey) -> Result<Option<Balance>, StorageError> {
        let read = async || match self.read(key, [], false).await?.balance {
            None => Ok(self.read(key, [], true).await?.balance),
            balance => Ok(balance),
        };
        self.cluster.in_time(read()).await
    }

    pub(super) async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        let balance = self.balance(&AccountKey::Item(item.clone())).await?;
        let item = |b: Balance| Ok(Item { stock: amount(b.available)?, price: amount(b.price)? });
        balance.map(item).transpose()
    }

    pub(super) async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        let balance = self.balance(&AccountKey::User(user.clone())).await?;
        balance.map(|balance| amount(balance.available)).transpose()
    }

    /// Whether the account was as the change expects it, and is changed now.
    pub(super) async fn write(
        &self,
        key: &AccountKey,
        change: &AccountChange,
    ) -> Result<bool, StorageError> {
        let (kind, id, b) = (key.kind(), key.id(), &change.balance);
        let balance = (
            b.version,
            b.available,
            b.reserved,
            b.captured,
            b.added,
            b.removed,
            b.written_off,
            b.epoch,
            b.price,
            change.created_by,
            kind,
            id,
            change.if_version,
        );
        if change.records.is_empty() {
            return applied(self.cluster.execute(&self.balance, balance).await?);
        }
        // One batch: the balance never changes without the record that tells of it.
        let mut statements = vec![self.balance.clone()];
        let mut values: Vec<Box<dyn SerializeRow + Send + Sync + '_>> = vec![Box::new(balance)];
        for (op_id, before, after) in &change.records {
            let ends = after.state != OpState::Reserved;
            statements.push(if ends { &self.end } else { &self.reserve }.clone());
            let if_state = before.map(OpState::name);
            values.push(Box::new((after.state.name(), after.amount, kind, id, op_id, if_state)));
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

    /// A refusal by this account, as the client sees it.
    pub(super) fn refusal(&self, reason: RefusalReason) -> CartRefusal {
        match (reason, self) {
            (RefusalReason::Missing, Self::User(id)) => CartRefusal::NoUser(id.clone()),
            (RefusalReason::Missing, Self::Item(id)) => CartRefusal::NoItem(id.clone()),
            (RefusalReason::Insufficient, Self::User(_)) => CartRefusal::NotEnoughCredit,
            (RefusalReason::Insufficient, Self::Item(id)) => CartRefusal::OutOfStock(id.clone()),
            (RefusalReason::Overflow, _) => CartRefusal::AmountOverflow,
        }
    }
}

impl Columns {
    /// Whose account this row is of.
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
        let version = self.version.filter(|_| self.op_id.is_nil())?;
        Some(Balance {
            version,
            available: self.available,
            reserved: self.reserved,
            captured: self.captured,
            added: self.added,
            removed: self.removed,
            written_off: self.written_off,
            epoch: self.epoch,
            price: self.price,
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
    found.map(|(state, _)| *state).ok_or_else(|| shape("the state of an operation is unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_by_its_name() {
        for (state, name) in STATES {
            assert_eq!(state_of(state.name()).unwrap(), state);
            assert_eq!(state.name(), name);
        }
        assert!(state_of("").is_err());
    }
}
