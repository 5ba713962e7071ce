//! Whether messages wait in the stream that no worker moves, as when the worker has another `--queue`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is moved until it is said, and until it is said again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Since when the stream has been moved up to which sequence, while messages waited behind it.
#[derive(Debug, Default)]
pub(super) struct Stalled(Mutex<Option<(u64, Instant)>>);

impl Stalled {
    /// Whether the stream has not been moved for long though it should have been; says so once in a while.
    pub(super) fn is_due(&self, waits: bool, moved_to: u64) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *since {
            _ if !waits => *since = None,
            Some((sequence, at)) if sequence == moved_to => {
                if at.elapsed() >= LONGEST_WAIT {
                    *since = Some((moved_to, Instant::now()));
                    return true;
                }
            }
            _ => *since = Some((moved_to, Instant::now())),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_moved_is_told_of_once_in_a_while() {
        let stalled = Stalled::default();
        assert!(!stalled.is_due(true, 3));
        tokio::time::advance(LONGEST_WAIT).await;
        assert!(!stalled.is_due(true, 4), "it was moved");
        tokio::time::advance(LONGEST_WAIT).await;
        assert!(stalled.is_due(true, 4));
        assert!(!stalled.is_due(true, 4));
        tokio::time::advance(LONGEST_WAIT).await;
        assert!(!stalled.is_due(false, 4), "nothing waits");
        assert!(!stalled.is_due(true, 4));
    }
}
