//! Keys of requests: a write and the record of its key are one job of the writer, so one savepoint of
//! one transaction.

use std::time::SystemTime;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use crate::db::common::recorded::Recorded;
use crate::db::storage::IdempotencyKey;

const FIND: &str = "SELECT fingerprint, record FROM idempotency_keys \
                    WHERE key = ?1 AND expires_at > ?2";
/// In place of an expired one of the same text.
const INSERT: &str = "INSERT OR REPLACE INTO idempotency_keys (key, fingerprint, record, expires_at) \
                      VALUES (?1, ?2, ?3, ?4)";
/// Each new key removes up to two that have expired, so that they are fewer in the end than those that
/// have not, and no write ever removes many.
const PRUNE: &str = "DELETE FROM idempotency_keys WHERE expires_at <= ?1 AND number IN \
                     (SELECT number FROM idempotency_keys ORDER BY number LIMIT 2)";

/// Runs the statements of a write, unless its key tells that they were run before.
pub(super) fn once<T: Recorded>(
    c: &Connection,
    key: Option<&IdempotencyKey>,
    statements: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let Some(key) = key else { return statements(c) };
    if let Some(outcome) = find(c, key)? {
        return Ok(outcome);
    }
    let outcome = statements(c)?;
    if let Some(record) = outcome.record() {
        insert(c, key, &record)?;
    }
    Ok(outcome)
}

/// The outcome that is stored under a key.
pub(super) fn find<T: Recorded>(
    c: &Connection,
    key: &IdempotencyKey,
) -> rusqlite::Result<Option<T>> {
    let found = c
        .prepare_cached(FIND)?
        .query_row(params![key.text(), now()], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((fingerprint, record)) = found else { return Ok(None) };
    if fingerprint != key.fingerprint() {
        return Ok(Some(T::key_reused()));
    }
    let outcome = T::replay(&record).ok_or_else(|| {
        let error = format!("`{record}` is no outcome of the request of this key");
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into())
    })?;
    key.set_replayed();
    Ok(Some(outcome))
}

fn insert(c: &Connection, key: &IdempotencyKey, record: &str) -> rusqlite::Result<()> {
    let now = now();
    let kept_for = i64::try_from(key.kept_for().as_millis()).unwrap_or(i64::MAX);
    c.prepare_cached(PRUNE)?.execute([now])?;
    let values = params![key.text(), key.fingerprint(), record, now.saturating_add(kept_for)];
    c.prepare_cached(INSERT)?.execute(values).map(drop)
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
