//! Brings the keyspace's schema up to date.
//!
//! Cassandra has no transaction over schema changes, and two nodes that create one table at the same
//! time create it twice, under different ids. Therefore every statement may be repeated, all servers
//! send theirs to the same node, which runs them one after the other, and a step counts as applied
//! once its checksum is recorded by LWT, after all its statements. What a recorded list of checksums
//! means is decided in [`crate::db::common::schema_version`].

use std::sync::Arc;
use std::time::Duration;

use scylla::deserialize::row::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Statement;

use super::connection::{Cluster, StatementKind, pin_to_node};
use super::error::storage;
use super::query_result::{optional_row, rows};
use super::retry::by_kind;
use crate::config::database::cassandra::Cassandra;
use crate::db::MigrationPolicy;
use crate::db::common::retry::{Backoff, retry};
use crate::db::common::schema_version::{Migration, Step, checksum, plan};
use crate::db::storage::{ErrorKind, StorageError};

/// The numbered steps. A step that was released never changes.
const STEPS: [Step; 5] = [
    include_str!("../../../schema/cassandra/0001_overview.cql"),
    include_str!("../../../schema/cassandra/0002_cart.cql"),
    include_str!("../../../schema/cassandra/0003_idempotency_keys.cql"),
    include_str!("../../../schema/cassandra/0004_activities.cql"),
    include_str!("../../../schema/cassandra/0005_transfers.cql"),
];
const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS $.schema_versions \
                               (name text PRIMARY KEY, checksums frozen<list<bigint>>)";
const INSERT_VERSION: &str =
    "INSERT INTO $.schema_versions (name, checksums) VALUES ('schema', []) IF NOT EXISTS";
const READ_VERSION: &str = "SELECT checksums FROM $.schema_versions WHERE name = 'schema'";
/// The table of the earlier service, which may be in the same keyspace.
const LEGACY_TABLE: &str = "overview";
/// The mark of a keyspace that a lab created for a store.
pub(super) const LAB_TABLE: &str = "storefront_lab";
/// Nodes have to agree on each change.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// A table that another server is creating is listed before it can be used, and nodes report that
/// as several kinds of error: each is retried for that long.
const SCHEMA_LAG: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(100));

/// Migrates or checks, as asked.
pub(super) async fn run(
    cluster: &Arc<Cluster>,
    policy: MigrationPolicy,
) -> Result<(), StorageError> {
    let settings = cluster.settings();
    if !has_keyspace(cluster).await? {
        if policy == MigrationPolicy::Require {
            return Err(missing(settings));
        }
        change(cluster, &create_keyspace(settings.replication)).await?;
    }
    // Read again after each step: another server may have applied it, or one of another build.
    while let Migration::From(step) = plan(settings, &STEPS, &recorded(cluster).await?, policy)? {
        apply(cluster, step).await?;
    }
    Ok(())
}

async fn apply(cluster: &Cluster, step: usize) -> Result<(), StorageError> {
    if step == 0 {
        change(cluster, CREATE_VERSIONS).await?;
        change(cluster, INSERT_VERSION).await?;
    }
    for statement in statements(STEPS[step]) {
        change(cluster, &statement).await?;
    }
    // Recorded after the statements: a step that was interrupted is applied again as a whole.
    // Conditional on the steps before: of several servers one records the step.
    let checksums: Vec<_> = STEPS.into_iter().map(checksum).collect();
    let (before, after) = (&checksums[..step], &checksums[..=step]);
    let record = format!(
        "UPDATE $.schema_versions SET checksums = {after:?} WHERE name = 'schema' \
         IF checksums = {before:?}"
    );
    change(cluster, &record).await
}

