//! A lab's databases: keyspaces beside the one that the URL names.
//!
//! The mark is the comment of an empty table, so it is created with that table in one step. A keyspace and a
//! table are two steps: between them an interrupted call leaves a keyspace with nothing in it, and such a
//! keyspace is taken over, whoever made it, because there is nothing to lose.

use std::sync::Arc;

use async_trait::async_trait;
use scylla::statement::Statement;
use scylla::value::{CqlValue, Row};
use tokio::net::lookup_host;

use super::connection::{Cluster, pin_to_node};
use super::error::storage;
use super::migrate::{LAB_TABLE, change, create_keyspace, has_keyspace, query};
use super::query_result::{optional_row, rows};
use crate::config::database::cassandra::Cassandra;
use crate::db::storage::{
    CreateGeneration, DropGeneration, ErrorKind, GenerationStore, ServerFacts, StorageError,
};
use crate::lab::model::{Generation, LabId};

const TABLES: &str = "SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = ?";
const TYPES: &str = "SELECT type_name FROM system_schema.types WHERE keyspace_name = ?";
const FUNCTIONS: &str = "SELECT function_name FROM system_schema.functions WHERE keyspace_name = ?";
const AGGREGATES: &str =
    "SELECT aggregate_name FROM system_schema.aggregates WHERE keyspace_name = ?";
const KEYSPACES: &str = "SELECT keyspace_name FROM system_schema.keyspaces";
const MARK: &str =
    "SELECT comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
const SERVER: &str = "SELECT cluster_name, release_version FROM system.local";
/// Whether a node keeps a snapshot of what is dropped, which no statement removes.
const SNAPSHOTS: &str = "SELECT value FROM system_views.settings WHERE name = 'auto_snapshot'";
/// Whether it can be told not to, table by table: since Cassandra 4.1.
const CAN_LEAVE_OUT_SNAPSHOTS: &str = "SELECT column_name FROM system_schema.columns \
     WHERE keyspace_name = 'system_schema' AND table_name = 'tables' \
       AND column_name = 'allow_auto_snapshot'";
/// Null where it was never set, which allows them.
const WITH_SNAPSHOTS: &str =
    "SELECT table_name, allow_auto_snapshot FROM system_schema.tables WHERE keyspace_name = ?";

/// The keyspaces of one lab in one cluster.
pub(in crate::db) struct CassandraGenerations {
    settings: Cassandra,
    lab: LabId,
}

/// What is there under a generation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A keyspace with nothing in it.
    Empty,
    /// A keyspace of this lab, and whether there is more in it than the mark.
    Ours {
        is_used: bool,
    },
    Unmarked,
}

impl CassandraGenerations {
    pub(in crate::db) const fn new(settings: Cassandra, lab: LabId) -> Self {
        Self { settings, lab }
    }

    /// Connects to a generation's keyspace, which need not exist.
    async fn cluster(&self, generation: Generation) -> Result<Arc<Cluster>, StorageError> {
        let keyspace = generation.to_string();
        Cluster::connect(&Cassandra { keyspace, ..self.settings.clone() }).await
    }

    async fn find(&self, cluster: &Cluster) -> Result<Found, StorageError> {
        if !has_keyspace(cluster).await? {
            return Ok(Found::Nothing);
        }
        let keyspace = &cluster.settings().keyspace;
        let tables = query::<(String, Option<String>)>(cluster, TABLES, (keyspace,)).await?;
        let mark = Some(self.lab.mark());
        if tables.iter().any(|(table, comment)| table == LAB_TABLE && *comment == mark) {
            return Ok(Found::Ours { is_used: tables.len() > 1 });
        }
        let mut is_empty = tables.is_empty();
        for others in [TYPES, FUNCTIONS, AGGREGATES] {
            is_empty &= query::<(String,)>(cluster, others, (keyspace,)).await?.is_empty();
        }
        Ok(if is_empty { Found::Empty } else { Found::Unmarked })
    }

