//! Bringing the keyspace's schema up to date.
//!
//! Cassandra has no transaction over schema changes, and two nodes that create one table at the
//! same time make two of it. So every step may be run again, all servers send theirs to the same
//! node, which runs them one after the other, and the version, a row of `schema_versions`, moves by
//! LWT when all statements of a step are done.

use std::time::Duration;

use scylla::response::query_result::QueryResult;
use scylla::statement::Statement;

use super::connection::{Cluster, pin_to_node};
use super::error::{shape, storage};
use crate::config::database::cassandra::Cassandra;
use crate::db::MigrationPolicy;
use crate::db::storage::{ErrorKind, StorageError};

/// The steps; step N makes version N + 1. A step that was released never changes.
const STEPS: [&str; 2] = [
    include_str!("../../../schema/cassandra/0001_overview.cql"),
    include_str!("../../../schema/cassandra/0002_cart.cql"),
];
const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS $.schema_versions (name text PRIMARY KEY, version int)";
/// The table of the earlier service, which may be in the same keyspace.
const LEGACY_TABLE: &str = "overview";
/// Nodes have to agree on each change.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a step is tried, with a pause between.
const ATTEMPTS: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// Migrates or checks, as asked.
pub(super) async fn run(cluster: &Cluster, policy: MigrationPolicy) -> Result<(), StorageError> {
    let settings = cluster.settings();
    if !has_keyspace(cluster).await? {
        if policy == MigrationPolicy::Require {
            return Err(missing(settings));
        }
        change(cluster, &create_keyspace(settings.replication)).await?;
    }
    let found = supported_version(cluster).await?;
    if found < STEPS.len() && policy == MigrationPolicy::Require {
        return Err(refusal(settings, found, "older than this program: run `storefront migrate`"));
    }
    if found < STEPS.len() { apply(cluster, found).await } else { Ok(()) }
}

async fn apply(cluster: &Cluster, found: usize) -> Result<(), StorageError> {
    change(cluster, VERSIONS).await?;
    change(
        cluster,
        "INSERT INTO $.schema_versions (name, version) VALUES ('schema', 0) IF NOT EXISTS",
    )
    .await?;
    for (step, version) in STEPS.iter().zip(1..).skip(found) {
        for statement in statements(step) {
            change(cluster, &statement).await?;
        }
        let done = format!(
            "UPDATE $.schema_versions SET version = {version} WHERE name = 'schema' \
             IF version < {version}"
        );
        change(cluster, &done).await?;
    }
    Ok(())
}

/// The statements of a step, without its comments.
fn statements(step: &str) -> Vec<String> {
    let code: Vec<&str> =
        step.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// `replication` copies in every data centre that there is.
fn create_keyspace(replication: u8) -> String {
    format!(
        "CREATE KEYSPACE IF NOT EXISTS $ WITH replication = \
         {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication}}}"
    )
}

/// Runs a statement on the node that all servers choose.
async fn change(cluster: &Cluster, text: &str) -> Result<(), StorageError> {
    retry_transient(|| change_once(cluster, text)).await
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

/// Steps that the keyspace has had, if this program knows all of them.
async fn supported_version(cluster: &Cluster) -> Result<usize, StorageError> {
    let settings = cluster.settings();
    let tables = tables(cluster, &settings.keyspace).await?;
    if !tables.iter().any(|name| name == "schema_versions") {
        if tables.iter().any(|name| name != LEGACY_TABLE) {
            return Err(foreign(settings));
        }
        return Ok(0);
    }
    let found = version(cluster).await?;
    if found > STEPS.len() {
        return Err(refusal(settings, found, "newer than this program: use a newer storefront"));
    }
    Ok(found)
}

/// The row of the version.
async fn version(cluster: &Cluster) -> Result<usize, StorageError> {
    let text = "SELECT version FROM $.schema_versions WHERE name = 'schema'";
    version_of(retry_transient(|| query(cluster, text, ())).await?)
}

/// Repeats what may fail for a moment: a table that another server is just creating is listed
/// before it can be used, and the node has several errors for that.
async fn retry_transient<T, F>(work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    for _ in 1..ATTEMPTS {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => tracing::debug!(%error, "a step of the schema is repeated"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    work().await
}

fn version_of(result: QueryResult) -> Result<usize, StorageError> {
    let rows = first_column::<i32>(result)?;
    Ok(rows.first().map_or(0, |version| usize::try_from(*version).unwrap_or(usize::MAX)))
}

async fn has_keyspace(cluster: &Cluster) -> Result<bool, StorageError> {
    let name = &cluster.settings().keyspace;
    let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    Ok(!first_column::<String>(query(cluster, text, (name,)).await?)?.is_empty())
}

/// Names of a keyspace's tables.
pub(super) async fn tables(cluster: &Cluster, name: &str) -> Result<Vec<String>, StorageError> {
    let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    first_column(query(cluster, text, (name,)).await?)
}

async fn query(
    cluster: &Cluster,
    text: &str,
    values: impl scylla::serialize::row::SerializeRow,
) -> Result<QueryResult, StorageError> {
    let mut statement = Statement::new(cluster.text(text));
    statement.set_is_idempotent(true);
    cluster.session().query_unpaged(statement, values).await.map_err(|e| storage(e, true))
}

fn first_column<T>(result: QueryResult) -> Result<Vec<T>, StorageError>
where
    for<'a> (T,): scylla::deserialize::row::DeserializeRow<'a, 'a>,
{
    let rows = result.into_rows_result().map_err(shape)?;
    let rows = rows.rows::<(T,)>().map_err(shape)?;
    rows.map(|row| row.map(|(value,)| value).map_err(shape)).collect()
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

fn refusal(settings: &Cassandra, found: usize, why: &str) -> StorageError {
    let text = format!(
        "the schema of {settings} is version {found} (this program's is {}), {why}",
        STEPS.len()
    );
    StorageError::new(ErrorKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_its_statements() {
        assert_eq!(
            statements("-- a; b\nCREATE x;\n\n-- c\nCREATE\n  y;\n"),
            ["CREATE x", "CREATE\n  y"]
        );
    }

    #[test]
    fn every_statement_may_be_run_again() {
        for statement in STEPS.into_iter().flat_map(statements) {
            assert!(statement.contains("IF NOT EXISTS"), "{statement}");
        }
    }
}
