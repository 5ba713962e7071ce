//! The sequence that assigns ids.
//!
//! A sequence takes no part in transactions: an id that it gave is never given again, even after a
//! rollback. Its name comes from the database, quoted as SQL needs it.

use std::ops::Range;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, GenericClient};

use crate::db::common::id_search::ID_LIMIT;

/// The sequence of game ids.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    name: String,
}

impl Sequence {
    pub(super) const fn new(name: String) -> Self {
        Self { name }
    }

    /// An expression that takes the next id. It fails past the largest.
    pub(super) fn next_value(&self) -> String {
        format!("nextval('{}')", self.name.replace('\'', "''"))
    }

    /// The sequence as SQL names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next `rows` ids, or none at all if there are not that many.
    pub(super) async fn reserve(
        &self,
        transaction: &impl GenericClient,
        rows: u64,
    ) -> Result<Option<Range<i64>>, Error> {
        let first = self.lock(transaction).await?;
        let end = i64::try_from(rows).ok().and_then(|rows| first.checked_add(rows));
        let Some(end) = end.filter(|end| *end <= ID_LIMIT && *end > first) else {
            return Ok(None);
        };
        self.set(transaction, end).await?;
        Ok(Some(first..end))
    }

    /// Advances to `id`, unless the sequence is there already.
    pub(super) async fn advance_to(
        &self,
        transaction: &impl GenericClient,
        id: i64,
    ) -> Result<(), Error> {
        let next = self.lock(transaction).await?;
        if id > next { self.set(transaction, id).await } else { Ok(()) }
    }

    /// Begins again with 1, for a table of which no game that had an id is left.
    pub(super) async fn restart(&self, transaction: &impl GenericClient) -> Result<(), Error> {
        self.lock(transaction).await?;
        transaction.batch_execute(&format!("ALTER SEQUENCE {} RESTART WITH 1", self.name)).await
    }

    /// The statement that locks the sequence. ALTER SEQUENCE, even one that changes nothing, makes
    /// every `nextval` wait until the transaction ends.
    pub(super) fn lock_statement(&self) -> String {
        format!("ALTER SEQUENCE {} NO CYCLE", self.name)
    }

    /// Locks the sequence and returns the id that comes next: so no id is assigned between the
    /// reading of the sequence here and its change.
    pub(super) async fn lock(&self, transaction: &impl GenericClient) -> Result<i64, Error> {
        transaction.batch_execute(&self.lock_statement()).await?;
        let sql =
            format!("SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END FROM {}", self.name);
        Ok(transaction.query_typed_one(&sql, &[]).await?.get(0))
    }

    /// A statement that takes up to `$1` ids and returns the last: how a user who does not own the
    /// sequence, and so may not lock it, advances it.
    pub(super) fn take_sql(&self) -> String {
        format!("SELECT max({}) FROM generate_series(1, $1)", self.next_value())
    }

    async fn set(&self, transaction: &impl GenericClient, next: i64) -> Result<(), Error> {
        let last = next - 1;
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.name, Type::TEXT), (&last, Type::INT8)];
        let sql = "SELECT setval($1::text::regclass, $2, true)";
        transaction.query_typed_one(sql, &values).await.map(drop)
    }
}
