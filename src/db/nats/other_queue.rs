//! Whether the store had messages from another queue than the one that this program reads.

use std::time::Duration;

use uuid::Uuid;

use crate::config::queue::NatsQueue;
use crate::db::storage::TransferTarget;

/// How long the store is asked; it may be away when a program starts.
const WAIT: Duration = Duration::from_secs(3);

/// Warns if messages of the store came from a stream, though the program has no queue.
pub(in crate::db) async fn warn_without_queue(target: &dyn TransferTarget) {
    if !streams(target).await.is_empty() {
        tracing::warn!(
            "messages of this store came from a NATS stream, and this program has no --queue: if other \
             programs of the store still have one, give this one the same, because what waits in the stream \
             is not applied by a worker without it"
        );
    }
}

/// Warns if messages of the store came from streams, and none from that one.
pub(super) async fn warn_if_other(target: &dyn TransferTarget, queue: &NatsQueue, stream: Uuid) {
    let streams = streams(target).await;
    if !streams.is_empty() && !streams.contains(&stream) {
        tracing::warn!(
            %queue,
            "messages of this store came from a NATS stream, of another stream than that of --queue: unless \
             the stream was made again, give all programs of the store the same --queue"
        );
    }
}

/// None if the store does not tell.
async fn streams(target: &dyn TransferTarget) -> Vec<Uuid> {
    match tokio::time::timeout(WAIT, target.streams()).await {
        Ok(Ok(streams)) => streams,
        Ok(Err(error)) => {
            tracing::debug!(%error, "from which streams messages came is unknown");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}
