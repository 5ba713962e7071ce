//! Whether a node that is asked for one copy of a row gives its own.

use std::sync::Arc;

use scylla::cluster::Node;
use scylla::statement::Statement;

use super::topology::rows;
use crate::db::cassandra::connection::{Cluster, pin_to_node};
use crate::db::cassandra::error;
use crate::db::storage::{ErrorKind, StorageError};

/// How a node chooses among the copies of a row.
const CHOICE: &str = "SELECT name, value FROM system_views.settings \
                      WHERE name IN ('dynamic_snitch', 'endpoint_snitch')";

/// Makes sure that a node that is asked for one copy of a row that it holds reads its own.
pub(super) async fn reads_its_own_copy(
    cluster: &Cluster,
    node: &Arc<Node>,
) -> Result<(), StorageError> {
    let address = node.address;
    let refused = |kind, why: &str| Err(StorageError::new(kind, format!("{address} {why}")));
    if !node.is_connected() {
        return refused(
            ErrorKind::Unavailable,
            "cannot be reached, and copies are compared only while all nodes are up: start it, \
             then repeat this",
        );
    }
    let mut statement = Statement::new(CHOICE);
    statement.set_load_balancing_policy(Some(pin_to_node(node)));
    let result = cluster.session().query_unpaged(statement, ()).await;
    let settings = match result.map_err(|e| error::storage(e, true)) {
        Err(e) if e.kind() == ErrorKind::Invalid => {
            return refused(
                ErrorKind::Invalid,
                "does not show this user how it chooses among copies (system_views.settings), \
                 so that they cannot be compared: Cassandra 4 or newer does, to a superuser",
            );
        }
        result => rows::<(String, Option<String>)>(result?)?,
    };
    if !reads_itself(&settings) {
        return refused(
            ErrorKind::Invalid,
            "may answer for another node's copy, so that copies cannot be compared: set \
             dynamic_snitch: false and another endpoint_snitch than SimpleSnitch in the \
             cassandra.yaml of every node (see docs/operations.md)",
        );
    }
    Ok(())
}

/// Whether its own copy is the first that a node chooses: it sorts itself in front, which all but
/// one way of sorting do, and does not sort anew by how fast others were.
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
    fn a_node_that_chooses_freely_is_known() {
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
