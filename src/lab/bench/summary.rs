//! The numbers of one run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::db::storage::StoredWindow;
use crate::lab::model::{Side, Window};
use crate::lab::times::InvalidTimes;
use crate::lab::windows::merge_windows;

/// What was measured in one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Seconds that were measured.
    pub seconds: usize,
    /// Reads.
    pub read: SideSummary,
    /// Writes.
    pub write: SideSummary,
    /// The largest 99th percentile of a second of how late transactions were sent, in seconds.
    pub driver_lag_p99: f64,
    /// Share of one processor that this process used, in the mean.
    pub cpu: f64,
    /// Why the numbers may not be used.
    pub invalid: Option<String>,
}

/// Reads or writes of one run. Times in seconds, of all that ended; those that timed out count 5 s.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SideSummary {
    /// Due.
    pub offered: u64,
    /// Succeeded.
    pub ok: u64,
    /// Ended in any other way.
    pub failed: u64,
    /// Not sent, because too many were under way.
    pub unsent: u64,
    /// Due each second.
    pub offered_per_second: f64,
    /// Succeeded each second.
    pub ok_per_second: f64,
    /// `(failed + unsent) / offered`, in percent.
    pub failure_percent: f64,
    /// Mean; `None` where nothing ended, as for all times.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// The largest 99th percentile of one second.
    pub worst_p99: Option<f64>,
    /// How many failed for which reason.
    pub errors: BTreeMap<String, u64>,
}

impl Measured {
    /// The numbers of a run from its seconds.
    ///
    /// # Errors
    /// If the histogram of a second cannot be read.
    pub fn of(windows: Vec<StoredWindow>, invalid: Option<String>) -> Result<Self, InvalidTimes> {
        let Some(merged) = merge_windows(&windows)? else {
            return Ok(Self {
                invalid: invalid.or(Some("Nothing was measured.".to_owned())),
                ..Self::default()
            });
        };
        let Window { read, write, driver, .. } = merged.window;
        let seconds = windows.len();
        let worst = |side: fn(&Window) -> &Side| {
            windows.iter().filter_map(|stored| side(&stored.window).p99).reduce(f64::max)
        };
        Ok(Self {
            seconds,
            read: SideSummary::new(read, seconds, worst(|window| &window.read)),
            write: SideSummary::new(write, seconds, worst(|window| &window.write)),
            driver_lag_p99: driver.lag_p99,
            cpu: driver.cpu,
            invalid,
        })
    }

    /// Of a run that did not take place.
    #[must_use]
    pub fn failed(why: String) -> Self {
        Self { invalid: Some(why), ..Self::default() }
    }

    /// Marks a run that was ended early as invalid, unless it is so for another reason.
    #[must_use]
    pub fn shortened(self, is_stopped: bool) -> Self {
        let stopped = || is_stopped.then(|| "It was interrupted.".to_owned());
        Self { invalid: self.invalid.or_else(stopped), ..self }
    }
}

impl SideSummary {
    fn new(side: Side, seconds: usize, worst_p99: Option<f64>) -> Self {
        let per_second = |count: u64| count as f64 / seconds.max(1) as f64;
        Self {
            offered: side.offered,
            ok: side.ok,
            failed: side.failed,
            unsent: side.unsent,
            offered_per_second: per_second(side.offered),
            ok_per_second: per_second(side.ok),
            failure_percent: side.failure_percent,
            mean: side.average_latency,
            p50: side.p50,
            p95: side.p95,
            p99: side.p99,
            worst_p99,
            errors: side.errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::lab::times::Times;
    use crate::lab::windows::WindowMerger;
    use crate::lab::worker_window::{WorkerSide, WorkerWindow, this_process};

    fn second(second: u16, millis: &[u64], unsent: u64) -> WorkerWindow {
        let mut times = Times::new();
        millis.iter().for_each(|millis| times.record(millis * 1_000));
        let micros = millis.iter().sum::<u64>() * 1_000;
        let read =
            WorkerSide { ok: millis.len() as u64, unsent, micros, times, ..WorkerSide::default() };
        let (write, lag, process) = (WorkerSide::default(), Times::new(), this_process());
        WorkerWindow { worker: 0, second, is_final: true, read, write, lag, process, cpu: 0.5 }
    }

    fn windows(seconds: Vec<WorkerWindow>) -> Vec<StoredWindow> {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 1);
        seconds.into_iter().filter_map(|window| merger.add(window)).collect()
    }

    #[test]
    fn percentiles_are_those_of_all_transactions_not_means_of_seconds() {
        // The p99 of the seconds are 10, 10 and 1,000 ms; 1 of 300 transactions took longer than 10 ms.
        let slow = [&[10; 98][..], &[1_000; 2]].concat();
        let all = windows(vec![
            second(0, &[10; 100], 0),
            second(1, &[10; 100], 0),
            second(2, &slow, 100),
        ]);
        let Measured { read, write, seconds, .. } = Measured::of(all, None).unwrap();
        let near =
            |time: Option<f64>, expected: f64| (time.unwrap() / expected - 1.0).abs() < 0.001;
        assert_eq!((seconds, read.ok, read.unsent), (3, 300, 100));
        assert!(near(read.p99, 0.01) && near(read.worst_p99, 1.0), "{read:?}");
        assert!(near(read.mean, (298.0 * 0.01 + 2.0) / 300.0), "{read:?}");
        assert!((read.ok_per_second - 100.0).abs() < 1e-9);
        assert!((read.offered_per_second - 400.0 / 3.0).abs() < 1e-9);
        assert!((read.failure_percent - 25.0).abs() < 1e-9);
        assert_eq!((write.p99, write.worst_p99), (None, None));
    }

    #[test]
    fn a_run_without_a_second_is_invalid() {
        assert!(Measured::of(Vec::new(), None).unwrap().invalid.is_some());
        let interrupted = Measured::default().shortened(true);
        assert_eq!(interrupted.invalid.as_deref(), Some("It was interrupted."));
        assert_eq!(Measured::default().shortened(false).invalid, None);
        let failed = Measured::failed("why".to_owned()).shortened(true);
        assert_eq!(failed.invalid.as_deref(), Some("why"));
    }
}
