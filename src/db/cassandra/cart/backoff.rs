//! PendingRequest a little, and longer the next time, never as long as others who do the same.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(250);
/// How long an op_id is tried before it gives up. Completed within a lease.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// When this backoff ends; the next will be twice as long.
    pub(super) fn next(&mut self) -> Instant {
        let backoff = self.0.mul_f64(rand::rng().random_range(0.5..1.0));
        self.0 = LONGEST.min(self.0 * 2);
        Instant::now() + backoff
    }

    pub(super) async fn wait(&mut self) {
        tokio::time::sleep_until(self.next()).await;
    }
}

/// When an op_id that begins now gives up.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}
