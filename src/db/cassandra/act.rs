//! Writes that run to their end.

use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// Runs a write to its end even if its caller is gone. The context, and with it the permit, lives
/// as long as the write does.
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
