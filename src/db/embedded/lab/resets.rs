//! Resets: one at a time, and every generation that may exist is noted until it is known to be dropped.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::codec::{generation, record, time, uuid};
use super::registry;
use crate::db::storage::{NewDatabase, Reset};
use crate::lab::model::Generation;

const CLAIM: &str =
    "SELECT owner, claimed_until, database_id, identity, generation FROM reset_claim";
const PUT_CLAIM: &str = "INSERT OR REPLACE INTO reset_claim \
    (only, owner, claimed_until, database_id, identity, generation) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
const RENEW_CLAIM: &str = "UPDATE reset_claim SET claimed_until = ?1";
const END_CLAIM: &str = "DELETE FROM reset_claim";
/// A reset would disturb a measurement at the same server, so it waits for the end of the lease there.
const NEXT: &str = "SELECT id, record FROM databases WHERE state = 'resetting' \
    AND identity NOT IN (SELECT identity FROM databases WHERE state = 'leased') \
    ORDER BY resetting_since, id LIMIT 1";
/// A database whose resets do not end must not keep the others from theirs.
const TO_THE_BACK: &str = "UPDATE databases SET resetting_since = ?2 WHERE id = ?1";
const IS_RESETTING: &str =
    "SELECT EXISTS (SELECT 1 FROM databases WHERE id = ?1 AND state = 'resetting')";
const NEW_GENERATION: &str = "INSERT INTO generations (resource_id, identity, connection_string) \
                              VALUES (?1, ?2, ?3) RETURNING number";
/// A registration's earlier generations are at its server under its name, or under another name of the
/// same place. Those that a registration has now are wanted.
const TO_DROP: &str = "UPDATE generations SET dropped_by = ?1 WHERE number <> ?1 AND identity = ?2 \
    AND (resource_id = ?3 OR connection_string = ?4) \
    AND number NOT IN (SELECT generation FROM databases WHERE generation IS NOT NULL) \
    RETURNING number";
const DROPPED: &str = "DELETE FROM generations WHERE dropped_by = ?1";
const FREE: &str = "UPDATE databases SET state = 'free', generation = ?2 WHERE id = ?1";
const BROKEN: &str = "UPDATE databases SET state = 'broken', why = ?2 WHERE id = ?1";

struct Claim {
    owner: Uuid,
    until: Timestamp,
    database: i64,
    identity: String,
    generation: Generation,
}

/// Identity of the server at which a reset is under way.
pub(super) fn claimed_server(c: &Connection, now: Timestamp) -> rusqlite::Result<Option<String>> {
    Ok(current(c)?.filter(|claim| now < claim.until).map(|claim| claim.identity))
}

pub(super) fn claim(
    c: &Connection,
    owner: Uuid,
    until: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Reset>> {
    registry::end_expired(c, now)?;
    if current(c)?.is_some_and(|claim| claim.owner != owner && now < claim.until) {
        return Ok(None);
    }
    // What this owner claimed before it has given up.
    c.prepare_cached(END_CLAIM)?.execute(())?;
    let next = |row: &Row<'_>| Ok((row.get(0)?, record::<NewDatabase>(row, 1)?));
    let Some((id, database)) = c.prepare_cached(NEXT)?.query_row((), next).optional()? else {
        return Ok(None);
    };
    let id: i64 = id;
    let NewDatabase { resource_id, identity, connection_string, .. } = &database;
    let create = c
        .prepare_cached(NEW_GENERATION)?
        .query_row([resource_id, identity, connection_string], |row| generation(row, 0))?;
    let drop = to_drop(c, create, &database)?;
    let values = params![owner.into_bytes(), until, id, identity, create.0];
    c.prepare_cached(PUT_CLAIM)?.execute(values)?;
    c.prepare_cached(TO_THE_BACK)?.execute(params![id, now.as_microsecond()])?;
    Ok(Some(Reset { database, drop, create }))
}

fn to_drop(
    c: &Connection,
    create: Generation,
    database: &NewDatabase,
) -> rusqlite::Result<Vec<Generation>> {
    let NewDatabase { resource_id, identity, connection_string, .. } = database;
    let mut statement = c.prepare_cached(TO_DROP)?;
    let values = params![create.0, identity, resource_id, connection_string];
    let rows = statement.query_map(values, |row| generation(row, 0))?;
    let mut generations = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    generations.sort_unstable();
    Ok(generations)
}

/// A claim that is over cannot be renewed: its server may have been leased since.
pub(super) fn renew(
    c: &Connection,
    owner: Uuid,
    until: i64,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let Some(claim) = current(c)?.filter(|claim| claim.owner == owner) else { return Ok(false) };
    if claim.until <= now || !is_resetting(c, &claim)? {
        c.prepare_cached(END_CLAIM)?.execute(())?;
        return Ok(false);
    }
    c.prepare_cached(RENEW_CLAIM)?.execute([until]).map(|_| true)
}

pub(super) fn finish(
    c: &Connection,
    owner: Uuid,
    outcome: &Result<(), String>,
) -> rusqlite::Result<bool> {
    let Some(claim) = current(c)?.filter(|claim| claim.owner == owner) else { return Ok(false) };
    c.prepare_cached(END_CLAIM)?.execute(())?;
    if !is_resetting(c, &claim)? {
        return Ok(false);
    }
    match outcome {
        Ok(()) => {
            c.prepare_cached(FREE)?.execute(params![claim.database, claim.generation.0])?;
            c.prepare_cached(DROPPED)?.execute([claim.generation.0])?;
        }
        // How far it came is not known: all its generations stay noted.
        Err(why) => {
            c.prepare_cached(BROKEN)?.execute(params![claim.database, why])?;
        }
    }
    Ok(true)
}

/// Whether the claimed registration is still there: another one may have replaced it.
fn is_resetting(c: &Connection, claim: &Claim) -> rusqlite::Result<bool> {
    c.prepare_cached(IS_RESETTING)?.query_row([claim.database], |row| row.get(0))
}

fn current(c: &Connection) -> rusqlite::Result<Option<Claim>> {
    let claim = |row: &Row<'_>| {
        Ok(Claim {
            owner: uuid(row, 0)?,
            until: time(row, 1)?,
            database: row.get(2)?,
            identity: row.get(3)?,
            generation: generation(row, 4)?,
        })
    };
    c.prepare_cached(CLAIM)?.query_row((), claim).optional()
}
