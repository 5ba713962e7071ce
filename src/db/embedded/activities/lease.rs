//! Who applies messages. The token is compared in the transaction that applies them, so that a worker
//! that was paused changes nothing after another one took over.

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::storage::{WorkerLease, WorkerRecord};

const READ: &str = "SELECT token, renewal, owner FROM activity_worker";
const IS_HELD: &str =
    "SELECT EXISTS (SELECT 1 FROM activity_worker WHERE token = ?1 AND owner IS NOT NULL)";
const TAKE_OVER: &str = "UPDATE activity_worker SET token = token + 1, owner = ?4 \
                         WHERE token = ?1 AND renewal = ?2 AND owner IS ?3 RETURNING token";
const RENEW: &str = "UPDATE activity_worker SET renewal = renewal + 1 \
                     WHERE token = ?1 AND owner IS NOT NULL";
const RELEASE: &str = "UPDATE activity_worker SET owner = NULL WHERE token = ?1";

pub(super) fn read(c: &Connection) -> rusqlite::Result<WorkerRecord> {
    c.prepare_cached(READ)?.query_row((), |row| {
        Ok(WorkerRecord { token: row.get(0)?, renewal: row.get(1)?, owner: row.get(2)? })
    })
}

/// Whether no other worker has taken over, and the lease was not given up.
pub(super) fn is_held(c: &Connection, lease: WorkerLease) -> rusqlite::Result<bool> {
    c.prepare_cached(IS_HELD)?.query_row([lease.token], |row| row.get(0))
}

pub(super) fn take_over(
    c: &Connection,
    seen: &WorkerRecord,
    owner: &str,
) -> rusqlite::Result<Option<WorkerLease>> {
    let values = params![seen.token, seen.renewal, seen.owner, owner];
    let mut statement = c.prepare_cached(TAKE_OVER)?;
    statement.query_row(values, |row| Ok(WorkerLease { token: row.get(0)? })).optional()
}

pub(super) fn renew(c: &Connection, lease: WorkerLease) -> rusqlite::Result<bool> {
    Ok(c.prepare_cached(RENEW)?.execute([lease.token])? > 0)
}

pub(super) fn release(c: &Connection, lease: WorkerLease) -> rusqlite::Result<()> {
    c.prepare_cached(RELEASE)?.execute([lease.token]).map(drop)
}
