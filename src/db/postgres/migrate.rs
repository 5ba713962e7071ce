//! Bringing the database's schema up to date.
//!
//! The steps that were taken and the version change in one transaction, under an advisory lock: of
//! two servers that start at once one migrates and the other finds it done.

use tokio_postgres::{Client, GenericClient};

use super::connection::Connector;
use super::error;
use super::overview::ALL;
use crate::db::MigrationPolicy;
use crate::db::storage::{ErrorKind, StorageError};

/// The steps; step N makes version N + 1. A step that was released never changes.
const STEPS: [&str; 2] = [
    include_str!("../../../schema/postgres/0001_overview.sql"),
    include_str!("../../../schema/postgres/0002_cart.sql"),
];
/// "storefro" in ASCII, the number of our advisory lock.
const LOCK: i64 = 0x7374_6f72_6566_726f;

const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS storefront_schema (version integer NOT NULL)";
const HAS_VERSION: &str = "SELECT to_regclass('storefront_schema') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM storefront_schema";

/// Migrates or checks, as asked; the counter's name, as it is written in SQL.
pub(super) async fn run(
    connector: &Connector,
    policy: MigrationPolicy,
) -> Result<String, StorageError> {
    let failed = |e: tokio_postgres::Error| error::at(connector.shown(), e);
    let connected = connector.connect().await;
    let mut client = connected.map_err(|e| error::at(connector.shown(), e))?;
    let found = supported(connector, version(&client).await.map_err(failed)?)?;
    if found < STEPS.len() {
        if policy == MigrationPolicy::Require {
            let why = "older than this program: run `storefront migrate`";
            return Err(refusal(connector, found, why));
        }
        apply(connector, &mut client).await?;
    }
    client.prepare(ALL).await.map_err(failed)?;
    counter(&client).await.map_err(failed)
}

async fn apply(connector: &Connector, client: &mut Client) -> Result<(), StorageError> {
    let failed = |e: tokio_postgres::Error| error::at(connector.shown(), e);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
    transaction.batch_execute(VERSION_TABLE).await.map_err(failed)?;
    // Another program, even a newer one, may have had the lock before.
    let found = supported(connector, version(&transaction).await.map_err(failed)?)?;
    for step in STEPS.iter().skip(found) {
        transaction.batch_execute(step).await.map_err(failed)?;
    }
    let now = STEPS.len() as i32;
    transaction.execute("DELETE FROM storefront_schema", &[]).await.map_err(failed)?;
    transaction
        .execute("INSERT INTO storefront_schema (version) VALUES ($1)", &[&now])
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Steps that the database has had.
async fn version(client: &impl GenericClient) -> Result<usize, tokio_postgres::Error> {
    let has_version: bool = client.query_one(HAS_VERSION, &[]).await?.get(0);
    if !has_version {
        return Ok(0);
    }
    let version: i32 = client.query_one(VERSION, &[]).await?.get(0);
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn supported(connector: &Connector, found: usize) -> Result<usize, StorageError> {
    if found > STEPS.len() {
        return Err(refusal(connector, found, "newer than this program: use a newer storefront"));
    }
    Ok(found)
}

fn refusal(connector: &Connector, found: usize, why: &str) -> StorageError {
    let text = format!(
        "the schema of {} is version {found} (this program's is {}), {why}",
        connector.shown(),
        STEPS.len()
    );
    StorageError::new(ErrorKind::Invalid, text)
}

/// The sequence that assigns ids: ours, or the one that an older table brought along.
async fn counter(client: &Client) -> Result<String, tokio_postgres::Error> {
    let sql = "SELECT pg_get_serial_sequence('overviews', 'game_id')";
    Ok(client.query_one(sql, &[]).await?.get(0))
}
