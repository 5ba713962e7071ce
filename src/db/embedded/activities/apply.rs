//! Applying messages: one job of the writer, so that the lease, the messages' effects and their final
//! states are of one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::cache::CachedCatalogue;
use super::codec::id_bytes;
use super::queue::{self, Taken};
use super::{lease, rows, states};
use crate::activities::model::{Activity, Rejection, RejectionKind, Work};
use crate::db::storage::{Applied, QueuedMessage, WorkerLease};

const ADD_APPLIED: &str = "INSERT INTO activity_applied \
                           (position, id, received_at, ended_at, attempts, retry_of) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const ADD_REJECTED: &str = "INSERT INTO activity_rejected (position, id, received_at, ended_at, \
                            attempts, retry_of, cause, error, activity, body) \
                            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const ENDED: &str = "SELECT cause, error, activity FROM activity_rejected WHERE id = ?1";
const COUNT_ROWS: &str =
    "UPDATE activity_tables SET rows = rows + ?2, last_applied_at = ?3 WHERE number = ?1";

/// How long a job may apply messages before those that wait for it get their turn.
const BATCH_TIME: Duration = Duration::from_millis(200);
/// How long rows get hashes at the end of a job.
const FILL: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 20 });

/// A message and what it asks for, or why it cannot be applied.
pub(super) struct Parsed {
    message: QueuedMessage,
    work: Result<Work, Rejection>,
}

impl Parsed {
    /// Reads the text of a message.
    pub(super) fn new(message: QueuedMessage) -> Self {
        let work = Work::parse(&message.body).map_err(|error| Rejection {
            kind: RejectionKind::Unreadable,
            activity: None,
            table: None,
            column: None,
            error: error.to_string(),
        });
        Self { message, work }
    }

    /// A message that is rejected whatever it asks for.
    pub(super) const fn rejected(message: QueuedMessage, rejection: Rejection) -> Self {
        Self { message, work: Err(rejection) }
    }
}

/// How many rows each changed table gains, by its number; 0 where only something else changed.
type RowCounts = BTreeMap<i64, i64>;

/// Applies messages in their order, and gives the catalogue back.
pub(super) fn apply(
    c: &Connection,
    of: WorkerLease,
    messages: &[Parsed],
    cached: Option<CachedCatalogue>,
) -> rusqlite::Result<(Applied, Option<CachedCatalogue>)> {
    if !lease::is_held(c, of)? {
        return Ok((Applied::LeaseLost, cached));
    }
    let mut batch = Batch::new(c, CachedCatalogue::current(c, cached)?);
    execute(c, "SAVEPOINT batch")?;
    let outcomes = match batch.run(messages)? {
        Some(outcomes) => outcomes,
        // A savepoint for each message copies each page that it changes, so that it is made only after
        // SQLite refused a statement of one of them.
        None => {
            execute(c, "ROLLBACK TO batch")?;
            batch = Batch::new(c, CachedCatalogue::load(c)?);
            batch.run_one_by_one(messages)?
        }
    };
    execute(c, "RELEASE batch")?;
    let cache = batch.finish()?;
    Ok((Applied::Outcomes(outcomes), Some(cache)))
}

struct Batch<'a> {
    c: &'a Connection,
    cache: CachedCatalogue,
    now: i64,
    rows: RowCounts,
    ended: (i64, i64),
}

impl<'a> Batch<'a> {
    fn new(c: &'a Connection, cache: CachedCatalogue) -> Self {
        let now = Timestamp::now().as_microsecond();
        Self { c, cache, now, rows: RowCounts::new(), ended: (0, 0) }
    }

    /// `None` if SQLite refused a message's statement. Then the caller must roll back.
    fn run(&mut self, messages: &[Parsed]) -> rusqlite::Result<Option<Vec<Option<Rejection>>>> {
        let (begun, mut outcomes) = (Instant::now(), Vec::with_capacity(messages.len()));
        for parsed in messages {
            match self.message(parsed) {
                Err(error) if self.is_of_message(&error) => return Ok(None),
                outcome => outcomes.push(outcome?),
            }
            // Accepts wait for this job; what is left stays queued.
            if begun.elapsed() > BATCH_TIME {
                break;
            }
        }
        Ok(Some(outcomes))
    }

