//! What the driver itself can do and costs, measured without a database: a run whose rate is near it measures
//! the driver.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::driver::{self, DriverOutcome};
use super::model::{JobId, KeyDistribution, Pattern, StartingState, WorkerTask};
use super::target::dry::DryTarget;
use super::worker_window::WorkerWindow;

/// Transactions a second of pattern 2, reads and writes together, at a scale of 1.
const UNSCALED_RATE: f64 = 400.0;
const ROWS: StartingState =
    StartingState { games: 100_000, items: 1_000, users: 1_000, orders: 100_000 };
/// The thread begins a little later than it is started.
const START_DELAY: Duration = Duration::from_millis(50);

/// A run without a database.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverCost {
    /// Transactions that were due.
    pub offered: u64,
    /// Those that were sent; each ended at once.
    pub sent: u64,
    /// Length in seconds.
    pub seconds: u16,
    /// Share of one processor that the process used.
    pub cpu: f64,
    /// How late they were sent, and whether that would make a run invalid.
    pub outcome: DriverOutcome,
}

impl DriverCost {
    /// Processor time of one transaction in microseconds.
    #[must_use]
    pub fn micros_each(&self) -> f64 {
        self.cpu * 1e6 * f64::from(self.seconds) / self.sent.max(1) as f64
    }
}

impl fmt::Display for DriverCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions in {} s, {} of them sent; 1 % more than {:.1} ms late; {:.2} processors, \
             {:.1} us a transaction; {}",
            self.offered,
            self.seconds,
            self.sent,
            self.outcome.lag_p99 * 1e3,
            self.cpu,
            self.micros_each(),
            self.outcome.invalid.as_deref().unwrap_or("valid"),
        )
    }
}

/// Runs one worker at that many transactions a second without a database.
pub async fn measure(rate: u32, seconds: u16, keys: KeyDistribution) -> DriverCost {
    let pattern = Pattern::ALL[1];
    let task = WorkerTask {
        job: JobId::new(),
        worker: 0,
        workers: 1,
        target: None,
        rows: ROWS,
        read_pattern: pattern,
        write_pattern: pattern,
        seconds,
        rate_scale: f64::from(rate) / UNSCALED_RATE,
        keys,
        seed: 1,
        start_at: Timestamp::now() + START_DELAY,
        max_in_flight: rate.max(1_000),
    };
    let (sender, mut windows) = mpsc::channel(16);
    let target = Arc::new(DryTarget::new(ROWS.games));
    let run = driver::run(task, target, sender, CancellationToken::new());
    let receive = async {
        let mut finals = Vec::new();
        while let Some(window) = windows.recv().await {
            if window.is_final {
                finals.push(window);
            }
        }
        finals
    };
    let (outcome, finals) = tokio::join!(run, receive);
    let sum = |count: fn(&WorkerWindow) -> u64| finals.iter().map(count).sum();
    DriverCost {
        offered: sum(|window| window.read.offered() + window.write.offered()),
        sent: sum(|window| window.read.ended() + window.write.ended()),
        seconds,
        cpu: finals.iter().map(|window| window.cpu).sum::<f64>() / f64::from(seconds.max(1)),
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_cost_of_a_run_is_measured() {
        let cost = measure(5_000, 1, KeyDistribution::Zipf(0.99)).await;
        println!("{cost}");
        assert_eq!(cost.offered, 5_000);
        assert_eq!(cost.sent, cost.offered);
        assert!(cost.cpu > 0.0 && cost.micros_each() > 0.0);
    }
}
