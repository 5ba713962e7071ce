//! Writes that a caller who goes away does not interrupt.

use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// Runs a write to its end in a task of its own: a write of several statements that is dropped
/// halfway would leave the rest to recovery. The context, and with it the permit, is held until
/// then, so that the permits bound the writes and not the connections.
pub(super) async fn act<T: Send + 'static>(
    context: ActContext,
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    let task = async move {
        let outcome = work.await;
        drop(context);
        outcome
    };
    tokio::spawn(task).await.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "a database task panicked", e)
    })?
}
