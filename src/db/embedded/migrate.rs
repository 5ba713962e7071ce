//! Bringing the file's schema up to date.
//!
//! The version is SQLite's own `user_version`; it and the statements change in one transaction
//! that takes the write lock first, so that of two servers that start at once one migrates and the
//! other finds it done.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::at;
use crate::db::MigrationPolicy;
use crate::db::storage::{ErrorKind, StorageError};

/// The steps; step N makes version N + 1. A step that was released never changes.
const STEPS: [&str; 2] = [
    include_str!("../../../schema/embedded/0001_overview.sql"),
    include_str!("../../../schema/embedded/0002_cart.sql"),
];
/// "stor" in ASCII, kept in the file's header so that another program's database is not touched.
const APPLICATION_ID: i32 = 0x7374_6f72;

/// Migrates or checks, as asked, and sees to the write-ahead log.
pub(super) fn run(
    connection: &Connection,
    path: &Path,
    policy: MigrationPolicy,
) -> Result<(), StorageError> {
    let found = supported_version(connection, path)?;
    if found < STEPS.len() && policy == MigrationPolicy::Require {
        return Err(refusal(path, found, "older than this program: run `storefront migrate`"));
    }
    keep_a_log(connection, path)?;
    if found < STEPS.len() { apply(connection, path) } else { Ok(()) }
}

/// Readers and the writer must not wait for each other. The mode is kept in the file, but a copy
/// made by `VACUUM INTO` has lost it.
fn keep_a_log(connection: &Connection, path: &Path) -> Result<(), StorageError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(at("open", path))?;
    if mode == "wal" {
        return Ok(());
    }
    let text = format!("{} cannot have a write-ahead log here (it stays {mode})", path.display());
    Err(StorageError::new(ErrorKind::Invalid, text))
}

fn apply(connection: &Connection, path: &Path) -> Result<(), StorageError> {
    let failed = at("migrate", path);
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
            .map_err(&failed)?;
    // Another program, even a newer one, may have had the lock before.
    for step in STEPS.iter().skip(supported_version(connection, path)?) {
        transaction.execute_batch(step).map_err(&failed)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64).map_err(&failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

/// Steps that the file has had, if this program knows all of them.
fn supported_version(connection: &Connection, path: &Path) -> Result<usize, StorageError> {
    let found = version(connection, path)?;
    if found > STEPS.len() {
        return Err(refusal(path, found, "newer than this program: use a newer storefront"));
    }
    Ok(found)
}

/// Steps that the file has had; an empty file has had none.
fn version(connection: &Connection, path: &Path) -> Result<usize, StorageError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let failed = at("open", path);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(&failed)?;
    let application_id = pragma("application_id").map_err(&failed)?;
    if tables > 0 && application_id != APPLICATION_ID {
        let text = format!(
            "{} is the database of another program; name another file by --database-url",
            path.display()
        );
        return Err(StorageError::new(ErrorKind::Invalid, text));
    }
    let version = pragma("user_version").map_err(&failed)?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn refusal(path: &Path, found: usize, why: &str) -> StorageError {
    let text = format!(
        "the schema of {} is version {found} (this program's is {}), {why}",
        path.display(),
        STEPS.len()
    );
    StorageError::new(ErrorKind::Invalid, text)
}
