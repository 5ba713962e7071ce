//! Applying messages on a connection of its own.
//!
//! All that are given share a transaction. If one of them fails, the transaction is taken back, and the
//! messages are applied in smaller parts until the one that failed is alone and is rejected. If another
//! transaction holds a lock, those before are applied, and the others stay queued: no message overtakes
//! one that waits.
//!
//! A statement may take as long as it takes, so how long there is no answer does not tell whether the
//! connection has gone silent, as behind a pooler or a firewall that forgot it. What tells is the lock that
//! a transaction holds from its beginning: while no transaction has it, none will answer, and none does
//! after another worker has taken over, which it cannot while the transaction runs. Then the
//! connection is closed and the messages are applied again on another one. That is safe though what was
//! sent may still arrive: the transaction ends as a whole or not at all; one that begins later waits for
//! its lock, sees the catalogue as it left it, and passes over the messages that it has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::query;
use super::rows::Failed;
use super::schema::Schema;
use super::transaction::{self, MOST_TABLES, Stop};
use crate::activities::model::{Rejection, RejectionKind, Work};
use crate::db::postgres::connection::Connector;
use crate::db::postgres::error;
use crate::db::postgres::pool::Pool;
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::{Applied, ErrorKind, QueuedMessage, StorageError, WorkerLease};

/// Statements take as long as they take, but do not wait for locks: readers queue up behind them. The
/// server ends the transaction of a worker that was stopped. Rows to delete are found through indexes,
/// however many the planner takes for granted.
const SETTINGS: [&str; 6] = [
    "statement_timeout = 0",
    "lock_timeout = '2s'",
    "idle_in_transaction_session_timeout = '3s'",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
];

/// A row if no transaction applies messages of the worker with that token, because none applies any or another
/// worker has taken over: see the fence of [`super::transaction`].
const NOBODY_APPLIES: Sql<'_> = Sql {
    text: "WITH free AS MATERIALIZED ( \
             SELECT FROM activity_catalogue FOR NO KEY UPDATE SKIP LOCKED \
         ) SELECT 1 WHERE EXISTS (SELECT FROM free) \
               OR NOT EXISTS (SELECT FROM activity_worker WHERE token = $1)",
    types: &[Type::INT8],
};
/// How often it is asked while there is no answer. In that time the server has ended a transaction that gets
/// no further statement.
const SILENCE: Duration = Duration::from_secs(3);
/// In so many successive looks no transaction was under way: between two of the same messages one may
/// find none.
const SILENT: u32 = 2;

pub(super) struct Applier {
    connector: Connector,
    /// To ask whether a transaction is under way.
    pool: Pool,
    connection: Arc<Mutex<Option<Connection>>>,
}

struct Connection {
    client: PgSession,
    /// The task that has the socket.
    socket: JoinHandle<()>,
    schema: Option<Schema>,
}

impl Applier {
    /// The connection is made when it is needed.
    pub(super) fn new(connector: &Connector, pool: Pool) -> Self {
        Self { connector: connector.clone(), pool, connection: Arc::default() }
    }

    pub(super) async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError> {
        let works = messages.iter().map(|message| parse(&message.body)).collect();
        self.run(lease, messages, works).await
    }

    pub(super) async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError> {
        self.run(lease, vec![message], vec![Err(rejection)]).await
    }

    /// In a task that goes on when its caller goes away, as a worker does that has lost its lease by its own
    /// clock: while the transaction runs nobody else can take over, and a long statement, such as an index on a
    /// large table, would be begun anew each time.
    async fn run(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
        works: Vec<Result<Work, Rejection>>,
    ) -> Result<Applied, StorageError> {
        let (connector, shared) = (self.connector.clone(), self.connection.clone());
        let pool = self.pool.clone();
        let task = tokio::spawn(async move {
            let mut shared = shared.lock().await;
            let connection = match shared.take() {
                Some(connection) if !connection.client.is_closed() => connection,
                _ => connect(&connector).await?,
            };
            let mut run = Run { connection, lease, messages, works, outcomes: Vec::new() };
            let applied = tokio::select! {
                applied = run.apply_all() => applied,
                () = silence(&pool, lease) => {
                    // The client would wait for the answers that are due before it closes the socket.
                    run.connection.socket.abort();
                    // What was committed before counts; of the others it is not known.
                    return match run.outcomes.is_empty() {
                        true => Err(error::timeout()),
                        false => Ok(Applied::Outcomes(run.outcomes)),
                    };
                }
            };
            let client = &run.connection.client;
            if !client.is_closed() && !client.is_open() {
                *shared = Some(run.connection);
            }
            applied
        });
        task.await.map_err(|e| {
            StorageError::with_source(ErrorKind::Internal, "applying messages panicked", e)
        })?
    }
}

async fn connect(connector: &Connector) -> Result<Connection, StorageError> {
    let settings = SETTINGS.map(str::to_owned);
    let (client, socket) = connector.connect_with(&settings).await.map_err(error::storage)?;
    Ok(Connection { client, socket, schema: None })
}

