//! Bringing to their end what servers that died have left half done.
//!
//! Every server does this, all at once if it so happens: whoever runs a step that another has run
//! finds it done. A pass reads the slots in which all leases are over; a slot with nothing left in it
//! is closed.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use prometheus_client::metrics::gauge::Gauge;
use rand::RngExt;
use uuid::Uuid;

use super::coordinator::CheckoutCoordinator;
use crate::cart::model::OrderId;
use crate::db::storage::StorageError;

/// Backoff between two passes.
const EVERY: Duration = Duration::from_secs(3);
/// How long a pass may take; the next one begins with what is oldest then.
const LONGEST: Duration = Duration::from_secs(30);
/// PendingIndex that are recovered at once.
const AT_ONCE: usize = 16;

/// Recovers for ever.
pub(super) async fn run(coordinator: Arc<CheckoutCoordinator>, abandoned: Gauge) {
    loop {
        // Servers that started together should not all come at once.
        let backoff = EVERY.mul_f64(rand::rng().random_range(0.5..1.5));
        tokio::time::sleep(backoff).await;
        match tokio::time::timeout(LONGEST, pass(&coordinator)).await {
            Ok(Ok(left)) => drop(abandoned.set(left)),
            Ok(Err(error)) => tracing::debug!(%error, "recovery of carts begins anew"),
            Err(_) => tracing::debug!("recovery of carts takes long, and begins anew"),
        }
    }
}

/// Recovers all there is; tells how many could not be brought to their end.
pub(super) async fn pass(coordinator: &CheckoutCoordinator) -> Result<i64, StorageError> {
    let mut left = 0;
    for slot in coordinator.pending.expired_slots().await? {
        let noted = coordinator.pending.attempts_in(slot).await?;
        if noted.is_empty() {
            coordinator.pending.close_slot(slot).await?;
            continue;
        }
        let recover = |(attempt_id, id): (Uuid, OrderId)| async move {
            recover(coordinator, attempt_id, &id).await
        };
        let failed = stream::iter(noted).map(recover).buffer_unordered(AT_ONCE);
        left += failed.filter(|recovered| std::future::ready(!recovered)).count().await as i64;
    }
    Ok(left)
}

async fn recover(coordinator: &CheckoutCoordinator, attempt_id: Uuid, id: &OrderId) -> bool {
    match coordinator.recover(id, attempt_id).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, order = %id, "an unfinished checkout could not be ended yet");
            false
        }
    }
}
