//! Where the queue begins: a position before which no message is queued, nor ever will be; and the same of
//! its totals.
//!
//! Applied messages leave dead entries at the low end of the index, and while any transaction has an old
//! snapshot, such as that of pg_dump, none of them is removed. Who looks for the lowest position would read
//! all of them each time. So the worker stores a position from which on to look.
//!
//! It must not be too high: a transaction that took a low position may commit after others with higher
//! ones. So a position that was found is stored only when all transactions have ended that were changing
//! the queue at a moment after that. Each has locked the table before it took a position, and is seen in
//! `pg_locks`, where transactions that only read, however long, do not count.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::{Values, damaged, query};
use crate::db::postgres::error;
use crate::db::postgres::pool::Pool;
use crate::db::postgres::session::Sql;
use crate::db::storage::{QueuedMessage, StorageError, WorkerLease};

/// The highest number of the totals.
const LAST_TOTAL: Sql<'_> = Sql {
    text: "SELECT coalesce(max(number), 0) FROM activity_queue_totals \
           WHERE number >= (SELECT totals_from FROM activity_worker)",
    types: &[],
};
/// Since when the server runs, and the transactions that are changing the queue or its totals.
const WRITERS: Sql<'_> = Sql {
    text: "SELECT pg_postmaster_start_time(), ARRAY( \
             SELECT virtualtransaction FROM pg_locks \
             WHERE locktype = 'relation' AND relation IN \
                     ('activity_queue'::regclass, 'activity_queue_totals'::regclass) \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND mode = 'RowExclusiveLock' AND granted)",
    types: &[],
};
/// At most the lowest position that is there. Nothing on another server: one that took over from a
/// replica may have lost positions, and gives them away again.
const STORE: Sql<'_> = Sql {
    text: "UPDATE activity_worker SET queue_from = greatest(queue_from, coalesce(( \
               SELECT position FROM activity_queue q \
               WHERE q.position >= queue_from AND q.position < $2 ORDER BY q.position LIMIT 1), $2)), \
             totals_from = greatest(totals_from, coalesce(( \
               SELECT number FROM activity_queue_totals t \
               WHERE t.number >= totals_from AND t.number < $4 ORDER BY t.number LIMIT 1), $4)) \
           WHERE token = $1 AND owner IS NOT NULL AND pg_postmaster_start_time() = $3",
    types: &[Type::INT8, Type::INT8, Type::TIMESTAMPTZ, Type::INT8],
};
/// So far the position is behind, at most, and so seldom it is stored: each time leaves a dead row.
const STEP: i64 = 2_048;
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct LowWater(Mutex<State>);

#[derive(Default)]
struct State {
    /// The lease under which that was found. The one that follows stores from the beginning.
    lease: Option<WorkerLease>,
    /// Since when the server runs on which that was found.
    server_start: Option<Timestamp>,
    /// The position after the highest one that was found.
    found: i64,
    /// The last one that was stored by this worker.
    stored: i64,
    candidate: Option<Candidate>,
    looked_at: Option<Instant>,
}

/// A position, and a number of the totals, that can be stored when these transactions have ended.
struct Candidate {
    position: i64,
    total: i64,
    writers: Vec<String>,
}

impl LowWater {
    /// Notes messages that were found in the queue.
    pub(super) fn found(&self, messages: &[QueuedMessage]) {
        if let Some(last) = messages.last() {
            let mut state = self.lock();
            state.found = state.found.max(last.position + 1);
        }
    }

    /// Stores a higher position if it is time to, and there is one that is certain.
    pub(super) async fn advance(&self, pool: &Pool, lease: WorkerLease) {
        let Some(found) = self.due(lease) else { return };
        if let Err(error) = self.store(pool, lease, found).await {
            // Looking for messages takes longer, and is as right as before.
            tracing::debug!(%error, "where the queue begins is not stored");
            *self.lock() = State::default();
        }
    }

    /// The position to store, if it is time.
    fn due(&self, lease: WorkerLease) -> Option<i64> {
        let mut state = self.lock();
        if state.lease != Some(lease) {
            *state = State { lease: Some(lease), ..State::default() };
        }
        let is_early = state.looked_at.is_some_and(|at| at.elapsed() < INTERVAL);
        let is_near = state.server_start.is_some() && state.found - state.stored < STEP;
        if is_early || is_near {
            return None;
        }
        state.looked_at = Some(Instant::now());
        Some(state.found)
    }

    async fn store(&self, pool: &Pool, lease: WorkerLease, found: i64) -> Result<(), StorageError> {
        let rows = query(pool, LAST_TOTAL, Vec::new()).await?;
        let total = rows.first().ok_or_else(damaged)?.try_get(0).map_err(error::storage)?;
        // After both were found: who took a position before, and has not ended, is among these.
        let rows = query(pool, WRITERS, Vec::new()).await?;
        let row = rows.first().ok_or_else(damaged)?;
        let read = || -> Result<(Timestamp, Vec<String>), Error> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        let (server_start, writers) = read().map_err(error::storage)?;
        let known = {
            let mut state = self.lock();
            if state.server_start != Some(server_start) {
                // What was found on the server before says nothing about this one.
                let server_start = Some(server_start);
                *state = State { lease: Some(lease), server_start, ..State::default() };
                return Ok(());
            }
            state.candidate.take()
        };
        let mut next = Candidate { position: found, total, writers };
        match known {
            Some(known) if known.writers.iter().any(|writer| next.writers.contains(writer)) => {
                next = known;
            }
            Some(Candidate { position, total, .. }) => {
                let values: Values = vec![
                    Box::new(lease.token),
                    Box::new(position),
                    Box::new(server_start),
                    Box::new(total),
                ];
                query(pool, STORE, values).await?;
                self.lock().stored = position;
            }
            None => {}
        }
        self.lock().candidate = Some(next);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
