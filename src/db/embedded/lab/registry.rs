//! What is registered, and in which state each database is.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::codec::{generation, invalid, record, time, to_json, uuid};
use crate::db::storage::{DatabaseState, Lease, NewDatabase, Register, RegisteredDatabase};
use crate::lab::model::LeaseId;

const END_EXPIRED: &str = "UPDATE databases SET state = 'resetting', resetting_since = expires_at, \
     generation = NULL, lease_id = NULL, expires_at = NULL WHERE state = 'leased' AND expires_at <= ?1";
const ALL: &str = "SELECT id, record, state, generation, lease_id, expires_at, why FROM databases";
const INSERT: &str = "INSERT INTO databases (resource_id, identity, record, state, resetting_since) \
                      VALUES (?1, ?2, ?3, 'resetting', ?4)";
const RETRY: &str = "UPDATE databases SET state = 'resetting', resetting_since = ?2, why = NULL \
                     WHERE id = ?1";
const DELETE: &str = "DELETE FROM databases WHERE id = ?1";

/// A registered database with the id of its registration.
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) registered: RegisteredDatabase,
}

impl Entry {
    pub(super) const fn database(&self) -> &NewDatabase {
        &self.registered.database
    }

    pub(super) const fn lease_end(&self) -> Option<Timestamp> {
        match &self.registered.state {
            DatabaseState::Leased(lease) => Some(lease.expires_at),
            _ => None,
        }
    }
}

/// Ends leases that are over, before anything else in a transaction that depends on leases.
pub(super) fn end_expired(c: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    c.prepare_cached(END_EXPIRED)?.execute([now.as_microsecond()]).map(drop)
}

/// All of them, ascending by type, size and resource; a lease that is over shows as a reset to do.
pub(super) fn all(c: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = c.prepare_cached(ALL)?;
    let rows = statement.query_map((), |row| entry(row, now))?;
    let mut entries = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    entries.sort_by(|a, b| order(a.database()).cmp(&order(b.database())));
    Ok(entries)
}

fn order(database: &NewDatabase) -> impl Ord + '_ {
    (database.database_type, database.database_size, database.resource_id.as_str())
}

fn entry(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Entry> {
    let state = match row.get_ref(2)?.as_str()? {
        "free" => DatabaseState::Free,
        "leased" if time(row, 5)? <= now => DatabaseState::Resetting,
        "leased" => {
            DatabaseState::Leased(Lease { id: LeaseId(uuid(row, 4)?), expires_at: time(row, 5)? })
        }
        "resetting" => DatabaseState::Resetting,
        "broken" => DatabaseState::Broken(row.get(6)?),
        _ => return Err(invalid(2, Type::Text, "not a state")),
    };
    let generation = match state {
        DatabaseState::Free | DatabaseState::Leased(_) => Some(generation(row, 3)?),
        DatabaseState::Resetting | DatabaseState::Broken(_) => None,
    };
    let registered = RegisteredDatabase { database: record(row, 1)?, state, generation };
    Ok(Entry { id: row.get(0)?, registered })
}

pub(super) fn register(
    c: &Connection,
    database: &NewDatabase,
    now: Timestamp,
) -> rusqlite::Result<Register> {
    end_expired(c, now)?;
    if let Some(Entry { id, registered }) = find(c, &database.resource_id, now)? {
        let is_same = registered.database == *database;
        match registered.state {
            DatabaseState::Broken(_) if is_same => {
                c.prepare_cached(RETRY)?.execute(params![id, now.as_microsecond()])?;
                return Ok(Register::Registered);
            }
            _ if is_same => return Ok(Register::Unchanged),
            DatabaseState::Leased(lease) => return Ok(Register::Leased(lease.expires_at)),
            _ => c.prepare_cached(DELETE)?.execute([id])?,
        };
    }
    let NewDatabase { resource_id, identity, .. } = database;
    let values = params![resource_id, identity, to_json(database)?, now.as_microsecond()];
    c.prepare_cached(INSERT)?.execute(values)?;
    Ok(Register::Registered)
}

pub(super) fn unregister(
    c: &Connection,
    resource_id: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    end_expired(c, now)?;
    match find(c, resource_id, now)? {
        Some(entry) if entry.lease_end().is_none() => {
            c.prepare_cached(DELETE)?.execute([entry.id]).map(|_| true)
        }
        _ => Ok(false),
    }
}

fn find(c: &Connection, resource_id: &str, now: Timestamp) -> rusqlite::Result<Option<Entry>> {
    Ok(all(c, now)?.into_iter().find(|entry| entry.database().resource_id == resource_id))
}