/// Ends when no answer is to be expected any more.
async fn silence(pool: &Pool, lease: WorkerLease) {
    let mut silent = 0;
    while silent < SILENT {
        sleep(SILENCE).await;
        match query(pool, NOBODY_APPLIES, vec![Box::new(lease.token)]).await {
            Ok(rows) if rows.is_empty() => silent = 0,
            Ok(_) => silent += 1,
            // Nobody else can tell either; it is asked until the server is back.
            Err(error) => tracing::debug!(%error, "whether messages are applied is unknown"),
        }
    }
    tracing::warn!("the connection that applies messages is silent");
}

fn parse(body: &str) -> Result<Work, Rejection> {
    Work::parse(body).map_err(|invalid| Rejection {
        kind: RejectionKind::Unreadable,
        activity: None,
        table: None,
        column: None,
        error: format!("This version of the program cannot read the message: {}.", invalid.what),
    })
}

struct Run {
    connection: Connection,
    lease: WorkerLease,
    messages: Vec<QueuedMessage>,
    /// What each message does, or why it is rejected.
    works: Vec<Result<Work, Rejection>>,
    /// Of the messages that have ended.
    outcomes: Vec<Option<Rejection>>,
}

impl Run {
    async fn apply_all(&mut self) -> Result<Applied, StorageError> {
        // Where the next transactions end, the next one last.
        let mut ends = vec![self.messages.len()];
        let mut merge = true;
        while let Some(&end) = ends.last() {
            let start = self.outcomes.len();
            if start >= end {
                ends.pop();
                continue;
            }
            let stop = match self.transaction(start, end, merge).await {
                Ok(()) => {
                    merge = true;
                    continue;
                }
                Err(stop) => stop,
            };
            let failed = match stop {
                Stop::LeaseLost if start == 0 => return Ok(Applied::LeaseLost),
                // The next call says so.
                Stop::LeaseLost => break,
                Stop::Failed(error) if start == 0 => return Err(error),
                Stop::Failed(error) => {
                    tracing::warn!(%error, "some messages were not applied");
                    break;
                }
                Stop::Statement(failed) => failed,
            };
            let before = failed.place.message;
            if is_lock(&failed.error) {
                ends = vec![start + before];
            } else if let Some(why) = own_fault(&failed.error, self.works.get(start + before)) {
                match end - start {
                    // Which of its activities it was.
                    1 if merge => merge = false,
                    1 => self.works[start] = Err(self.refused(start, &failed, why)),
                    _ if before > 0 => ends.push(start + before),
                    several => ends.push(start + several / 2),
                }
            } else if start == 0 {
                return Err(error::storage(failed.error));
            } else {
                let error = error::storage(failed.error);
                tracing::warn!(%error, "some messages were not applied");
                break;
            }
        }
        Ok(Applied::Outcomes(std::mem::take(&mut self.outcomes)))
    }

    /// Applies the messages from `start` on, at most to `end`.
    async fn transaction(&mut self, start: usize, end: usize, merge: bool) -> Result<(), Stop> {
        let Self { connection, lease, messages, works, outcomes } = self;
        let Connection { client, schema, .. } = connection;
        let (messages, works) = (&messages[start..end], &works[start..end]);
        match transaction::apply(client, schema, *lease, messages, works, merge).await {
            Ok(ended) => {
                outcomes.extend(ended);
                Ok(())
            }
            Err(stop) => {
                *schema = None;
                client.roll_back().await.map_err(|e| Stop::Failed(error::storage(e)))?;
                Err(stop)
            }
        }
    }

    /// The rejection of the message that failed alone, at an activity.
    fn refused(&self, message: usize, failed: &Failed, why: &str) -> Rejection {
        let target = match &self.works[message] {
            Ok(Work::Activities(all)) => all.get(failed.place.activity).map(|a| a.target()),
            _ => None,
        };
        Rejection {
            kind: RejectionKind::Refused,
            activity: target.and_then(|_| u32::try_from(failed.place.activity).ok()),
            table: target.map(|target| target.table.clone()),
            column: None,
            error: why.to_owned(),
        }
    }
}

/// Whether another transaction prevented the statement, so that it may succeed later.
fn is_lock(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            &SqlState::LOCK_NOT_AVAILABLE
                | &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::T_R_SERIALIZATION_FAILURE
        )
    )
}

/// Why the statement fails whenever it is tried, in a sentence without values; `None` if it is not due to
/// the message.
fn own_fault(error: &Error, work: Option<&Result<Work, Rejection>>) -> Option<&'static str> {
    let code = error.code()?;
    // The role lacks a right: that is for the operator, and no message is to blame.
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return None;
    }
    Some(match code.code().get(..2)? {
        "22" => "The database refused a value.",
        "23" | "44" => "A constraint of the table refused the row.",
        "54" => "The row has more columns or longer values than the database can hold.",
        "42" | "2B" | "0A" => "The table in the database is not as this program made it.",
        "53" if *code == SqlState::OUT_OF_MEMORY && tables(work) > MOST_TABLES => {
            "The message changes more tables than the database can lock at once."
        }
        _ if error::refusal(error).is_some() => "A rule of the database refused the row.",
        _ => return None,
    })
}

/// How many tables a message is about, at most.
fn tables(work: Option<&Result<Work, Rejection>>) -> usize {
    let Some(Ok(Work::Activities(activities))) = work else { return 0 };
    let tables = activities.iter().map(|activity| &activity.target().table);
    tables.collect::<std::collections::HashSet<_>>().len()
}