    /// Marks an empty keyspace; what is there then, because another lab may have marked it meanwhile.
    async fn mark(&self, cluster: &Cluster) -> Result<Found, StorageError> {
        let text = format!(
            "CREATE TABLE IF NOT EXISTS $.{LAB_TABLE} (id int PRIMARY KEY) WITH comment = '{}'",
            self.lab.mark()
        );
        change(cluster, &text).await?;
        self.find(cluster).await
    }

    /// Drops a keyspace of this lab.
    async fn drop_keyspace(&self, cluster: &Cluster) -> Result<(), StorageError> {
        leave_out_snapshots(cluster).await?;
        change(cluster, "DROP KEYSPACE IF EXISTS $").await
    }

    /// Refuses a user who may not create keyspaces. Whoever creates one may do everything with it.
    async fn check_rights(&self, cluster: &Cluster) -> Result<(), StorageError> {
        let Some(user) = self.settings.credentials.as_ref().map(|known| &known.user) else {
            return Ok(());
        };
        let quoted = format!("\"{}\"", user.replace('"', "\"\""));
        let rights = listed(cluster, &format!("LIST CREATE ON ALL KEYSPACES OF {quoted}")).await;
        // Without an authorizer everything is allowed, and listing is refused.
        let Ok(rights) = rights else { return Ok(()) };
        let roles = listed(cluster, &format!("LIST ROLES OF {quoted}")).await?;
        let is_superuser = |role: &Row| role.columns.get(1) == Some(&Some(CqlValue::Boolean(true)));
        if !rights.is_empty() || roles.iter().any(is_superuser) {
            return Ok(());
        }
        Err(self.invalid(&format!(
            "the user {user} lacks the permission CREATE on all keyspaces; run \
             `GRANT CREATE ON ALL KEYSPACES TO {quoted}`, or name another user"
        )))
    }

    fn invalid(&self, why: &str) -> StorageError {
        let text = format!("cannot create databases at {}: {why}", self.settings);
        StorageError::new(ErrorKind::Invalid, text)
    }

    async fn is_loopback(&self) -> bool {
        for host in &self.settings.hosts {
            let mut addresses = lookup_host(host).await.into_iter().flatten();
            if addresses.any(|address| address.ip().is_loopback()) {
                return true;
            }
        }
        false
    }
}

#[async_trait]
impl GenerationStore for CassandraGenerations {
    async fn check(&self) -> Result<ServerFacts, StorageError> {
        let cluster = Cluster::connect(&self.settings).await?;
        self.check_rights(&cluster).await?;
        if takes_snapshots(&cluster).await && !can_leave_out_snapshots(&cluster).await? {
            return Err(self.invalid(
                "it keeps a snapshot of every table that is dropped; set `auto_snapshot: false` in \
                 cassandra.yaml, or use Cassandra 4.1 or later",
            ));
        }
        let (name, version) = query::<(String, String)>(&cluster, SERVER, ())
            .await?
            .pop()
            .ok_or_else(|| StorageError::new(ErrorKind::Internal, "a node knows no cluster"))?;
        // The name alone is often the default. The smallest id stays when nodes are added.
        let state = cluster.session().get_cluster_state();
        let smallest = state.get_nodes_info().iter().map(|node| node.host_id).min();
        Ok(ServerFacts {
            name: format!("Cassandra {version}"),
            identity: format!("cassandra {name} {}", smallest.unwrap_or_default()),
            is_local: self.is_loopback().await,
        })
    }

    async fn create(&self, generation: Generation) -> Result<CreateGeneration, StorageError> {
        let cluster = self.cluster(generation).await?;
        let mut found = self.find(&cluster).await?;
        if found == (Found::Ours { is_used: true }) {
            self.drop_keyspace(&cluster).await?;
            found = Found::Nothing;
        }
        let replication = self.settings.replication;
        if found == Found::Nothing {
            change(&cluster, &create_keyspace(replication)).await?;
            found = self.find(&cluster).await?;
        } else if found == Found::Empty {
            let create = create_keyspace(replication);
            change(&cluster, &create.replace("CREATE KEYSPACE IF NOT EXISTS", "ALTER KEYSPACE"))
                .await?;
        }
        if found == Found::Empty {
            found = self.mark(&cluster).await?;
        }
        let is_ours = matches!(found, Found::Ours { .. });
        Ok(if is_ours { CreateGeneration::Created } else { CreateGeneration::Unmarked })
    }