/// The statements of a step, without its comments.
fn statements(step: &str) -> Vec<String> {
    let code: Vec<&str> =
        step.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// `replication` replicas in every data centre.
pub(super) fn create_keyspace(replication: u8) -> String {
    format!(
        "CREATE KEYSPACE IF NOT EXISTS $ WITH replication = \
         {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication}}}"
    )
}

/// Runs a statement that may be repeated, on the node that all servers choose.
pub(super) async fn change(cluster: &Cluster, text: &str) -> Result<(), StorageError> {
    retry(BACKOFF, by_kind(SCHEMA_LAG), || change_once(cluster, text)).await
}

async fn change_once(cluster: &Cluster, text: &str) -> Result<(), StorageError> {
    let session = cluster.session();
    let mut statement = Statement::new(cluster.text(text));
    statement.set_request_timeout(Some(CHANGE_TIMEOUT));
    let state = session.get_cluster_state();
    let connected = state.get_nodes_info().iter().filter(|node| node.is_connected());
    if let Some(node) = connected.min_by_key(|node| node.host_id) {
        statement.set_load_balancing_policy(Some(pin_to_node(node)));
    }
    session.query_unpaged(statement, ()).await.map(drop).map_err(|e| storage(e, false))
}

/// The checksums of the steps that the keyspace has had.
async fn recorded(cluster: &Arc<Cluster>) -> Result<Vec<i64>, StorageError> {
    let settings = cluster.settings();
    let tables = tables(cluster, &settings.keyspace).await?;
    if !tables.iter().any(|name| name == "schema_versions") {
        let is_foreign = tables.iter().any(|name| name != LEGACY_TABLE && name != LAB_TABLE);
        return if is_foreign { Err(foreign(settings)) } else { Ok(Vec::new()) };
    }
    let read = || async {
        // SERIAL: a record that another server has just made must not be missed.
        let statement = cluster.prepare(READ_VERSION, StatementKind::SerialRead).await?;
        optional_row::<(Vec<i64>,)>(cluster.execute(&statement, ()).await?)
    };
    let row = retry(BACKOFF, by_kind(SCHEMA_LAG), read).await?;
    Ok(row.map(|(checksums,)| checksums).unwrap_or_default())
}

pub(super) async fn has_keyspace(cluster: &Cluster) -> Result<bool, StorageError> {
    let name = &cluster.settings().keyspace;
    let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    Ok(!query::<(String,)>(cluster, text, (name,)).await?.is_empty())
}

/// Names of a keyspace's tables.
pub(super) async fn tables(cluster: &Cluster, name: &str) -> Result<Vec<String>, StorageError> {
    let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let tables = query::<(String,)>(cluster, text, (name,)).await?;
    Ok(tables.into_iter().map(|(name,)| name).collect())
}

/// Runs a read that is not worth preparing.
pub(super) async fn query<T>(
    cluster: &Cluster,
    text: &str,
    values: impl SerializeRow,
) -> Result<Vec<T>, StorageError>
where
    for<'a> T: DeserializeRow<'a, 'a>,
{
    let mut statement = Statement::new(text);
    statement.set_is_idempotent(true);
    rows(cluster.session().query_unpaged(statement, values).await.map_err(|e| storage(e, true))?)
}

fn missing(settings: &Cassandra) -> StorageError {
    let text = format!(
        "there is no keyspace {} in the cluster at {}: run `storefront migrate`, or name another \
         by --database-url",
        settings.keyspace,
        settings.hosts.join(", ")
    );
    StorageError::new(ErrorKind::Invalid, text)
}

fn foreign(settings: &Cassandra) -> StorageError {
    let text = format!(
        "the keyspace {} is another program's; name another by --database-url",
        settings.keyspace
    );
    StorageError::new(ErrorKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_split_into_its_statements() {
        assert_eq!(
            statements("-- a; b\nCREATE x;\n\n-- c\nCREATE\n  y;\n"),
            ["CREATE x", "CREATE\n  y"]
        );
    }

    #[test]
    fn every_statement_may_be_repeated() {
        for statement in STEPS.into_iter().flat_map(statements) {
            assert!(statement.contains("IF NOT EXISTS"), "{statement}");
        }
    }
}
