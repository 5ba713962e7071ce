//! Checks that a node that coordinates a read at consistency ONE reads its own replica: the settings
//! of its snitch decide that, and without it replicas cannot be told apart.

use std::sync::Arc;

use scylla::cluster::Node;
use scylla::statement::Statement;

use crate::db::cassandra::connection::{Cluster, pin_to_node};
use crate::db::cassandra::error::storage;
use crate::db::cassandra::query_result::rows;
use crate::db::storage::{ErrorKind, StorageError};

/// The settings by which a node chooses among the replicas of a row.
const SETTINGS: &str = "SELECT name, value FROM system_views.settings \
                      WHERE name IN ('dynamic_snitch', 'endpoint_snitch')";

/// Succeeds if the node reads its own replica of every row that it has.
pub(super) async fn require_own_replica_reads(
    cluster: &Cluster,
    node: &Arc<Node>,
) -> Result<(), StorageError> {
    let address = node.address;
    let refused = |kind, why: &str| Err(StorageError::new(kind, format!("{address} {why}")));
    if !node.is_connected() {
        return refused(
            ErrorKind::Unavailable,
            "cannot be reached, and replicas are compared only while all nodes are up: start it, \
             then repeat this",
        );
    }
    let mut statement = Statement::new(SETTINGS);
    statement.set_load_balancing_policy(Some(pin_to_node(node)));
    let result = cluster.session().query_unpaged(statement, ()).await;
    let settings = match result.map_err(|e| storage(e, true)) {
        Err(e) if e.kind() == ErrorKind::Invalid => {
            return refused(
                ErrorKind::Invalid,
                "does not show this user how it chooses among replicas (system_views.settings), \
                 so that they cannot be compared: Cassandra 4 or newer does, to a superuser",
            );
        }
        result => rows::<(String, Option<String>)>(result?)?,
    };
    if !reads_itself(&settings) {
        return refused(
            ErrorKind::Invalid,
            "may answer with another node's replica, so that replicas cannot be compared: set \
             dynamic_snitch: false and another endpoint_snitch than SimpleSnitch in the \
             cassandra.yaml of every node (see docs/operations.md)",
        );
    }
    Ok(())
}

/// Whether a node chooses its own replica first: every snitch but `SimpleSnitch` sorts it to the
/// front, and the dynamic snitch, which sorts by latency, is off.
fn reads_itself(settings: &[(String, Option<String>)]) -> bool {
    let value = |wanted| {
        let found = settings.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| value.as_deref())
    };
    let sorts = |class: &str| class.rsplit('.').next() != Some("SimpleSnitch");
    value("dynamic_snitch") == Some("false") && value("endpoint_snitch").is_some_and(sorts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_may_choose_another_replica_is_recognised() {
        let with = |class: &str, dynamic: &str| {
            let settings = [("endpoint_snitch", class), ("dynamic_snitch", dynamic)];
            let owned = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
            reads_itself(&settings.map(owned))
        };
        assert!(with("GossipingPropertyFileSnitch", "false"));
        assert!(!with("GossipingPropertyFileSnitch", "true"));
        assert!(!with("SimpleSnitch", "false"));
        assert!(!with("org.apache.cassandra.locator.SimpleSnitch", "false"));
        assert!(!reads_itself(&[]));
    }
}
