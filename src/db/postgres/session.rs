//! A connection for requests, and the two ways in which it runs a statement.
//!
//! On a connection of its own a statement is prepared once under a name, and the session's settings
//! are set once. Through a pooler ([`super::pooler`]) nothing may stay behind in the session: the next
//! transaction may run in another one, and others use this one. So each statement is sent without a
//! name, in a transaction whose settings end with it; that is still one round trip.
//!
//! Statements outside of requests (migrations, loads, audits) are always sent without a name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::future::join3;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

/// A statement and the types of its parameters, which must be known to send it without a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sql<'a> {
    pub(super) text: &'a str,
    pub(super) types: &'a [Type],
}

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement that is ready to run on the connection that made it.
#[derive(Debug, Clone)]
pub(super) enum Prepared {
    Named(Statement),
    Unnamed { text: String, types: Vec<Type> },
}

/// A connection for requests.
pub(super) struct PgSession {
    client: Client,
    mode: Mode,
    /// Whether [`Self::begin`] has begun a transaction that has not ended. Its one user reads it and
    /// writes it in turn.
    is_open: AtomicBool,
}

enum Mode {
    /// Statements that were prepared, by their texts.
    Direct(Mutex<HashMap<String, Statement>>),
    /// What begins a transaction and makes its settings.
    Pooled { begin: String },
}

impl PgSession {
    /// Makes the settings, such as `enable_seqscan = off`, for all that the session is asked to run.
    pub(super) async fn new(
        client: Client,
        is_pooled: bool,
        settings: &[String],
    ) -> Result<Self, Error> {
        let each = |set: &str| -> String {
            settings.iter().map(|setting| format!("{set} {setting};")).collect()
        };
        let mode = if is_pooled {
            Mode::Pooled { begin: format!("BEGIN;{}", each("SET LOCAL")) }
        } else {
            client.batch_execute(&each("SET")).await?;
            Mode::Direct(Mutex::default())
        };
        Ok(Self { client, mode, is_open: AtomicBool::new(false) })
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Makes a statement ready. Through a pooler nothing is sent.
    pub(super) async fn prepare(&self, sql: Sql<'_>) -> Result<Prepared, Error> {
        Ok(match self.mode {
            Mode::Direct(_) => {
                Prepared::Named(self.client.prepare_typed(sql.text, sql.types).await?)
            }
            Mode::Pooled { .. } => Self::unnamed(sql),
        })
    }

    /// The same, once for each text: a text must come from a small set, because it is kept.
    pub(super) async fn prepare_cached(&self, sql: Sql<'_>) -> Result<Prepared, Error> {
        let Mode::Direct(cache) = &self.mode else { return Ok(Self::unnamed(sql)) };
        let known = cache.lock().ok().and_then(|cache| cache.get(sql.text).cloned());
        if let Some(statement) = known {
            return Ok(Prepared::Named(statement));
        }
        let statement = self.client.prepare_typed(sql.text, sql.types).await?;
        if let Ok(mut cache) = cache.lock() {
            cache.insert(sql.text.to_owned(), statement.clone());
        }
        Ok(Prepared::Named(statement))
    }

    /// Forgets the statements of [`Self::prepare_cached`], which are prepared anew then.
    pub(super) fn forget_prepared(&self) {
        if let Mode::Direct(cache) = &self.mode {
            cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn unnamed(sql: Sql<'_>) -> Prepared {
        Prepared::Unnamed { text: sql.text.to_owned(), types: sql.types.to_vec() }
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn query(
        &self,
        statement: &Prepared,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        match statement {
            Prepared::Named(statement) => self.client.query(statement, values).await,
            Prepared::Unnamed { text, types } => {
                let values = typed(values, types);
                self.in_transaction(self.client.query_typed(text, &values)).await
            }
        }
    }

    /// Runs a statement that returns at most one row.
    pub(super) async fn query_opt(
        &self,
        statement: &Prepared,
        values: Values<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, values).await?.pop())
    }

    /// Runs a statement and returns the number of rows that it changed, or that it found.
    pub(super) async fn execute(
        &self,
        statement: &Prepared,
        values: Values<'_>,
    ) -> Result<u64, Error> {
        match statement {
            Prepared::Named(statement) => self.client.execute(statement, values).await,
            Prepared::Unnamed { text, types } => {
                let values = typed(values, types);
                self.in_transaction(self.client.execute_typed(text, &values)).await
            }
        }
    }

    /// Runs a rare statement, which is not worth preparing.
    pub(super) async fn query_once(
        &self,
        sql: Sql<'_>,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.query(&Self::unnamed(sql), values).await
    }

    /// The same for a statement that changes rows; how many.
    pub(super) async fn execute_once(
        &self,
        sql: Sql<'_>,
        values: Values<'_>,
    ) -> Result<u64, Error> {
        self.execute(&Self::unnamed(sql), values).await
    }

    /// Begins a transaction in which all statements run until [`Self::commit`] or
    /// [`Self::roll_back`]. Constraints are tested by each statement, as without a transaction, so that
    /// an error is that of its statement.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        // Each statement must see what was committed before it, whatever the database's default is.
        const SETTINGS: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\
                                SET CONSTRAINTS ALL IMMEDIATE";
        let begin = match &self.mode {
            Mode::Direct(_) => "BEGIN;",
            Mode::Pooled { begin } => begin,
        };
        self.is_open.store(true, Ordering::Relaxed);
        self.client.batch_execute(&format!("{begin}{SETTINGS}")).await
    }

    /// Whether a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Ends the transaction. After a failed statement the server rolls it back here.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.client.batch_execute("COMMIT").await?;
        self.is_open.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Takes back the transaction, if one is open.
    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        if self.is_open() {
            self.client.batch_execute("ROLLBACK").await?;
            self.is_open.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs several statements in one transaction, on the client, which sends them without names. No
    /// transaction may be open.
    pub(super) async fn transaction<T>(
        &self,
        statements: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begin = match &self.mode {
            Mode::Direct(_) => "BEGIN",
            Mode::Pooled { begin } => begin,
        };
        self.client.batch_execute(begin).await?;
        let outcome = statements(&self.client).await;
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.client.batch_execute(end).await?;
        outcome
    }

    /// Sends a statement together with the beginning and the end of its transaction. All three are
    /// sent before the first answer is awaited: it is one round trip, and a caller that gives up
    /// leaves no open transaction. If the statement fails, so does the transaction.
    async fn in_transaction<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Mode::Pooled { begin } = &self.mode else { return statement.await };
        if self.is_open() {
            return statement.await;
        }
        let begin = self.client.batch_execute(begin);
        let commit = self.client.batch_execute("COMMIT");
        let (begun, outcome, committed) = join3(begin, statement, commit).await;
        begun?;
        let outcome = outcome?;
        committed?;
        Ok(outcome)
    }
}

fn typed<'a>(values: Values<'a>, types: &[Type]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().copied().zip(types.iter().cloned()).collect()
}
