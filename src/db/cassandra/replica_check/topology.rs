//! What is to be compared: the tables, and the ranges of tokens with the nodes that replicate each.

use std::collections::BTreeMap;
use std::sync::Arc;

use scylla::cluster::Node;
use scylla::routing::Token;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use super::snitch_check::require_own_replica_reads;
use crate::db::cassandra::connection::{Cluster, StatementKind, pin_to_node};
use crate::db::cassandra::error::storage;
use crate::db::cassandra::query_result::rows;
use crate::db::cassandra::token_ranges;
use crate::db::storage::StorageError;

const COLUMNS: &str = "SELECT table_name, column_name, kind, position \
                       FROM system_schema.columns WHERE keyspace_name = ?";
/// Ranges of tokens, at least.
const PARTS: i64 = 16;
const PAGE: i32 = 1_000;

/// The tables and token ranges of the keyspace.
pub(super) struct Topology {
    tables: Vec<Arc<Table>>,
    ranges: Vec<TokenRange>,
}

/// A table, and the statement that reads the token and all columns between two tokens.
pub(super) struct Table {
    pub(super) name: String,
    read: PreparedStatement,
}

/// A range of tokens whose rows have the same replicas: start exclusive, end inclusive.
#[derive(Clone)]
struct TokenRange {
    after: i64,
    to: i64,
    nodes: Arc<[Arc<Node>]>,
}

/// The rows of a table in a range of tokens, start exclusive, end inclusive.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) table: Arc<Table>,
    pub(super) after: i64,
    pub(super) to: i64,
    /// The nodes that have a replica.
    pub(super) nodes: Arc<[Arc<Node>]>,
}

impl Topology {
    /// Reads tables and ranges; an error where a node is down or may answer with another's replica.
    pub(super) async fn discover(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        let ranges = ranges(cluster);
        let nodes: BTreeMap<_, _> = ranges
            .iter()
            .filter(|range| range.nodes.len() > 1)
            .flat_map(|range| range.nodes.iter())
            .map(|node| (node.host_id, node))
            .collect();
        for node in nodes.into_values() {
            require_own_replica_reads(cluster, node).await?;
        }
        Ok(Self { tables: tables(cluster).await?, ranges })
    }

    /// Replicas of a row, at most.
    pub(super) fn replicas(&self) -> u64 {
        self.ranges.iter().map(|range| range.nodes.len()).max().unwrap_or(0) as u64
    }

    /// All parts that have several replicas.
    pub(super) fn parts(&self) -> Vec<Part> {
        let several = self.ranges.iter().filter(|range| range.nodes.len() > 1);
        let of_table = |range: &TokenRange, table: &Arc<Table>| {
            let TokenRange { after, to, nodes } = range.clone();
            Part { table: Arc::clone(table), after, to, nodes }
        };
        let tables = |range| self.tables.iter().map(move |table| of_table(range, table));
        several.flat_map(tables).collect()
    }
}

impl Part {
    /// The statement that reads the replica of one node: at consistency ONE no second node is asked,
    /// and the node that coordinates the read reads itself ([`require_own_replica_reads`]).
    pub(super) fn read_on(&self, node: &Arc<Node>) -> PreparedStatement {
        let mut read = self.table.read.clone();
        read.set_consistency(Consistency::LocalOne);
        read.set_load_balancing_policy(Some(pin_to_node(node)));
        read
    }

    /// The statement that reads all replicas.
    pub(super) fn read_on_all(&self) -> PreparedStatement {
        let mut read = self.table.read.clone();
        read.set_consistency(Consistency::All);
        read
    }

    /// Identifies the part; reports are sorted by it.
    pub(super) fn key(&self) -> (&str, i64) {
        (&self.table.name, self.after)
    }
}

fn ranges(cluster: &Cluster) -> Vec<TokenRange> {
    let (state, keyspace) = (cluster.session().get_cluster_state(), &cluster.settings().keyspace);
    let tokens = state.replica_locator().ring().iter().map(|(token, _)| token.value());
    let range = |(after, to)| {
        let holders = state.get_token_endpoints(keyspace, "", Token::new(to));
        let mut nodes: Vec<_> = holders.into_iter().map(|(node, _)| node).collect();
        nodes.sort_unstable_by_key(|node| (node.address.ip(), node.address.port()));
        TokenRange { after, to, nodes: nodes.into() }
    };
    token_ranges::parts_cut_at(tokens, PARTS).into_iter().map(range).collect()
}

/// All tables of the keyspace.
async fn tables(cluster: &Arc<Cluster>) -> Result<Vec<Arc<Table>>, StorageError> {
    let values = (&cluster.settings().keyspace,);
    let result = cluster.session().query_unpaged(COLUMNS, values).await;
    let mut columns = BTreeMap::<String, Vec<(i32, String)>>::new();
    for (table, column, kind, position) in
        rows::<(String, String, String, i32)>(result.map_err(|e| storage(e, true))?)?
    {
        // Columns of the partition key have their position in it, the others -1.
        let place = if kind == "partition_key" { position } else { -1 };
        columns.entry(table).or_default().push((place, format!("\"{column}\"")));
    }
    let mut tables = Vec::new();
    for (name, mut columns) in columns {
        columns.sort_unstable();
        let mut read = cluster.prepare(&text(&name, &columns), StatementKind::Scan).await?;
        read.set_page_size(PAGE);
        tables.push(Arc::new(Table { name, read }));
    }
    Ok(tables)
}

fn text(table: &str, columns: &[(i32, String)]) -> String {
    let listed = |columns: Vec<&str>| columns.join(", ");
    let key = columns.iter().filter(|(place, _)| *place >= 0).map(|(_, name)| name.as_str());
    let token = format!("token({})", listed(key.collect()));
    let all = listed(columns.iter().map(|(_, name)| name.as_str()).collect());
    format!("SELECT {token}, {all} FROM $.\"{table}\" WHERE {token} > ? AND {token} <= ?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_columns_are_read_between_two_tokens() {
        let columns = [(-1, "amount"), (0, "kind"), (1, "id")];
        let columns = columns.map(|(place, name)| (place, format!("\"{name}\"")));
        assert_eq!(
            text("accounts", &columns),
            "SELECT token(\"kind\", \"id\"), \"amount\", \"kind\", \"id\" FROM $.\"accounts\" \
             WHERE token(\"kind\", \"id\") > ? AND token(\"kind\", \"id\") <= ?"
        );
    }
}
