//! Keys of requests: a write and the record of its key are one job of the writer, so one savepoint of
//! one transaction.

use std::time::SystemTime;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use crate::db::storage::{IdempotencyKey, Recorded};

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::MigrationPolicy;
    use crate::db::embedded::{connection, migrate};
    use crate::db::storage::Update;

    fn store(folder: &tempfile::TempDir) -> Connection {
        let path = folder.path().join("store.db");
        let connection = connection::open(&path, MigrationPolicy::Migrate).unwrap();
        migrate::run(&connection, &path, &migrate::STORE, MigrationPolicy::Migrate).unwrap();
        connection
    }

    fn key(text: &str, seconds: u64) -> IdempotencyKey {
        IdempotencyKey::new(text, 1, Duration::from_secs(seconds))
    }

    /// Whether the statements were run.
    fn is_run(c: &Connection, key: &IdempotencyKey) -> bool {
        let mut is_run = false;
        let statements = |_: &Connection| {
            is_run = true;
            Ok(Update::Updated)
        };
        assert_eq!(once(c, Some(key), statements).unwrap(), Update::Updated);
        assert_eq!(key.is_replayed(), !is_run);
        is_run
    }

    fn stored(c: &Connection) -> i64 {
        c.query_row("SELECT count(*) FROM idempotency_keys", (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_expired_key_counts_as_new_and_later_ones_remove_it() {
        let folder = tempfile::tempdir().unwrap();
        let c = store(&folder);
        for number in 0..10 {
            assert!(is_run(&c, &key(&format!("expired {number}"), 0)));
        }
        assert!(is_run(&c, &key("kept", 60)));
        assert!(!is_run(&c, &key("kept", 60)));
        assert!(is_run(&c, &key("expired 9", 60)), "in place of the expired one");
        assert!(!is_run(&c, &key("expired 9", 60)));
        for number in 0..10 {
            is_run(&c, &key(&number.to_string(), 60));
        }
        assert_eq!(stored(&c), 12, "none is expired");
        assert!(!is_run(&c, &key("kept", 60)));
    }

    #[test]
    fn a_record_of_another_kind_is_an_error_and_no_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let c = store(&folder);
        is_run(&c, &key("k", 60));
        find::<crate::db::storage::Create>(&c, &key("k", 60)).unwrap_err();
        let other = IdempotencyKey::new("k", 2, Duration::from_secs(60));
        assert_eq!(find(&c, &other).unwrap(), Some(Update::key_reused()));
    }
}
