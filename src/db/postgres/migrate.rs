//! Bringing the database's schema up to date.
//!
//! All steps and their record change in one transaction, under an advisory lock: of two servers that
//! start at once one migrates and the other finds it done.
//!
//! # Versions
//!
//! A version is one step, recorded by its checksum as a row of `storefront_schema`. A step is a
//! numbered file of tables, or a note of the functions: the checksum of all files in
//! `schema/postgres/functions` as of that version. The transaction that applies any step runs these
//! files after it, and no other transaction does. So a changed function needs a new note (a unit test
//! tells which), a server of the older version that starts meanwhile is refused as too old instead of
//! restoring the older functions, and two builds never take turns in replacing each other's: another
//! checksum under a version that is applied is refused like a changed table.
//!
//! Servers of the older version that run already call the new functions. That is why a changed
//! signature or a changed answer of a function is a new name, beside the old one.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient};

use super::connection::Connector;
use super::error;
use super::lock::{LOCK_TIMEOUT, LockWait, is_lock_timeout};
use super::overview::ALL;
use super::usable;
use crate::db::common::schema_version::{Migration, Step, checksum, plan};
use crate::db::storage::{ErrorKind, MigrationPolicy, StorageError};

/// Step N makes version N + 1. A step that was released never changes.
const STEPS: [Step; 6] = [
    include_str!("../../../schema/postgres/0001_overview.sql"),
    include_str!("../../../schema/postgres/0002_cart.sql"),
    include_str!("../../../schema/postgres/0003_idempotency_keys.sql"),
    "-- functions d4086603f003eed6",
    include_str!("../../../schema/postgres/0004_activities.sql"),
    include_str!("../../../schema/postgres/0005_transfers.sql"),
];
/// Run after the steps, see above.
const FUNCTIONS: &str = concat!(
    include_str!("../../../schema/postgres/functions/loads.sql"),
    include_str!("../../../schema/postgres/functions/cart_orders.sql"),
    include_str!("../../../schema/postgres/functions/cart_stock.sql"),
    include_str!("../../../schema/postgres/functions/cart_payment.sql"),
    include_str!("../../../schema/postgres/functions/cart_checkout.sql"),
    include_str!("../../../schema/postgres/functions/cart_fixtures.sql"),
    include_str!("../../../schema/postgres/functions/idempotency.sql"),
);
/// "storefro" in ASCII, the number of this program's advisory lock.
const LOCK: i64 = 0x7374_6f72_6566_726f;

const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS storefront_schema \
                             (version integer PRIMARY KEY, checksum bigint NOT NULL)";
const HAS_VERSION: &str = "SELECT to_regclass('storefront_schema') IS NOT NULL";
/// The checksums of versions 1 to the last. A version without a row has 0, and so has a row of an
/// older form of the table, which had no checksums: to_jsonb reads a column that need not exist.
const RECORDED: &str = "SELECT coalesce((to_jsonb(s) ->> 'checksum')::bigint, 0) \
     FROM generate_series(1, (SELECT max(version) FROM storefront_schema)) AS n \
     LEFT JOIN storefront_schema AS s ON s.version = n ORDER BY n";
const RECORD: &str = "INSERT INTO storefront_schema (version, checksum) VALUES ($1, $2)";
/// The sequence that assigns ids, as SQL names it: ours, or the one that an older table brought along.
const SEQUENCE: &str = "SELECT pg_get_serial_sequence('overviews', 'game_id')";

/// Migrates or checks, as asked; returns the name of the sequence that assigns ids.
pub(super) async fn run(
    connector: &Connector,
    policy: MigrationPolicy,
) -> Result<String, StorageError> {
    let failed = |e: Error| error::open_error(connector.redacted(), e);
    let connected = connector.connect().await;
    let mut client = connected.map_err(|e| error::open_error(connector.redacted(), e))?;
    let planned = |recorded: Vec<i64>| plan(&connector.redacted(), &STEPS, &recorded, policy);
    let found = recorded(&client).await.map_err(failed)?;
    let is_migrated = !found.is_empty();
    let mut is_current = planned(found)? == Migration::UpToDate;
    usable::check(&client, connector.redacted(), is_migrated).await?;
    let mut wait = LockWait::new(&["overviews"]);
    while !is_current {
        let transaction = client.transaction().await.map_err(failed)?;
        // Held until the commit: a second server waits here and then finds the steps applied.
        let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
        transaction.batch_execute(&lock).await.map_err(failed)?;
        // Another program, even a newer one, may have held the lock before.
        if let Migration::From(step) = planned(recorded(&transaction).await.map_err(failed)?)? {
            match apply(&transaction, step).await {
                // A table is in use: its users go on while this waits.
                Err(error) if is_lock_timeout(&error) => {
                    transaction.rollback().await.map_err(failed)?;
                    wait.pause(&client).await.map_err(failed)?;
                    continue;
                }
                applied => applied.map_err(|e| not_migrated(connector.redacted(), step, e))?,
            }
        }
        transaction.commit().await.map_err(failed)?;
        is_current = true;
    }
    client.query_typed(&format!("{ALL} LIMIT 0"), &[]).await.map_err(failed)?;
    Ok(client.query_typed_one(SEQUENCE, &[]).await.map_err(failed)?.get(0))
}

/// The error of a migration that failed in a step after the first `found` ones.
fn not_migrated(redacted: &str, found: usize, error: Error) -> StorageError {
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return error::open_error(redacted, error);
    }
    let said = error.as_db_error().map_or("", |e| e.message());
    let text = format!(
        "the schema of {redacted} is version {found} (this program's is {}), older than this program, \
         and the URL's user may not migrate it: run `storefront migrate` as the owner of the tables \
         ({said})",
        STEPS.len()
    );
    StorageError::new(ErrorKind::Invalid, text)
}

async fn apply(transaction: &impl GenericClient, first: usize) -> Result<(), Error> {
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    transaction.batch_execute(VERSION_TABLE).await?;
    for (version, step) in (1i32..).zip(STEPS).skip(first) {
        transaction.batch_execute(step).await?;
        let sum = checksum(step);
        transaction.execute_typed(RECORD, &[(&version, Type::INT4), (&sum, Type::INT8)]).await?;
    }
    transaction.batch_execute(FUNCTIONS).await
}

/// The checksums of the steps that the database has had.
async fn recorded(client: &impl GenericClient) -> Result<Vec<i64>, Error> {
    let has_version: bool = client.query_typed_one(HAS_VERSION, &[]).await?.get(0);
    if !has_version {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(RECORDED, &[]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_function_is_a_new_version() {
        let noted = STEPS.iter().rev().find(|step| step.starts_with("-- functions "));
        let note = format!("-- functions {:016x}", checksum(FUNCTIONS));
        assert_eq!(noted, Some(&note.as_str()), "append this note to STEPS");
    }
}
