//! Limits the writes that are in flight by what the cluster can take: additive increase,
//! multiplicative decrease, as TCP's congestion window.
//!
//! Used for loads, the legacy import and fixtures, whose writes may be repeated: a failed write is
//! retried after a backoff, so an overloaded cluster slows a load down and does not end it. Not for
//! clients' writes, which fail at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::db::common::retry::{Backoff, retry, until};
use crate::db::storage::{ErrorKind, StorageError};

const MIN_LIMIT: usize = 8;
const INITIAL_LIMIT: usize = 128;
/// More never made a load faster.
pub(super) const MAX_LIMIT: usize = 1_024;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// How long one write is retried before the load fails (it can be resumed): a node needs that long
/// to restart.
const RETRY_TIME: Duration = Duration::from_secs(90);

pub(super) struct AdaptiveLimiter {
    permits: Semaphore,
    window: Mutex<Window>,
}

/// The number of permits, and how it changes.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    limit: usize,
    /// Writes that succeeded since the limit last changed.
    successes: usize,
    /// Permits in use that are over the limit; each is withdrawn when it is given back.
    excess: usize,
}

impl AdaptiveLimiter {
    pub(super) fn new() -> Self {
        // As after half a window of successes, so that an early failure halves the limit.
        let window = Window { limit: INITIAL_LIMIT, successes: INITIAL_LIMIT / 2, excess: 0 };
        Self { permits: Semaphore::new(INITIAL_LIMIT), window: Mutex::new(window) }
    }

    /// Runs an idempotent write until it succeeds, or fails for another reason than load.
    pub(super) async fn run<T, F>(&self, write: impl Fn() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        self.run_while(until(Instant::now() + RETRY_TIME), write).await
    }

    /// The same as long as `again` says so of the error.
    pub(super) async fn run_while<T, F>(
        &self,
        again: impl Fn(&StorageError) -> bool,
        write: impl Fn() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let try_once = || async {
            // Each try takes a permit of its own, because a write in its backoff is no load.
            let permit = self.permits.acquire().await.map_err(|_| closed())?;
            let result = write().await;
            self.release(permit, result.is_ok());
            result
        };
        retry(BACKOFF, again, try_once).await
    }

    /// Takes a permit back and adapts the limit.
    fn release(&self, permit: SemaphorePermit<'_>, succeeded: bool) {
        let mut window = self.window();
        if succeeded {
            self.permits.add_permits(window.succeeded());
        } else {
            window.failed();
        }
        if window.excess > 0 {
            window.excess -= 1;
            permit.forget();
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Counts a success; returns how many permits are to be added.
    fn succeeded(&mut self) -> usize {
        self.successes += 1;
        if self.successes < self.limit || self.limit == MAX_LIMIT {
            return 0;
        }
        self.successes = 0;
        let more = (self.limit / 8).clamp(1, MAX_LIMIT - self.limit);
        self.limit += more;
        // Permits that are still to be withdrawn are kept instead.
        let kept = more.min(self.excess);
        self.excess -= kept;
        more - kept
    }

    /// Counts a failure. Writes in flight at one time fail together: the limit is halved once for
    /// all of them.
    fn failed(&mut self) {
        if self.successes >= self.limit / 2 {
            let less = (self.limit / 2).min(self.limit - MIN_LIMIT);
            self.limit -= less;
            self.excess += less;
        }
        self.successes = 0;
    }
}

fn closed() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the limiter of writes is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: usize) -> Window {
        Window { limit, successes: 0, excess: 0 }
    }

    #[test]
    fn the_limit_grows_by_an_eighth_after_a_whole_window() {
        let mut window = window(64);
        let more: usize = (0..64).map(|_| window.succeeded()).sum();
        assert_eq!((more, window.limit), (8, 72));
    }

    #[test]
    fn the_limit_never_exceeds_the_maximum() {
        let mut window = window(MAX_LIMIT - 3);
        let more: usize = (0..10 * MAX_LIMIT).map(|_| window.succeeded()).sum();
        assert_eq!((more, window.limit), (3, MAX_LIMIT));
    }

    #[test]
    fn failures_at_one_time_halve_the_limit_once() {
        let mut window = Window { limit: 200, successes: 150, excess: 0 };
        for _ in 0..50 {
            window.failed();
        }
        assert_eq!(window, Window { limit: 100, successes: 0, excess: 100 });
    }

    #[test]
    fn permits_to_be_withdrawn_are_kept_when_the_limit_grows() {
        let mut window = Window { limit: 80, successes: 79, excess: 4 };
        assert_eq!(window.succeeded(), 6);
        assert_eq!((window.limit, window.excess), (90, 0));
    }

    #[tokio::test]
    async fn a_write_is_retried_until_it_succeeds() {
        let (limiter, tried) = (AdaptiveLimiter::new(), Mutex::new(0));
        let write = || {
            let mut tried = tried.lock().unwrap();
            *tried += 1;
            let late = StorageError::new(ErrorKind::Timeout, "late");
            std::future::ready(if *tried < 3 { Err(late) } else { Ok(*tried) })
        };
        assert_eq!(limiter.run(write).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_write_that_cannot_succeed_fails_at_once() {
        let tried = Mutex::new(0);
        let write = || {
            *tried.lock().unwrap() += 1;
            std::future::ready(Err::<(), _>(StorageError::new(ErrorKind::Invalid, "never")))
        };
        assert!(AdaptiveLimiter::new().run(write).await.is_err());
        assert_eq!(*tried.lock().unwrap(), 1);
    }
}
