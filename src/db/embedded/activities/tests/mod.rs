//! What is particular to SQLite; what every backend promises is in `tests/conformance`.

mod batches;
mod deletes;
mod names;
mod opening;

use std::path::Path;

use super::*;
use crate::activities::model::Value;
use crate::telemetry::Registry;

/// The activities of a store in that folder; the store's own file is not needed.
fn open(folder: &Path) -> EmbeddedActivities {
    let metrics = FileMetrics::register(&Registry::default());
    EmbeddedActivities::open(&folder.join("games.db"), MigrationPolicy::Migrate, metrics).unwrap()
}

/// A connection of another program.
fn other_program(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("games-activities.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

impl EmbeddedActivities {
    async fn take(&self) -> WorkerLease {
        let seen = self.worker().await.unwrap();
        self.take_over(&seen, "test").await.unwrap().unwrap()
    }

    async fn queue(&self, body: &str) -> MessageId {
        let message = NewMessage { id: MessageId::new(), body: body.into() };
        match self.accept(ActContext::new(), message).await.unwrap() {
            Accept::Queued(id) => id,
            other => unreachable!("it has no key, and the queue no limit: {other:?}"),
        }
    }

    /// Applies all that is queued.
    async fn drain(&self, lease: WorkerLease) -> Vec<Option<Rejection>> {
        let mut all = Vec::new();
        loop {
            let messages = self.next(lease, 10_000).await.unwrap();
            if messages.is_empty() {
                return all;
            }
            // Only so many as can be applied in a while.
            match self.apply(lease, messages).await.unwrap() {
                Applied::Outcomes(outcomes) => all.extend(outcomes),
                Applied::LeaseLost => panic!("the lease is lost"),
            }
        }
    }

    async fn all_rows(&self, table: &str) -> Vec<Vec<Value>> {
        let table = Name::parse(table).unwrap();
        self.rows(&table, None, 10_000).await.unwrap().unwrap().rows
    }
}

/// A message of activities.
fn message(activities: &[serde_json::Value]) -> String {
    serde_json::json!({ "activities": activities }).to_string()
}

fn columns(cells: &[(&str, &str, serde_json::Value)]) -> serde_json::Value {
    let names: Vec<_> = cells.iter().map(|(name, ..)| name).collect();
    let types: Vec<_> = cells.iter().map(|(_, of, _)| of).collect();
    let values: Vec<_> = cells.iter().map(|(.., value)| value).collect();
    serde_json::json!({ "col_names": names, "col_types": types, "col_values": values })
}

fn insert(table: &str, cells: &[(&str, &str, serde_json::Value)]) -> serde_json::Value {
    let mut activity = columns(cells);
    activity["operation"] = "insert".into();
    activity["table"] = table.into();
    activity
}

fn delete(table: &str, cells: &[(&str, &str, serde_json::Value)]) -> serde_json::Value {
    serde_json::json!({ "operation": "delete", "table": table, "value_to_delete": columns(cells) })
}
