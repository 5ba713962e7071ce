//! How long reads of whole tables and schema changes are retried. The retry itself is
//! [`crate::db::common::retry`]; writes of a load are retried by [`super::adaptive_limiter`].

use std::time::Duration;

use tokio::time::Instant;

use crate::db::common::retry::{Backoff, retry};
use crate::db::storage::{ErrorKind, StorageError};

/// Exponential: a node that is overloaded gets time to recover.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Repeats one part of a long read while the error is transient. Long reads are split into small
/// parts, each retried by itself, so that a failure costs one part and not the whole read.
pub(super) async fn retry_transient<T, F>(work: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let log = |error: &StorageError| tracing::warn!(%error, "cannot read a part of a table");
    retry(BACKOFF, by_kind(Duration::ZERO), || async { work().await.inspect_err(log) }).await
}

/// The condition of a retry that starts now: how long depends on the kind of the error, and is not
/// shorter than `least`.
pub(super) fn by_kind(least: Duration) -> impl Fn(&StorageError) -> bool {
    let begun = Instant::now();
    move |error| {
        let retried_for = match error.kind() {
            // A node that is starting or overloaded answers within a minute.
            ErrorKind::Timeout | ErrorKind::Conflict => Duration::from_secs(60),
            // A node that is down may stay down: the operator is told soon.
            ErrorKind::Unavailable => Duration::from_secs(6),
            ErrorKind::Invalid | ErrorKind::Internal => Duration::ZERO,
        };
        begun.elapsed() < retried_for.max(least)
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
    async fn transient_errors_are_retried_and_others_are_not() {
        assert_eq!(tried(0, ErrorKind::Timeout).await, (1, true));
        assert_eq!(tried(1, ErrorKind::Timeout).await, (2, true));
        assert_eq!(tried(1, ErrorKind::Unavailable).await, (2, true));
        assert_eq!(tried(1, ErrorKind::Invalid).await, (1, false));
    }

    #[test]
    fn every_kind_is_retried_for_the_least_time() {
        let error = StorageError::new(ErrorKind::Invalid, "no such table yet");
        assert!(by_kind(Duration::from_secs(60))(&error));
        assert!(!by_kind(Duration::ZERO)(&error));
    }
}
