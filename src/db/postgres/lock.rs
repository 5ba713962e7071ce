//! Strong locks on tables in use.
//!
//! A statement that waits for a strong lock makes all wait that come after it, readers too, until the
//! transactions before it have ended: a dump or a forgotten transaction would stop the store for as
//! long as it lasts. So strong locks are waited for in short tries, with pauses in which the others
//! go on, and the log says who holds them.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient, Transaction};

use crate::db::common::retry::Backoff;

/// For a transaction that takes a strong lock: how long a try makes the others wait.
pub(super) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";
const PAUSES: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
/// How often the log says the same.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Who holds locks on the tables and sequences of these names for longer than a try. A transaction that
/// is prepared for two-phase commit has no process.
const HOLDERS: &str = "SELECT string_agg(who, ', ') FROM ( \
         SELECT DISTINCT coalesce(format('pid %s (%s)', a.pid, \
             coalesce(nullif(a.application_name, ''), a.usename::text, 'unknown')), \
             'a prepared transaction') AS who \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.relation = ANY (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) \
           AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() \
           AND coalesce(a.xact_start < clock_timestamp() - interval '500 ms', true) \
         LIMIT 5) AS holders";

/// Whether the error is that a lock was not free within the time for it.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Waiting for locks between tries.
pub(super) struct LockWait {
    /// Tables and sequences, as SQL names them.
    names: Vec<String>,
    pauses: Backoff,
    begun: Instant,
    logged: Option<(Instant, String)>,
}

impl LockWait {
    pub(super) fn new(names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, pauses: PAUSES, begun: Instant::now(), logged: None }
    }

    /// Says who holds the locks, and waits until the next try. The client must hold none.
    pub(super) async fn pause(&mut self, client: &impl GenericClient) -> Result<(), Error> {
        let holders: Option<String> = client
            .query_typed_one(HOLDERS, &[(&self.names, Type::TEXT_ARRAY)])
            .await?
            .try_get(0)?;
        self.log(holders.unwrap_or_else(|| "others, each for a short time".to_owned()));
        self.pauses.wait().await;
        Ok(())
    }

    fn log(&mut self, held_by: String) {
        let is_new = self
            .logged
            .as_ref()
            .is_none_or(|(at, said)| *said != held_by || at.elapsed() >= LOG_EVERY);
        if is_new {
            let (lock, waited_ms) =
                (self.names.join(", "), self.begun.elapsed().as_millis() as u64);
            tracing::warn!(lock, held_by, waited_ms, "waiting for a lock");
            self.logged = Some((Instant::now(), held_by));
        }
    }
}

/// Takes locks in a transaction that has done much already: if they are not free, only they are tried
/// again. All `statements` that take them run together, so that none is held during a pause.
pub(super) async fn take(
    t: &Transaction<'_>,
    statements: &str,
    names: &[&str],
) -> Result<(), Error> {
    let attempt = format!(
        "SAVEPOINT before_locks; {LOCK_TIMEOUT}; {statements}; SET LOCAL lock_timeout = DEFAULT; \
         RELEASE SAVEPOINT before_locks"
    );
    let mut wait = LockWait::new(names);
    loop {
        match t.batch_execute(&attempt).await {
            Err(error) if is_lock_timeout(&error) => {}
            outcome => return outcome,
        }
        let back = "ROLLBACK TO SAVEPOINT before_locks; RELEASE SAVEPOINT before_locks";
        t.batch_execute(back).await?;
        wait.pause(t).await?;
    }
}
