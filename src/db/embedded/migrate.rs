//! Bringing a file's schema up to date: the store's, or that of the activities.
//!
//! The version is SQLite's own `user_version`; it, the checksum of each step and the step's
//! statements change in one transaction that takes the write lock first: of two servers that start
//! at once one migrates, and the other finds it done.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::open_error;
use crate::db::MigrationPolicy;
use crate::db::common::schema_version::{Migration, Step, checksum, plan};
use crate::db::storage::{ErrorKind, StorageError};

/// The schema of one kind of file.
#[derive(Debug)]
pub(super) struct Schema {
    /// Step N makes version N + 1. A step that was released never changes.
    pub(super) steps: &'static [Step],
    /// Kept in the file's header so that another program's database is not touched.
    pub(super) application_id: i32,
    /// The option that names the file.
    pub(super) option: &'static str,
}

/// The schema of the store's file.
pub(super) const STORE: Schema = Schema {
    steps: &[
        include_str!("../../../schema/embedded/0001_overview.sql"),
        include_str!("../../../schema/embedded/0002_cart.sql"),
        include_str!("../../../schema/embedded/0003_idempotency_keys.sql"),
    ],
    // "stor" in ASCII.
    application_id: 0x7374_6f72,
    option: "--database-url",
};

const CHECKSUM_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_steps \
                              (step INTEGER PRIMARY KEY, checksum INTEGER NOT NULL) STRICT";

/// Migrates or checks, as the policy says, and ensures the write-ahead log.
pub(super) fn run(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
    policy: MigrationPolicy,
) -> Result<(), StorageError> {
    let migration = planned(connection, path, schema, policy)?;
    ensure_wal(connection, path)?;
    if migration == Migration::UpToDate { Ok(()) } else { apply(connection, path, schema, policy) }
}

/// Readers and the writer must not wait for each other. The mode is kept in the file, but a copy
/// made by `VACUUM INTO` has lost it.
fn ensure_wal(connection: &Connection, path: &Path) -> Result<(), StorageError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(open_error("open", path))?;
    if mode == "wal" {
        return Ok(());
    }
    let text = format!("{} cannot have a write-ahead log here (it stays {mode})", path.display());
    Err(StorageError::new(ErrorKind::Invalid, text))
}

fn apply(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
    policy: MigrationPolicy,
) -> Result<(), StorageError> {
    let failed = open_error("migrate", path);
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
            .map_err(&failed)?;
    // Planned again under the lock: another program, even a newer one, may have held it before.
    let Migration::From(first) = planned(connection, path, schema, policy)? else { return Ok(()) };
    transaction.execute(CHECKSUM_TABLE, ()).map_err(&failed)?;
    for (number, step) in schema.steps.iter().enumerate().skip(first) {
        transaction.execute_batch(step).map_err(&failed)?;
        let record = "INSERT INTO schema_steps (step, checksum) VALUES (?1, ?2)";
        transaction.execute(record, (number as i64, checksum(step))).map_err(&failed)?;
    }
    transaction.pragma_update(None, "user_version", schema.steps.len() as i64).map_err(&failed)?;
    transaction.pragma_update(None, "application_id", schema.application_id).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

fn planned(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
    policy: MigrationPolicy,
) -> Result<Migration, StorageError> {
    plan(&path.display(), schema.steps, &recorded(connection, path, schema)?, policy)
}

/// The checksums of the steps that the file has had; an empty file has had none.
fn recorded(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
) -> Result<Vec<i64>, StorageError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let exists = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, bool>(0));
    let failed = open_error("open", path);
    let any_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema)";
    let application_id = pragma("application_id").map_err(&failed)?;
    if exists(any_table).map_err(&failed)? && application_id != schema.application_id {
        let text = format!(
            "{} is the database of another program; name another file by {}",
            path.display(),
            schema.option
        );
        return Err(StorageError::new(ErrorKind::Invalid, text));
    }
    let version = pragma("user_version").map_err(&failed)?;
    let checksum_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_steps')";
    let mut recorded = Vec::new();
    if exists(checksum_table).map_err(&failed)? {
        let sql = "SELECT checksum FROM schema_steps ORDER BY step";
        let mut statement = connection.prepare(sql).map_err(&failed)?;
        let rows = statement.query_map((), |row| row.get(0)).map_err(&failed)?;
        recorded = rows.collect::<Result<_, _>>().map_err(&failed)?;
    }
    // The version counts; a step without a checksum was applied by an unknown build.
    recorded.resize(usize::try_from(version).unwrap_or(usize::MAX).min(1 << 16), 0);
    Ok(recorded)
}