    async fn remove(&self, generation: Generation) -> Result<DropGeneration, StorageError> {
        let cluster = self.cluster(generation).await?;
        let mut found = self.find(&cluster).await?;
        if found == Found::Empty {
            found = self.mark(&cluster).await?;
        }
        match found {
            Found::Nothing => {}
            Found::Ours { .. } => self.drop_keyspace(&cluster).await?,
            Found::Empty | Found::Unmarked => return Ok(DropGeneration::Unmarked),
        }
        Ok(DropGeneration::Dropped)
    }

    async fn list(&self) -> Result<Vec<Generation>, StorageError> {
        let cluster = Cluster::connect(&self.settings).await?;
        let mark = Some(self.lab.mark());
        let mut found = Vec::new();
        for (name,) in query::<(String,)>(&cluster, KEYSPACES, ()).await? {
            let Some(generation) = Generation::of_name(&name) else { continue };
            let table = (name.as_str(), LAB_TABLE);
            let marks = query::<(Option<String>,)>(&cluster, MARK, table).await?;
            if marks.into_iter().any(|(comment,)| comment == mark) {
                found.push(generation);
            }
        }
        found.sort();
        Ok(found)
    }

    fn url(&self, generation: Generation) -> String {
        self.settings.text.with_path(&generation.to_string()).reveal().to_owned()
    }
}

/// The rows of a LIST statement, whose answer has no rows at all where there is nothing to list.
async fn listed(cluster: &Cluster, statement: &str) -> Result<Vec<Row>, StorageError> {
    let answer = cluster.session().query_unpaged(statement, ()).await;
    let answer = answer.map_err(|e| storage(e, true))?;
    if answer.is_rows() { rows(answer) } else { Ok(Vec::new()) }
}

/// Tells the nodes to keep no snapshot of a keyspace's tables when they are dropped.
async fn leave_out_snapshots(cluster: &Cluster) -> Result<(), StorageError> {
    if !takes_snapshots(cluster).await || !can_leave_out_snapshots(cluster).await? {
        return Ok(());
    }
    let keyspace = &cluster.settings().keyspace;
    // Listed again, because a holder may have created tables meanwhile.
    loop {
        let tables = query::<(String, Option<bool>)>(cluster, WITH_SNAPSHOTS, (keyspace,)).await?;
        let mut tables =
            tables.into_iter().filter(|(_, allowed)| *allowed != Some(false)).peekable();
        if tables.peek().is_none() {
            return Ok(());
        }
        for (table, _) in tables {
            let text =
                format!("ALTER TABLE IF EXISTS $.\"{table}\" WITH allow_auto_snapshot = false");
            change(cluster, &text).await?;
        }
    }
}

async fn can_leave_out_snapshots(cluster: &Cluster) -> Result<bool, StorageError> {
    Ok(!query::<(String,)>(cluster, CAN_LEAVE_OUT_SNAPSHOTS, ()).await?.is_empty())
}

/// Whether a node may take snapshots: each has a setting of its own, and one that does not tell may.
async fn takes_snapshots(cluster: &Cluster) -> bool {
    let state = cluster.session().get_cluster_state();
    for node in state.get_nodes_info() {
        let mut statement = Statement::new(SNAPSHOTS);
        statement.set_load_balancing_policy(Some(pin_to_node(node)));
        let answer = cluster.session().query_unpaged(statement, ()).await;
        let value =
            answer.map_err(|e| storage(e, true)).and_then(optional_row::<(Option<String>,)>);
        if !matches!(value, Ok(Some((Some(value),))) if value == "false") {
            return true;
        }
    }
    false
}
