//! One transaction that applies messages: the fence, the changes of tables and rows, and the final states
//! of the messages. It holds at any moment, so that no statement of a previous worker can follow one of the
//! next.

use std::collections::HashSet;

use futures::future::{join3, join4};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::damaged;
use super::ending::{Ended, count_rows, passed_over};
use super::rows::{Changes, Failed, Kind, Place, Statements};
use super::schema::Schema;
use crate::activities::model::{Activity, Name, Rejection, Work};
use crate::db::postgres::error;
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::{QueuedMessage, StorageError, WorkerLease};

/// The version of the catalogue, if the lease holds; it holds then until the end of the transaction. A
/// transaction of the same worker that it has given up is waited for, by the lock of the catalogue: the
/// version is the one that it left.
const FENCE: Sql<'_> = Sql {
    text: "SELECT version FROM activity_worker w, activity_catalogue c \
           WHERE w.token = $1 AND w.owner IS NOT NULL \
           FOR KEY SHARE OF w FOR NO KEY UPDATE OF c",
    types: &[Type::INT8],
};
/// One that has ended is not, though it was queued again: it has no effect then.
const STILL_QUEUED: Sql<'_> = Sql {
    text: "SELECT position FROM activity_queue q WHERE position = ANY ($1) \
             AND NOT EXISTS (SELECT FROM activity_messages m WHERE m.id = q.id) FOR UPDATE",
    types: &[Type::INT8_ARRAY],
};
const SET_VERSION: Sql<'_> =
    Sql { text: "UPDATE activity_catalogue SET version = $1", types: &[Type::INT8] };
/// Changes of tables in one transaction, each of which takes several places in the table of locks; a
/// single message may make more.
const MOST_CHANGES: usize = 50;
/// Tables whose rows one transaction changes, unless it is a single message.
pub(super) const MOST_TABLES: usize = 200;

/// Why a transaction was taken back.
pub(super) enum Stop {
    LeaseLost,
    /// A statement of the messages failed.
    Statement(Failed),
    Failed(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Statement(failed)
    }
}

fn failed(error: Error) -> Stop {
    Stop::Failed(error::storage(error))
}

/// Applies messages, or a part of them, the first ones, at least one; returns their outcomes. `works` are
/// what they do, or why they are rejected. On an error the transaction may be open, and the schema is of
/// no use.
pub(super) async fn apply(
    client: &PgSession,
    schema: &mut Option<Schema>,
    lease: WorkerLease,
    messages: &[QueuedMessage],
    works: &[Result<Work, Rejection>],
    merge: bool,
) -> Result<Vec<Option<Rejection>>, Stop> {
    let positions: Vec<i64> = messages.iter().map(|message| message.position).collect();
    let (begun, fence, queued) = join3(
        client.begin(),
        client.query_once(FENCE, &[&lease.token]),
        client.query_once(STILL_QUEUED, &[&positions]),
    )
    .await;
    begun.map_err(failed)?;
    let fence = fence.map_err(failed)?;
    let version: i64 = fence.first().ok_or(Stop::LeaseLost)?.try_get(0).map_err(failed)?;
    let queued = queued.map_err(failed)?;
    let queued: HashSet<i64> =
        queued.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
    let schema = match schema {
        Some(known) if known.version == version => known,
        outdated => outdated.insert(Schema::load(client, version).await?),
    };
    let mut transaction = Transaction {
        client,
        schema,
        statements: Statements::new(merge),
        rows: Changes::new(),
        tables: HashSet::new(),
        changes: 0,
    };
    let mut outcomes = Vec::new();
    for (n, (message, work)) in messages.iter().zip(works).enumerate() {
        outcomes.push(match work {
            _ if !queued.contains(&message.position) => None,
            Err(rejection) => Some(rejection.clone()),
            Ok(work) => match transaction.apply(n, work).await? {
                Applied::All => None,
                Applied::Rejected(rejection) => Some(rejection),
                Applied::NotNow => break,
            },
        });
    }
    let ended = &messages[..outcomes.len()];
    if let Some(known) = passed_over(client, ended, &queued).await.map_err(failed)? {
        for (message, outcome) in ended.iter().zip(&mut outcomes) {
            if let Some(rejection) = known.get(&message.id) {
                *outcome = Some(rejection.clone());
            }
        }
    }
    transaction.commit(ended, &outcomes, &queued).await?;
    Ok(outcomes)
}

