//! The partitions of users and items: what `ledger` decides about, read and written.

use std::collections::HashMap;
use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::ledger::{Head, Row, RowState};
use super::rows::damaged;
use crate::cart::model::{ItemId, UserId};
use crate::db::cassandra::connection::{Cluster, Purpose};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::storage::StorageError;

/// The columns of [`Columns`], in its order.
macro_rules! columns {
    () => {
        "kind, id, act, state, amount, version, free, held, taken, added, removed, erased, epoch, \
         price, began"
    };
}
pub(super) use columns;

const READ: &str =
    concat!("SELECT ", columns!(), " FROM $.cart_accounts WHERE kind = ? AND id = ? AND act IN ?");
const HEAD: &str = "UPDATE $.cart_accounts SET version = ?, free = ?, held = ?, taken = ?, \
                    added = ?, removed = ?, erased = ?, epoch = ?, price = ?, began = ? \
                    WHERE kind = ? AND id = ? AND act = 00000000-0000-0000-0000-000000000000 \
                    IF version = ?";
const KEEP: &str = "UPDATE $.cart_accounts SET state = ?, amount = ? \
                    WHERE kind = ? AND id = ? AND act = ? IF state = ?";
/// What has ended is kept for a week: no owner comes later than that.
const END: &str = "UPDATE $.cart_accounts USING TTL 604800 SET state = ?, amount = ? \
                   WHERE kind = ? AND id = ? AND act = ? IF state = ?";

const STATES: [(RowState, &str); 3] =
    [(RowState::Reserved, "reserved"), (RowState::Done, "done"), (RowState::Released, "released")];

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    User(UserId),
    Item(ItemId),
}

/// What was read of an account at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) head: Option<Head>,
    /// Who began the account.
    pub(super) began: Uuid,
    pub(super) rows: HashMap<Uuid, Row>,
}

/// A change of an account: the head of that version becomes another, and rows with it.
pub(super) struct Change {
    pub(super) if_version: Option<i64>,
    pub(super) head: Head,
    pub(super) began: Uuid,
    /// Each row as it must be, and as it shall be.
    pub(super) rows: Vec<(Uuid, Option<RowState>, Row)>,
}

pub(super) struct Accounts {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    read_decided: PreparedStatement,
    head: PreparedStatement,
    keep: PreparedStatement,
    end: PreparedStatement,
}

#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct Columns {
    kind: String,
    id: String,
    act: Uuid,
    state: Option<String>,
    #[scylla(default_when_null)]
    amount: i64,
    version: Option<i64>,
    #[scylla(default_when_null)]
    free: i64,
    #[scylla(default_when_null)]
    held: i64,
    #[scylla(default_when_null)]
    taken: i64,
    #[scylla(default_when_null)]
    added: i64,
    #[scylla(default_when_null)]
    removed: i64,
    #[scylla(default_when_null)]
    erased: i64,
    #[scylla(default_when_null)]
    epoch: i64,
    #[scylla(default_when_null)]
    price: i64,
    #[scylla(default_when_null)]
    began: Uuid,
}

impl Accounts {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            read: cluster.prepare(READ, Purpose::Read).await?,
            read_decided: cluster.prepare(READ, Purpose::SerialRead).await?,
            head: cluster.prepare(HEAD, Purpose::Conditional).await?,
            keep: cluster.prepare(KEEP, Purpose::Conditional).await?,
            end: cluster.prepare(END, Purpose::Conditional).await?,
        })
    }

    /// The head and the rows of these acts; `decided`: as the last write has left them.
    pub(super) async fn read(
        &self,
        key: &Key,
        acts: impl IntoIterator<Item = Uuid>,
        decided: bool,
    ) -> Result<Page, StorageError> {
        let statement = if decided { &self.read_decided } else { &self.read };
        let acts: Vec<Uuid> = std::iter::once(Uuid::nil()).chain(acts).collect();
        let result = self.cluster.execute(statement, (key.kind(), key.id(), acts)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let mut page = Page::default();
        for row in rows.rows::<Columns>().map_err(shape)? {
            page.add(&row.map_err(shape)?)?;
        }
        Ok(page)
    }

    /// The head; one that is missing is looked for once more, for certain.
    pub(super) async fn head(&self, key: &Key) -> Result<Option<Head>, StorageError> {
        match self.read(key, [], false).await?.head {
            None => Ok(self.read(key, [], true).await?.head),
            head => Ok(head),
        }
    }

    /// Whether the account was as the change wants it, and is changed now.
    pub(super) async fn write(&self, key: &Key, change: &Change) -> Result<bool, StorageError> {
        let head = Values::head(key, change);
        if change.rows.is_empty() {
            return applied(self.cluster.execute(&self.head, head).await?);
        }
        let mut statements = vec![self.head.clone()];
        let mut values = vec![head];
        for row @ (.., after) in &change.rows {
            let ends = after.state != RowState::Reserved;
            statements.push(if ends { &self.end } else { &self.keep }.clone());
            values.push(Values::row(key, row));
        }
        applied(self.cluster.batch(statements, values).await?)
    }
}

impl Key {
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

impl Page {
    fn add(&mut self, row: &Columns) -> Result<(), StorageError> {
        if row.act.is_nil() {
            (self.head, self.began) = (row.head(), row.began);
        } else if let Some(state) = &row.state {
            self.rows.insert(row.act, Row { state: state_of(state)?, amount: row.amount });
        }
        Ok(())
    }
}

impl Columns {
    /// Whose account.
    pub(super) fn key(&self) -> Result<Key, StorageError> {
        let key = match self.kind.as_str() {
            "user" => UserId::parse(&self.id).map(Key::User),
            "item" => ItemId::parse(&self.id).map(Key::Item),
            _ => None,
        };
        key.ok_or_else(damaged)
    }

    /// The head, if this is its row.
    pub(super) fn head(&self) -> Option<Head> {
        let Self { free, held, taken, added, removed, erased, epoch, price, .. } = *self;
        let version = self.version.filter(|_| self.act.is_nil())?;
        Some(Head { version, free, held, taken, added, removed, erased, epoch, price })
    }
}

impl RowState {
    pub(super) fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

fn state_of(name: &str) -> Result<RowState, StorageError> {
    let found = STATES.iter().find(|(_, known)| *known == name);
    found.map(|(state, _)| *state).ok_or_else(|| shape("the state of an act is unknown"))
}

type HeadValues<'a> =
    (i64, i64, i64, i64, i64, i64, i64, i64, i64, Uuid, &'static str, &'a str, Option<i64>);
type RowValues<'a> = (&'static str, i64, &'static str, &'a str, Uuid, Option<&'static str>);

/// The values of one statement of a batch.
enum Values<'a> {
    Head(HeadValues<'a>),
    Row(RowValues<'a>),
}

impl<'a> Values<'a> {
    fn head(key: &'a Key, change: &Change) -> Self {
        let Head { version, free, held, taken, added, removed, erased, epoch, price } = change.head;
        let (kind, id, before) = (key.kind(), key.id(), change.if_version);
        let began = change.began;
        Self::Head((
            version, free, held, taken, added, removed, erased, epoch, price, began, kind, id,
            before,
        ))
    }

    fn row(key: &'a Key, (act, before, after): &(Uuid, Option<RowState>, Row)) -> Self {
        let before = before.map(RowState::name);
        Self::Row((after.state.name(), after.amount, key.kind(), key.id(), *act, before))
    }
}

impl SerializeRow for Values<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Head(values) => values.serialize(context, writer),
            Self::Row(values) => values.serialize(context, writer),
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
