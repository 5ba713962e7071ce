//! Reading again what failed for a moment.

use std::time::Duration;

use tokio::time::Instant;

use crate::db::storage::{ErrorKind, StorageError};

/// Before the second attempt; doubled before each further one, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Repeats work that may be repeated, for as long as what stopped it may pass by itself. Long reads
/// are done in small parts, each of them retry_transient: one part that fails costs only itself.
pub(super) async fn retry_transient<T, F>(work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        match work().await {
            Err(error) if begun.elapsed() < patience(error.kind()) => {
                tracing::warn!(%error, "a part of a table is read again");
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST.min(2 * pause);
    }
}

/// A node that is only slow, having been started or being asked too much, gets time; one that is
/// away may stay away, and somebody waits to be told.
const fn patience(kind: ErrorKind) -> Duration {
    match kind {
        ErrorKind::Timeout | ErrorKind::Conflict => Duration::from_secs(60),
        ErrorKind::Unavailable => Duration::from_secs(6),
        ErrorKind::Invalid | ErrorKind::Internal => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How often work is tried that fails so often, and what comes of it.
    async fn tried(failures: u32, kind: ErrorKind) -> (u32, bool) {
        let tries = AtomicU32::new(0);
        let result = retry_transient(|| async {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < failures { Err(StorageError::new(kind, "not now")) } else { Ok(()) }
        });
        let is_ok = result.await.is_ok();
        (tries.into_inner(), is_ok)
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_stays_is_not() {
        assert_eq!(tried(0, ErrorKind::Timeout).await, (1, true));
        assert_eq!(tried(1, ErrorKind::Timeout).await, (2, true));
        assert_eq!(tried(1, ErrorKind::Unavailable).await, (2, true));
        assert_eq!(tried(1, ErrorKind::Invalid).await, (1, false));
    }
}
