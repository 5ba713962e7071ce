//! How many writes of a bulk load are under way: as many as the cluster can bear.
//!
//! The window grows slowly while all goes well and is halved when the cluster says that it is too
//! much, as TCP does it. What failed is written again, after a while; so a load slows down where it
//! would fail.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::db::storage::{ErrorKind, StorageError};

const MIN_LIMIT: usize = 8;
const INITIAL_LIMIT: usize = 128;
/// More never made a load faster.
pub(super) const MAX_LIMIT: usize = 1_024;
/// How long the first failed write waits; each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one write is tried before the load gives up, which can be resumed: as long as a node
/// takes to start anew.
const RETRY_TIME: Duration = Duration::from_secs(90);

pub(super) struct AdaptiveLimiter {
    permits: Semaphore,
    window: Mutex<Window>,
}

/// The window's size, and how it changes.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    limit: usize,
    /// Writes that succeeded since the size last changed.
    successes: usize,
    /// Permits still to be taken away, when their owners give them back.
    excess: usize,
}

impl AdaptiveLimiter {
    pub(super) fn new() -> Self {
        // A first failure counts.
        let window = Window { limit: INITIAL_LIMIT, successes: INITIAL_LIMIT / 2, excess: 0 };
        Self { permits: Semaphore::new(INITIAL_LIMIT), window: Mutex::new(window) }
    }

    /// Runs a write that may be repeated until it succeeds.
    pub(super) async fn run<T, F>(&self, write: impl Fn() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let Ok(permit) = self.permits.acquire().await else { return Err(closed()) };
            let result = write().await;
            self.release(permit, result.is_ok());
            match result {
                Err(error) if is_transient(&error) && begun.elapsed() < RETRY_TIME => {
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                result => return result,
            }
        }
    }

    /// Takes a permit back and changes the window as the write went.
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
    /// How many more may be under way.
    fn succeeded(&mut self) -> usize {
        self.successes += 1;
        if self.successes < self.limit || self.limit == MAX_LIMIT {
            return 0;
        }
        self.successes = 0;
        let more = (self.limit / 8).clamp(1, MAX_LIMIT - self.limit);
        self.limit += more;
        let (paid, free) = (more.min(self.excess), more.saturating_sub(self.excess));
        self.excess -= paid;
        free
    }

    /// Writes fail together: those that were under way at one time count as one failure.
    fn failed(&mut self) {
        if self.successes >= self.limit / 2 {
            let less = (self.limit / 2).min(self.limit - MIN_LIMIT);
            self.limit -= less;
            self.excess += less;
        }
        self.successes = 0;
    }
}

/// Whether the same write may succeed a moment later.
fn is_transient(error: &StorageError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

fn closed() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the window of a load is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: usize) -> Window {
        Window { limit, successes: 0, excess: 0 }
    }

    #[test]
    fn it_grows_by_an_eighth_after_a_whole_window() {
        let mut window = window(64);
        let more: usize = (0..64).map(|_| window.succeeded()).sum();
        assert_eq!((more, window.limit), (8, 72));
    }

    #[test]
    fn it_never_grows_beyond_the_largest() {
        let mut window = window(MAX_LIMIT - 3);
        let more: usize = (0..10 * MAX_LIMIT).map(|_| window.succeeded()).sum();
        assert_eq!((more, window.limit), (3, MAX_LIMIT));
    }

    #[test]
    fn it_is_halved_once_for_failures_at_one_time() {
        let mut window = Window { limit: 200, successes: 150, excess: 0 };
        for _ in 0..50 {
            window.failed();
        }
        assert_eq!(window, Window { limit: 100, successes: 0, excess: 100 });
    }

    #[test]
    fn what_is_to_be_taken_away_is_not_given_out_anew() {
        let mut window = Window { limit: 80, successes: 79, excess: 4 };
        assert_eq!(window.succeeded(), 6);
        assert_eq!((window.limit, window.excess), (90, 0));
    }

    #[tokio::test]
    async fn a_write_is_repeated_until_it_succeeds() {
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
