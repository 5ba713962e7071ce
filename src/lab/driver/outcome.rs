//! Whether the numbers of a run may be used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::publisher::LagFacts;
use super::release::ReleaseFacts;

/// The driver kept its rate if in each second 99 % of the transactions were sent no later than this after
/// they were due. More would be a visible part of the times that it measures.
pub const LAG_LIMIT: Duration = Duration::from_millis(100);
/// A thread that wakes so late was stopped by the system, or began after the start of the job.
const DELAY_LIMIT: Duration = Duration::from_secs(1);
/// The two clocks that are compared are not read in the same moment.
const SUSPENDED_LIMIT: Duration = Duration::from_millis(100);

/// How a worker's run ended, and whether its numbers may be used. All times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverOutcome {
    /// Which of the job's workers.
    pub worker: u8,
    /// Whether it was stopped.
    pub stopped: bool,
    /// 99th percentile of how late transactions were sent, over the whole run.
    pub lag_p99: f64,
    /// The same of the second in which it was largest.
    pub worst_lag_p99: f64,
    /// That second.
    pub worst_second: Option<u16>,
    /// The longest time that the releasing thread woke too late.
    pub longest_delay: f64,
    /// How long the machine was suspended.
    pub suspended: f64,
    /// Why the numbers may not be used: one sentence.
    pub invalid: Option<String>,
}

impl DriverOutcome {
    /// Of a run that has ended. Without facts its thread has panicked.
    pub(super) fn new(
        worker: u8,
        stopped: bool,
        lag: &LagFacts,
        facts: Option<ReleaseFacts>,
    ) -> Self {
        let ReleaseFacts { longest_delay, suspended } = facts.unwrap_or_default();
        let (worst_second, worst_lag_p99) = lag.worst.unzip();
        let outcome = Self {
            worker,
            stopped,
            lag_p99: lag.all.quantile(0.99).unwrap_or(0.0),
            worst_lag_p99: worst_lag_p99.unwrap_or(0.0),
            worst_second,
            longest_delay: longest_delay.as_secs_f64(),
            suspended: suspended.as_secs_f64(),
            invalid: None,
        };
        let invalid = match facts {
            Some(_) => outcome.why_invalid(),
            None => Some(format!("The releasing thread of worker {worker} panicked.")),
        };
        Self { invalid, ..outcome }
    }

    /// Of a run that did not begin.
    pub(super) fn without_thread(worker: u8) -> Self {
        let outcome = Self::new(worker, true, &LagFacts::default(), Some(ReleaseFacts::default()));
        let invalid = Some(format!("Worker {worker} could not start its releasing thread."));
        Self { invalid, ..outcome }
    }

    fn why_invalid(&self) -> Option<String> {
        let worker = self.worker;
        if self.suspended > SUSPENDED_LIMIT.as_secs_f64() {
            return Some(format!("The machine was suspended for {:.1} s.", self.suspended));
        }
        if self.longest_delay > DELAY_LIMIT.as_secs_f64() {
            let delay = self.longest_delay;
            return Some(format!("Worker {worker} was started or woken {delay:.1} s too late."));
        }
        let second = self.worst_second.filter(|_| self.worst_lag_p99 > LAG_LIMIT.as_secs_f64())?;
        Some(format!(
            "Worker {worker} did not keep its rate: in second {second} it sent 1 % of the transactions \
             more than {:.0} ms late, and {} ms is the limit.",
            self.worst_lag_p99 * 1e3,
            LAG_LIMIT.as_millis(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::times::Times;
    use super::*;

    fn outcome(lag_ms: u64, facts: Option<ReleaseFacts>) -> DriverOutcome {
        let mut all = Times::new();
        all.record(lag_ms * 1_000);
        let worst = Some((7, all.quantile(0.99).unwrap()));
        DriverOutcome::new(2, false, &LagFacts { all, worst }, facts)
    }

    #[test]
    fn a_driver_that_kept_its_rate_is_valid() {
        let outcome = outcome(20, Some(ReleaseFacts::default()));
        assert_eq!(outcome.invalid, None);
        assert!((outcome.worst_lag_p99 - 0.02).abs() < 1e-4 && outcome.worst_second == Some(7));
    }

    #[test]
    fn a_run_is_invalid_for_a_reason_in_one_sentence() {
        let ms = Duration::from_millis;
        let facts = |delay, suspended| {
            Some(ReleaseFacts { longest_delay: ms(delay), suspended: ms(suspended) })
        };
        for (outcome, reason) in [
            (
                outcome(150, facts(0, 0)),
                "in second 7 it sent 1 % of the transactions more than 150 ms late",
            ),
            (outcome(20, facts(1_200, 0)), "Worker 2 was started or woken 1.2 s too late."),
            (outcome(20, facts(0, 3_000)), "The machine was suspended for 3.0 s."),
            (outcome(20, None), "The releasing thread of worker 2 panicked."),
            (DriverOutcome::without_thread(2), "Worker 2 could not start its releasing thread."),
        ] {
            let why = outcome.invalid.unwrap();
            assert!(why.contains(reason), "{why}");
        }
    }
}
