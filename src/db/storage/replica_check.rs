//! The promises about whether the replicas of a store's data are the same.

use async_trait::async_trait;
use serde::Serialize;

use super::StorageError;

/// The replicas of a store's data.
#[async_trait]
pub trait ReplicaCheck: Send + Sync {
    /// Compares every row of all replicas and changes nothing. Servers may write meanwhile: what keeps
    /// changing is counted apart and not judged.
    async fn compare(&self) -> Result<ReplicaReport, StorageError>;

    /// The same; then ranges that differ are made equal, of each value the youngest write wins, and
    /// compared again. Repeating it after a failure goes on.
    ///
    /// [`ErrorKind::Invalid`](super::ErrorKind::Invalid), a sentence for the operator, where the replicas
    /// cannot be repaired from here.
    async fn repair(&self) -> Result<ReplicaReport, StorageError>;
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplicaReport {
    /// Ranges of rows that were looked at.
    pub ranges: u64,
    /// Rows that the replica has; of several replicas, what the fullest has of each range.
    pub rows: u64,
    /// Ranges that changed whenever they were looked at.
    pub unsettled: u64,
    /// Ranges that differ, at the end, each as a person finds it.
    pub different: Vec<String>,
    /// How many replicas there are of each row, at most; `None` of a primary and its replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// Ranges that differed and do not any more; `None` unless they were to be repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Vec<String>>,
}
