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

const SMALLEST: usize = 8;
const FIRST: usize = 128;
/// More never made a load faster.
pub(super) const LARGEST: usize = 1_024;
/// How long the first failed write waits; each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one write is tried before the load gives up, which can be resumed: as long as a node
/// takes to start anew.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) struct AdaptiveLimiter {
    permits: Semaphore,
    size: Mutex<Size>,
}

/// The window's size, and how it changes.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    limit: usize,
    /// Writes that succeeded since the size last changed.
    calm: usize,
    /// Permits still to be taken away, when their owners give them back.
    debt: usize,
}

impl AdaptiveLimiter {
    pub(super) fn new() -> Self {
        // A first failure counts.
        let size = Size { limit: FIRST, calm: FIRST / 2, debt: 0 };
        Self { permits: Semaphore::new(FIRST), size: Mutex::new(size) }
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
            self.settle(permit, result.is_ok());
            match result {
                Err(error) if passes(&error) && begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                result => return result,
            }
        }
    }

    /// Takes a permit back and changes the window as the write went.
    fn settle(&self, permit: SemaphorePermit<'_>, succeeded: bool) {
        let mut size = self.size();
        if succeeded {
            self.permits.add_permits(size.succeeded());
        } else {
            size.failed();
        }
        if size.debt > 0 {
            size.debt -= 1;
            permit.forget();
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Size {
    /// How many more may be under way.
    fn succeeded(&mut self) -> usize {
        self.calm += 1;
        if self.calm < self.limit || self.limit == LARGEST {
            return 0;
        }
        self.calm = 0;
        let more = (self.limit / 8).clamp(1, LARGEST - self.limit);
        self.limit += more;
        let (paid, free) = (more.min(self.debt), more.saturating_sub(self.debt));
        self.debt -= paid;
        free
    }

    /// Writes fail together: those that were under way at one time count as one failure.
    fn failed(&mut self) {
        if self.calm >= self.limit / 2 {
            let less = (self.limit / 2).min(self.limit - SMALLEST);
            self.limit -= less;
            self.debt += less;
        }
        self.calm = 0;
    }
}

/// Whether the same write may succeed a moment later.
fn passes(error: &StorageError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

fn closed() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the window of a load is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(limit: usize) -> Size {
        Size { limit, calm: 0, debt: 0 }
    }

    #[test]
    fn it_grows_by_an_eighth_after_a_whole_window() {
        let mut size = size(64);
        let more: usize = (0..64).map(|_| size.succeeded()).sum();
        assert_eq!((more, size.limit), (8, 72));
    }

    #[test]
    fn it_never_grows_beyond_the_largest() {
        let mut size = size(LARGEST - 3);
        let more: usize = (0..10 * LARGEST).map(|_| size.succeeded()).sum();
        assert_eq!((more, size.limit), (3, LARGEST));
    }

    #[test]
    fn it_is_halved_once_for_failures_at_one_time() {
        let mut size = Size { limit: 200, calm: 150, debt: 0 };
        for _ in 0..50 {
            size.failed();
        }
        assert_eq!(size, Size { limit: 100, calm: 0, debt: 100 });
    }

    #[test]
    fn what_is_to_be_taken_away_is_not_given_out_anew() {
        let mut size = Size { limit: 80, calm: 79, debt: 4 };
        assert_eq!(size.succeeded(), 6);
        assert_eq!((size.limit, size.debt), (90, 0));
    }

    #[tokio::test]
    async fn a_write_is_repeated_until_it_succeeds() {
        let (window, tried) = (AdaptiveLimiter::new(), Mutex::new(0));
        let write = || {
            let mut tried = tried.lock().unwrap();
            *tried += 1;
            let late = StorageError::new(ErrorKind::Timeout, "late");
            std::future::ready(if *tried < 3 { Err(late) } else { Ok(*tried) })
        };
        assert_eq!(window.run(write).await.unwrap(), 3);
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
