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

use super::house::House;
use crate::cart::model::OrderId;
use crate::db::storage::StorageError;

/// Pause between two passes.
const EVERY: Duration = Duration::from_secs(3);
/// How long a pass may take; the next one begins with what is oldest then.
const LONGEST: Duration = Duration::from_secs(30);
/// Attempts that are recovered at once.
const AT_ONCE: usize = 16;

/// Recovers for ever.
pub(super) async fn run(house: Arc<House>, abandoned: Gauge) {
    loop {
        // Servers that started together should not all come at once.
        let pause = EVERY.mul_f64(rand::rng().random_range(0.5..1.5));
        tokio::time::sleep(pause).await;
        match tokio::time::timeout(LONGEST, pass(&house)).await {
            Ok(Ok(left)) => drop(abandoned.set(left)),
            Ok(Err(error)) => tracing::debug!(%error, "recovery of carts begins anew"),
            Err(_) => tracing::debug!("recovery of carts takes long, and begins anew"),
        }
    }
}

/// Recovers all there is; tells how many could not be brought to their end.
pub(super) async fn pass(house: &House) -> Result<i64, StorageError> {
    let mut left = 0;
    for slot in house.attempts.over().await? {
        let noted = house.attempts.noted(slot).await?;
        if noted.is_empty() {
            house.attempts.close(slot).await?;
            continue;
        }
        let recover =
            |(attempt, id): (Uuid, OrderId)| async move { recover(house, attempt, &id).await };
        let failed = stream::iter(noted).map(recover).buffer_unordered(AT_ONCE);
        left += failed.filter(|recovered| std::future::ready(!recovered)).count().await as i64;
    }
    Ok(left)
}

async fn recover(house: &House, attempt: Uuid, id: &OrderId) -> bool {
    match house.recover(id, attempt).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, order = %id, "an unfinished checkout could not be ended yet");
            false
        }
    }
}
