//! Leases. Each change is one transaction that has the write lock from its start, so that of several
//! processes one decides after the other.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::codec::uuid;
use super::registry::{self, Entry};
use super::resets;
use super::selection::Selection;
use crate::db::storage::{Lease, LeaseOutcome, LeasedDatabase};
use crate::lab::model::{DatabaseSize, DatabaseType, LeaseId};

const GRANT: &str = "UPDATE databases SET state = 'leased', lease_id = ?2, expires_at = ?3 \
                     WHERE id = ?1 AND state = 'free' RETURNING generation";
const RENEW: &str = "UPDATE databases SET expires_at = ?2 WHERE lease_id = ?1 AND expires_at > ?3";
const RELEASE: &str = "UPDATE databases SET state = 'resetting', resetting_since = ?2, \
     generation = NULL, lease_id = NULL, expires_at = NULL WHERE lease_id = ?1 AND expires_at > ?2";
const CURRENT: &str =
    "SELECT lease_id FROM databases WHERE state = 'leased' AND expires_at > ?1 ORDER BY lease_id";

pub(super) fn lease(
    c: &Connection,
    wanted: &[(DatabaseType, DatabaseSize)],
    expires_at: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<LeaseOutcome> {
    registry::end_expired(c, now)?;
    let entries = registry::all(c, now)?;
    let reset_at = resets::claimed_server(c, now)?;
    let selection = Selection { entries: &entries, reset_at: reset_at.as_deref() };
    match selection.choose(wanted) {
        Ok(chosen) => {
            let granted = chosen.into_iter().map(|entry| grant(c, entry, expires_at));
            granted.collect::<rusqlite::Result<_>>().map(LeaseOutcome::Leased)
        }
        Err(refusal) => Ok(refusal),
    }
}

fn grant(c: &Connection, entry: &Entry, expires_at: Timestamp) -> rusqlite::Result<LeasedDatabase> {
    let lease = Lease { id: LeaseId::new(), expires_at };
    let values = params![entry.id, lease.id.0.into_bytes(), expires_at.as_microsecond()];
    let mut statement = c.prepare_cached(GRANT)?;
    let generation = statement.query_row(values, |row| super::codec::generation(row, 0))?;
    Ok(LeasedDatabase { lease, database: entry.database().clone(), generation })
}

pub(super) fn renew(
    c: &Connection,
    lease: LeaseId,
    expires_at: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let values = params![lease.0.into_bytes(), expires_at.as_microsecond(), now.as_microsecond()];
    let renewed = c.prepare_cached(RENEW)?.execute(values)?;
    Ok((renewed > 0).then_some(expires_at))
}

pub(super) fn release(c: &Connection, lease: LeaseId, now: Timestamp) -> rusqlite::Result<bool> {
    let values = params![lease.0.into_bytes(), now.as_microsecond()];
    Ok(c.prepare_cached(RELEASE)?.execute(values)? > 0)
}

/// Those that are not over.
pub(super) fn current(c: &Connection, now: Timestamp) -> rusqlite::Result<Vec<LeaseId>> {
    let mut statement = c.prepare_cached(CURRENT)?;
    let rows = statement.query_map([now.as_microsecond()], |row| uuid(row, 0).map(LeaseId))?;
    rows.collect()
}
