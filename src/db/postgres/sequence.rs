//! The sequence that assigns ids.
//!
//! A sequence takes no part in transactions: what it gave is never given again, whoever rolls back.
//! Its name comes from the database, quoted as SQL wants it.

use std::ops::Range;

use tokio_postgres::{Error, GenericClient};

/// Behind the largest id.
const ID_LIMIT: i64 = i32::MAX as i64 + 1;

/// The counter of games.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    sequence: String,
}

impl Sequence {
    pub(super) const fn new(sequence: String) -> Self {
        Self { sequence }
    }

    /// An expression that takes the next id. It fails behind the largest.
    pub(super) fn next_value(&self) -> String {
        format!("nextval('{}')", self.sequence.replace('\'', "''"))
    }

    /// The sequence as SQL names it.
    pub(super) fn name(&self) -> &str {
        &self.sequence
    }

    /// Takes the next `rows` ids, or none at all if there are not that many.
    pub(super) async fn reserve(
        &self,
        transaction: &impl GenericClient,
        rows: u64,
    ) -> Result<Option<Range<i64>>, Error> {
        let first = self.lock(transaction).await?;
        let behind = i64::try_from(rows).ok().and_then(|rows| first.checked_add(rows));
        let Some(behind) = behind.filter(|behind| *behind <= ID_LIMIT && *behind > first) else {
            return Ok(None);
        };
        self.set(transaction, behind).await?;
        Ok(Some(first..behind))
    }

    /// Moves on to `id`, unless the counter is further already.
    pub(super) async fn advance_to(
        &self,
        transaction: &impl GenericClient,
        id: i64,
    ) -> Result<(), Error> {
        let next = self.lock(transaction).await?;
        if id > next { self.set(transaction, id).await } else { Ok(()) }
    }

    /// Begins anew, for a table in which nothing that had an id is left.
    pub(super) async fn restart(&self, transaction: &impl GenericClient) -> Result<(), Error> {
        self.lock(transaction).await?;
        transaction.batch_execute(&format!("ALTER SEQUENCE {} RESTART WITH 1", self.sequence)).await
    }

    /// The id that comes next. Until the transaction ends nobody else takes one: `nextval` waits
    /// for those who alter the sequence, if only to what it is already.
    pub(super) async fn lock(&self, transaction: &impl GenericClient) -> Result<i64, Error> {
        transaction.batch_execute(&format!("ALTER SEQUENCE {} NO CYCLE", self.sequence)).await?;
        let sql = format!(
            "SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END FROM {}",
            self.sequence
        );
        Ok(transaction.query_one(&sql, &[]).await?.get(0))
    }

    async fn set(&self, transaction: &impl GenericClient, next: i64) -> Result<(), Error> {
        let last = next - 1;
        transaction
            .query_one("SELECT setval($1::text::regclass, $2, true)", &[&self.sequence, &last])
            .await
            .map(drop)
    }
}
