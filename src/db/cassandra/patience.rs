//! Reading again what failed for a moment.

use std::time::Duration;

use crate::db::storage::{Kind, StorageError};

const ATTEMPTS: u32 = 6;
/// Before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// Repeats work that may be repeated, for as long as what stopped it may pass by itself.
pub(super) async fn patiently<T, F>(work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    for attempt in 0..ATTEMPTS - 1 {
        match work().await {
            Err(error) if !matches!(error.kind(), Kind::Invalid | Kind::Internal) => {
                tracing::debug!(%error, "a part of a table is read again");
            }
            result => return result,
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    work().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How often work is tried that fails so often, and what comes of it.
    async fn tried(failures: u32, kind: Kind) -> (u32, bool) {
        let tries = AtomicU32::new(0);
        let result = patiently(|| async {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < failures { Err(StorageError::new(kind, "not now")) } else { Ok(()) }
        });
        let is_ok = result.await.is_ok();
        (tries.into_inner(), is_ok)
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_stays_is_not() {
        assert_eq!(tried(0, Kind::Timeout).await, (1, true));
        assert_eq!(tried(1, Kind::Unavailable).await, (2, true));
        assert_eq!(tried(1, Kind::Invalid).await, (1, false));
    }
}
