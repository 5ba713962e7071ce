//! Waiting a little, and longer the next time, never as long as others who do the same.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(250);
/// How long an act is tried before it gives up. Well within a lease.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// When this pause ends; the next will be twice as long.
    pub(super) fn next(&mut self) -> Instant {
        let pause = self.0.mul_f64(rand::rng().random_range(0.5..1.0));
        self.0 = LONGEST.min(self.0 * 2);
        Instant::now() + pause
    }

    pub(super) async fn wait(&mut self) {
        tokio::time::sleep_until(self.next()).await;
    }
}

/// When an act that begins now gives up.
pub(super) fn patience() -> Instant {
    Instant::now() + PATIENCE
}