/// What became of one message in an open transaction.
enum Applied {
    All,
    Rejected(Rejection),
    /// It must be in another transaction.
    NotNow,
}

struct Transaction<'a, 's> {
    client: &'a PgSession,
    schema: &'s mut Schema,
    statements: Statements<'a>,
    rows: Changes,
    /// The tables whose rows change.
    tables: HashSet<i64>,
    /// How many changes of tables there were.
    changes: usize,
}

impl<'a> Transaction<'a, '_> {
    async fn apply(&mut self, message: usize, work: &'a Work) -> Result<Applied, Stop> {
        let plan = match self.schema.catalogue.plan(work) {
            Ok(plan) => plan,
            Err(rejection) => return Ok(Applied::Rejected(rejection)),
        };
        let is_full = self.changes >= MOST_CHANGES || self.tables.len() >= MOST_TABLES;
        if message > 0 && is_full {
            return Ok(Applied::NotNow);
        }
        if !plan.changes.is_empty() {
            self.statements.run(self.client, &mut self.rows).await?;
            for change in &plan.changes {
                let changed = self.schema.change(self.client, change).await;
                // The table tells which activity it was, where there are several.
                let activity = activity_of(work, &change.table);
                let place = Place { message, activity };
                changed.map_err(|error| Failed { place, error })?;
            }
            self.schema.catalogue.apply(&plan);
            self.changes += plan.changes.len();
        }
        if let Work::Activities(activities) = work {
            for (activity, change) in activities.iter().enumerate() {
                self.push(change, Place { message, activity }).await?;
            }
        }
        Ok(Applied::All)
    }

    async fn push(&mut self, activity: &'a Activity, place: Place) -> Result<(), Stop> {
        let target = activity.target();
        let table = self.schema.catalogue.table(&target.table).ok_or_else(damaged)?;
        let columns = target.cells.iter().map(|cell| table.position(&cell.column));
        let columns: Vec<usize> = columns.collect::<Option<_>>().ok_or_else(damaged)?;
        let kind = match activity {
            Activity::Insert(_) => Kind::Insert,
            Activity::Delete(_) => {
                let mut set = columns.clone();
                set.sort_unstable();
                let made = self.schema.ensure_index(self.client, &target.table, &set).await;
                self.changes += usize::from(made.map_err(|error| Failed { place, error })?);
                Kind::Delete
            }
        };
        let physical = self.schema.physical(&target.table)?;
        self.tables.insert(physical.number);
        self.statements.push(kind, (&target.table, physical), &target.cells, columns, place);
        Ok(())
    }

    /// Runs what is left, records how the messages ended, and commits.
    async fn commit(
        mut self,
        messages: &[QueuedMessage],
        outcomes: &[Option<Rejection>],
        queued: &HashSet<i64>,
    ) -> Result<(), Stop> {
        let client = self.client;
        self.statements.run(client, &mut self.rows).await?;
        let version = self.schema.version + i64::from(self.changes > 0);
        let set_version = async {
            if version == self.schema.version {
                return Ok(0);
            }
            client.execute_once(SET_VERSION, &[&version]).await
        };
        let ended = Ended::new(messages, outcomes, queued);
        let (counted, versioned, recorded, committed) = join4(
            count_rows(client, &self.rows),
            set_version,
            ended.record(client),
            client.commit(),
        )
        .await;
        // If one of the first three failed, the server has rolled back at the last.
        counted.map_err(failed)?;
        versioned.map_err(failed)?;
        recorded.map_err(failed)?;
        committed.map_err(failed)?;
        self.schema.version = version;
        Ok(())
    }
}

fn activity_of(work: &Work, table: &Name) -> usize {
    let Work::Activities(activities) = work else { return 0 };
    activities.iter().position(|activity| activity.target().table == *table).unwrap_or_default()
}
