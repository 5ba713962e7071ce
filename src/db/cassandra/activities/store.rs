//! The tables of activities, opened once, and how messages get into the queue.

use std::sync::Arc;

use super::appender::Appender;
use super::index::{Index, List};
use super::log::{Log, SEGMENT};
use super::messages::Messages;
use super::rows_table::RowsTable;
use super::tables_table::TablesTable;
use super::worker_table::WorkerTable;
use crate::activities::model::MessageId;
use crate::db::cassandra::connection::Cluster;
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::telemetry::Registry;

pub(super) struct Store {
    pub(super) log: Arc<Log>,
    pub(super) messages: Messages,
    pub(super) index: Index,
    pub(super) rows: RowsTable,
    pub(super) tables_table: TablesTable,
    pub(super) worker_table: WorkerTable,
    appender: Appender,
}

impl Store {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        registry: &Registry,
    ) -> Result<Arc<Self>, StorageError> {
        Self::with_segments(cluster, registry, SEGMENT).await
    }

    /// With another number of positions in a segment.
    pub(super) async fn with_segments(
        cluster: &Arc<Cluster>,
        registry: &Registry,
        segment: i64,
    ) -> Result<Arc<Self>, StorageError> {
        // At once: each prepares several statements, one after the other.
        let (log, messages, index, rows, tables_table, worker_table) = tokio::try_join!(
            Log::open(cluster, segment),
            Messages::open(cluster),
            Index::open(cluster),
            RowsTable::open(cluster),
            TablesTable::open(cluster),
            WorkerTable::open(cluster),
        )?;
        let log = Arc::new(log);
        let appender = Appender::start(Arc::clone(&log), registry);
        Ok(Arc::new(Self { log, messages, index, rows, tables_table, worker_table, appender }))
    }

    /// Stores the text of a message, which is not queued by that. Stored before, it stays as it is.
    pub(super) async fn put(
        &self,
        id: MessageId,
        body: &str,
        retry_of: Option<MessageId>,
    ) -> Result<(), StorageError> {
        self.messages.put(id, body, self.log.known_end(), retry_of).await
    }

    /// Queues a message whose text is stored. On an error of the kind [`ErrorKind::Timeout`] it may be
    /// queued, on any other it is not.
    pub(super) async fn append(
        &self,
        context: ActContext,
        id: MessageId,
        length: usize,
    ) -> Result<(), StorageError> {
        self.appender.append(context, id, length).await?;
        // The worker lists it too, so a failure delays this only.
        if let Err(error) = self.index.put(List::All, id, None, None, 1).await {
            tracing::warn!(%error, %id, "a queued message is not listed before it is applied");
        }
        Ok(())
    }

    /// Whether a message whose text was stored is, or was, in the queue. What is read for that is at most
    /// the queue.
    pub(super) async fn was_queued(&self, id: MessageId) -> Result<bool, StorageError> {
        // Before its state: if it ends meanwhile, it has one then.
        let ended = self.worker_table.ended().await?;
        match self.messages.find(id, false).await? {
            // It was applied and pruned.
            None => Ok(true),
            Some(row) if row.has_ended() => Ok(true),
            Some(row) => {
                let from = row.log_hint.unwrap_or(0).max(ended.position);
                self.log.contains(id, from).await
            }
        }
    }
}

/// An error after which the act may still be done.
pub(super) fn unknown(error: StorageError) -> StorageError {
    let text = "the message may still be queued";
    StorageError::with_source(ErrorKind::Timeout, text, error)
}
