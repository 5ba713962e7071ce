//! Exponential backoff with equal jitter, and retries with it.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use crate::db::storage::{ErrorKind, StorageError};

/// Pauses between tries. Each is drawn from the upper half of a span that doubles up to a limit
/// (equal jitter): several writers that failed together do not meet again, and none retries at once.
#[derive(Debug, Clone)]
pub(in crate::db) struct Backoff {
    span: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses of at most `first`, then twice as long each time, never longer than `longest`.
    pub(in crate::db) const fn new(first: Duration, longest: Duration) -> Self {
        Self { span: first, longest }
    }

    /// When the next pause ends.
    pub(in crate::db) fn next(&mut self) -> Instant {
        let pause = self.span.mul_f64(rand::rng().random_range(0.5..1.0));
        self.span = self.longest.min(self.span * 2);
        Instant::now() + pause
    }

    /// Waits for the next pause.
    pub(in crate::db) async fn wait(&mut self) {
        tokio::time::sleep_until(self.next()).await;
    }
}

/// Whether the same request may succeed a moment later. A conflict is not such an error: the
/// backend has already tried again where that could help.
pub(in crate::db) fn is_transient(error: &StorageError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Repeats work that may safely run twice while `may_retry` allows it.
pub(in crate::db) async fn retry<T, F>(
    mut backoff: Backoff,
    may_retry: impl Fn(&StorageError) -> bool,
    work: impl Fn() -> F,
) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    loop {
        match work().await {
            Err(error) if may_retry(&error) => {
                tracing::debug!(%error, "retrying");
            }
            result => return result,
        }
        backoff.wait().await;
    }
}

/// The condition of [`retry`] for work with a deadline: transient errors until then.
pub(in crate::db) fn until(deadline: Instant) -> impl Fn(&StorageError) -> bool {
    move |error| is_transient(error) && Instant::now() < deadline
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const FAST: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));

    /// How often work is tried that fails so often, and whether it succeeds.
    async fn tried(failures: u32, kind: ErrorKind, deadline: Instant) -> (u32, bool) {
        let tries = AtomicU32::new(0);
        let result = retry(FAST, until(deadline), || async {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < failures { Err(StorageError::new(kind, "not now")) } else { Ok(()) }
        });
        let is_ok = result.await.is_ok();
        (tries.into_inner(), is_ok)
    }

    #[tokio::test]
    async fn transient_errors_are_retried_until_the_deadline_and_others_are_not() {
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(tried(0, ErrorKind::Timeout, later).await, (1, true));
        assert_eq!(tried(2, ErrorKind::Timeout, later).await, (3, true));
        assert_eq!(tried(1, ErrorKind::Unavailable, later).await, (2, true));
        assert_eq!(tried(1, ErrorKind::Invalid, later).await, (1, false));
        assert_eq!(tried(1, ErrorKind::Timeout, Instant::now()).await, (1, false));
    }

    #[tokio::test]
    async fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        for (least, most) in [(0.5, 1.0), (1.0, 2.0), (1.5, 3.0), (1.5, 3.0)] {
            let pause = backoff.next() - Instant::now();
            assert!((least - 0.1..most).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