    /// The same, where a message that SQLite refuses is rejected.
    fn run_one_by_one(&mut self, messages: &[Parsed]) -> rusqlite::Result<Vec<Option<Rejection>>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        for parsed in messages {
            execute(self.c, "SAVEPOINT message")?;
            let outcome = match self.message(parsed) {
                Err(error) if self.is_of_message(&error) => {
                    execute(self.c, "ROLLBACK TO message")?;
                    // It has what the message did to it.
                    self.cache = CachedCatalogue::load(self.c)?;
                    let refused = Parsed::rejected(parsed.message.clone(), refused(&error));
                    self.message(&refused)?
                }
                outcome => outcome?,
            };
            execute(self.c, "RELEASE message")?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Applies or rejects a message and records which; `None` if it is applied.
    fn message(&mut self, parsed: &Parsed) -> rusqlite::Result<Option<Rejection>> {
        let Parsed { message, work } = parsed;
        let Some(taken) = queue::take(self.c, message)? else {
            return earlier_outcome(self.c, message);
        };
        let planned = work
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|work| self.cache.catalogue.plan(work).map(|plan| (work, plan)));
        let (mut changed, outcome) = match planned {
            Ok((work, plan)) => {
                let created = self.cache.apply(self.c, &plan)?;
                let mut changed = created.into_iter().map(|number| (number, 0)).collect();
                if let Work::Activities(activities) = work {
                    self.activities(activities, &mut changed)?;
                }
                self.record_applied(message, taken)?;
                (changed, None)
            }
            Err(rejection) => {
                self.record_rejected(message, taken, &rejection)?;
                (RowCounts::new(), Some(rejection))
            }
        };
        // After the last statement that may fail.
        while let Some((number, rows)) = changed.pop_first() {
            *self.rows.entry(number).or_default() += rows;
        }
        self.ended = (self.ended.0 + 1, self.ended.1 + taken.bytes);
        Ok(outcome)
    }

    fn activities(
        &mut self,
        activities: &[Activity],
        changed: &mut RowCounts,
    ) -> rusqlite::Result<()> {
        for activity in activities {
            let (number, rows) = match activity {
                Activity::Insert(target) => rows::insert(self.c, &self.cache, target)?,
                Activity::Delete(target) => rows::delete(self.c, &mut self.cache, target)?,
            };
            if rows != 0 {
                *changed.entry(number).or_default() += rows;
            }
        }
        Ok(())
    }

    fn record_applied(&self, message: &QueuedMessage, taken: Taken) -> rusqlite::Result<()> {
        let Taken { received_at, attempts, retry_of, .. } = taken;
        let (position, id) = (message.position, id_bytes(message.id));
        let values = params![position, id, received_at, self.now, attempts, retry_of];
        self.c.prepare_cached(ADD_APPLIED)?.execute(values).map(drop)
    }

    fn record_rejected(
        &self,
        message: &QueuedMessage,
        taken: Taken,
        rejection: &Rejection,
    ) -> rusqlite::Result<()> {
        let Taken { received_at, attempts, retry_of, .. } = taken;
        let cause = rejection.cause();
        self.c.prepare_cached(ADD_REJECTED)?.execute(params![
            message.position,
            id_bytes(message.id),
            received_at,
            self.now,
            attempts,
            retry_of,
            cause,
            rejection.error,
            rejection.activity,
            &*message.body,
        ])?;
        self.c.prepare_cached(states::COUNT_CAUSE)?.execute([cause]).map(drop)
    }

    /// Whether an error is due to the message's values. Of any other the whole job fails; so it does of an
    /// error that made SQLite roll back the transaction.
    fn is_of_message(&self, error: &rusqlite::Error) -> bool {
        use ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
        let code = error.sqlite_error_code();
        !self.c.is_autocommit() && matches!(code, Some(ConstraintViolation | TooBig | TypeMismatch))
    }

    /// Stores what is counted once for all messages.
    fn finish(mut self) -> rusqlite::Result<CachedCatalogue> {
        queue::add_to_totals(self.c, -self.ended.0, -self.ended.1)?;
        for (number, rows) in &self.rows {
            // Changes nothing if a later message dropped the table.
            self.c.prepare_cached(COUNT_ROWS)?.execute([*number, *rows, self.now])?;
        }
        self.cache.finish(self.c, FILL)?;
        Ok(self.cache)
    }
}

fn refused(error: &rusqlite::Error) -> Rejection {
    Rejection {
        kind: RejectionKind::Refused,
        activity: None,
        table: None,
        column: None,
        error: format!("The database refused the values: {error}."),
    }
}

/// The outcome of a message that has ended before; that of one that is gone is taken for applied.
fn earlier_outcome(c: &Connection, message: &QueuedMessage) -> rusqlite::Result<Option<Rejection>> {
    let mut statement = c.prepare_cached(ENDED)?;
    let found = statement.query_row([id_bytes(message.id)], |row| {
        let cause: String = row.get(0)?;
        let kind = cause.split(' ').next().unwrap_or_default();
        let kind = RejectionKind::ALL.into_iter().find(|known| known.as_str() == kind);
        Ok(Rejection {
            kind: kind.unwrap_or(RejectionKind::Unreadable),
            activity: row.get(2)?,
            table: None,
            column: None,
            error: row.get(1)?,
        })
    });
    found.optional()
}

fn execute(c: &Connection, sql: &str) -> rusqlite::Result<()> {
    c.prepare_cached(sql)?.execute(()).map(drop)
}

/// Removes messages that ended by then, how many, and gives rows hashes while nothing else is to be done.
pub(super) fn prune(
    c: &Connection,
    of: WorkerLease,
    (ended_by, limit): (i64, u32),
    cached: Option<CachedCatalogue>,
) -> rusqlite::Result<(u32, Option<CachedCatalogue>)> {
    if !lease::is_held(c, of)? {
        return Ok((0, cached));
    }
    let mut cache = CachedCatalogue::current(c, cached)?;
    cache.finish(c, FILL)?;
    Ok((states::prune(c, ended_by, limit)?, Some(cache)))
}
