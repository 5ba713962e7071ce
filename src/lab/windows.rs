//! Windows of a job, merged from those of its workers, and windows of longer times, merged from those.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::model::{DriverStats, Side, Window};
use super::times::{InvalidTimes, Times};
use super::worker_window::{WorkerSide, WorkerWindow};
use crate::db::storage::StoredWindow;

/// Merges the windows of the workers of one job as they come.
///
/// A second is published when every worker has delivered it, and once more, final, when it is final of every
/// worker; only once if it is final at first.
#[derive(Debug)]
pub struct WindowMerger {
    start_at: Timestamp,
    workers: usize,
    seconds: BTreeMap<u16, Merging>,
}

/// One second of the job.
#[derive(Debug, Default)]
struct Merging {
    /// The newest window of each worker.
    windows: BTreeMap<u8, WorkerWindow>,
    is_published: bool,
    /// Published as final: nothing is kept any more.
    is_done: bool,
}

impl WindowMerger {
    /// A merger of that many workers of a job whose second 0 begins at `start_at`.
    #[must_use]
    pub fn new(start_at: Timestamp, workers: u8) -> Self {
        Self { start_at, workers: workers.into(), seconds: BTreeMap::new() }
    }

    /// Takes a worker's window, and returns the job's window of that second if it is to be published now. A
    /// window that was taken before, or that would replace a final one, changes nothing.
    pub fn add(&mut self, window: WorkerWindow) -> Option<StoredWindow> {
        let second = self.seconds.entry(window.second).or_default();
        let is_known = second.windows.get(&window.worker).is_some_and(|known| known.is_final);
        if second.is_done || is_known {
            return None;
        }
        let number = window.second;
        second.windows.insert(window.worker, window);
        let is_whole = second.windows.len() >= self.workers;
        let is_final = is_whole && second.windows.values().all(|window| window.is_final);
        if !is_final && (!is_whole || second.is_published) {
            return None;
        }
        second.is_published = true;
        let merged = merge_workers(self.start_at, number, second.windows.values());
        if is_final {
            *second = Merging { is_done: true, ..Merging::default() };
        }
        Some(merged)
    }

    /// The seconds that are not published as final, of the workers that have delivered them: after a stop the
    /// workers end in different seconds. Those in which a worker has left something pending are not final.
    #[must_use]
    pub fn finish(self) -> Vec<StoredWindow> {
        let open = self.seconds.iter().filter(|(_, second)| !second.is_done);
        open.map(|(number, second)| merge_workers(self.start_at, *number, second.windows.values()))
            .collect()
    }
}

fn merge_workers<'a>(
    start_at: Timestamp,
    second: u16,
    windows: impl Iterator<Item = &'a WorkerWindow>,
) -> StoredWindow {
    let (mut read, mut write) = (WorkerSide::default(), WorkerSide::default());
    let (mut lag, mut is_final) = (Times::new(), true);
    let mut cpu: BTreeMap<Uuid, f64> = BTreeMap::new();
    for window in windows {
        read.merge(&window.read);
        write.merge(&window.write);
        lag.merge(&window.lag);
        is_final &= window.is_final;
        // All workers of a process report what the process used.
        let used = cpu.entry(window.process).or_default();
        *used = used.max(window.cpu);
    }
    // From a time that is in range by some hundred years.
    let timestamp = start_at + Duration::from_secs(second.into());
    let lag_p99 = lag.quantile(0.99).unwrap_or(0.0);
    let driver = DriverStats { lag_p99, cpu: cpu.values().sum() };
    stored(timestamp, second, is_final, driver, &read, &write)
}

/// One window of all the transactions of several, for reports: counts are added, and means and percentiles
/// are those of all transactions. It begins with the first; the driver's lag is the largest, its use of the
/// processor the mean. `None` of none.
///
/// # Errors
/// If the histogram of one cannot be read.
pub fn merge_windows(windows: &[StoredWindow]) -> Result<Option<StoredWindow>, InvalidTimes> {
    let Some(first) = windows.first() else { return Ok(None) };
    let (mut read, mut write) = (WorkerSide::default(), WorkerSide::default());
    for StoredWindow { window, read_times, write_times } in windows {
        read.merge(&unstored(&window.read, read_times)?);
        write.merge(&unstored(&window.write, write_times)?);
    }
    let all = || windows.iter().map(|stored| &stored.window);
    let driver = DriverStats {
        lag_p99: all().map(|window| window.driver.lag_p99).fold(0.0, f64::max),
        cpu: all().map(|window| window.driver.cpu).sum::<f64>() / windows.len() as f64,
    };
    let (timestamp, second) = (first.window.timestamp, first.window.second);
    let is_final = all().all(|window| window.is_final);
    Ok(Some(stored(timestamp, second, is_final, driver, &read, &write)))
}

fn stored(
    timestamp: Timestamp,
    second: u16,
    is_final: bool,
    driver: DriverStats,
    read: &WorkerSide,
    write: &WorkerSide,
) -> StoredWindow {
    let (read_times, write_times) = (read.times.to_bytes(), write.times.to_bytes());
    let (read, write) = (side(read), side(write));
    let window = Window { timestamp, second, is_final, read, write, driver };
    StoredWindow { window, read_times, write_times }
}

/// As the wire has it.
fn side(sum: &WorkerSide) -> Side {
    let (offered, failed, ended) = (sum.offered(), sum.failed(), sum.ended());
    debug_assert_eq!(sum.times.count(), ended, "each that ended has a time");
    let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
    Side {
        offered,
        count: offered,
        ok: sum.ok,
        failed,
        unsent: sum.unsent,
        pending: sum.pending,
        average_latency: (ended > 0).then(|| share(sum.micros, ended) / 1e6),
        failure_percent: share(failed + sum.unsent, offered) * 100.0,
        p50: sum.times.quantile(0.5),
        p95: sum.times.quantile(0.95),
        p99: sum.times.quantile(0.99),
        errors: sum.errors.clone(),
    }
}

/// The sums from which a stored side was made.
fn unstored(side: &Side, times: &[u8]) -> Result<WorkerSide, InvalidTimes> {
    let ended = (side.ok + side.failed) as f64;
    Ok(WorkerSide {
        ok: side.ok,
        errors: side.errors.clone(),
        unsent: side.unsent,
        pending: side.pending,
        micros: (side.average_latency.unwrap_or(0.0) * 1e6 * ended).round() as u64,
        times: Times::from_bytes(times)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::worker_window::this_process;
    use super::*;

    fn worker_side(ok: &[u64], failed: &[u64], unsent: u64, pending: u64) -> WorkerSide {
        let mut times = Times::new();
        ok.iter().chain(failed).for_each(|micros| times.record(*micros));
        let micros = ok.iter().chain(failed).sum();
        let mut errors = BTreeMap::new();
        if !failed.is_empty() {
            errors.insert("missing".to_owned(), failed.len() as u64);
        }
        WorkerSide { ok: ok.len() as u64, errors, unsent, pending, micros, times }
    }

    fn window(worker: u8, second: u16, is_final: bool, read: WorkerSide) -> WorkerWindow {
        let (write, mut lag) = (WorkerSide::default(), Times::new());
        lag.record(u64::from(worker) * 1_000);
        WorkerWindow {
            worker,
            second,
            is_final,
            read,
            write,
            lag,
            process: this_process(),
            cpu: 0.25,
        }
    }

    fn open(worker: u8, second: u16) -> WorkerWindow {
        window(worker, second, false, worker_side(&[10], &[], 0, 1))
    }

    fn ended(worker: u8, second: u16) -> WorkerWindow {
        window(worker, second, true, worker_side(&[10], &[30], 0, 0))
    }

    #[test]
    fn a_second_is_published_when_all_have_delivered_it_and_when_all_are_final() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 2);
        assert_eq!(merger.add(open(0, 5)), None);
        let first = merger.add(open(1, 5)).unwrap().window;
        assert!(!first.is_final);
        assert_eq!((first.read.offered, first.read.ok, first.read.pending), (4, 2, 2));
        assert_eq!(first.timestamp, Timestamp::from_second(5).unwrap());
        assert_eq!(merger.add(ended(0, 5)), None);
        assert_eq!(merger.add(open(0, 5)), None, "a final one is not replaced");
        let last = merger.add(ended(1, 5)).unwrap().window;
        assert!(last.is_final);
        assert_eq!((last.read.ok, last.read.failed, last.read.pending), (2, 2, 0));
        assert_eq!(last.read.average_latency, Some(20e-6));
        assert!((last.read.failure_percent - 50.0).abs() < 1e-9);
        assert_eq!(last.read.errors["missing"], 2);
        assert_eq!(merger.add(ended(1, 5)), None);
        assert!(merger.finish().is_empty());
    }

    #[test]
    fn a_complete_second_is_published_once() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 2);
        assert_eq!(merger.add(ended(1, 0)), None);
        assert!(merger.add(ended(0, 0)).unwrap().window.is_final);
    }

    #[test]
    fn where_nothing_ended_there_are_no_times() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 1);
        let read = worker_side(&[], &[], 3, 1);
        let window = merger.add(window(0, 0, false, read)).unwrap().window;
        let side = &window.read;
        assert_eq!((side.average_latency, side.p50, side.p95, side.p99), (None, None, None, None));
        assert!((side.failure_percent - 75.0).abs() < 1e-9);
        assert!(window.write.failure_percent.abs() < 1e-9, "nothing was offered");
    }

    #[test]
    fn the_end_publishes_what_only_some_have_delivered() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 2);
        merger.add(ended(0, 0));
        merger.add(ended(1, 0));
        merger.add(ended(1, 1));
        merger.add(open(0, 2));
        let rest = merger.finish();
        let facts = |stored: &StoredWindow| (stored.window.second, stored.window.is_final);
        assert_eq!(rest.iter().map(facts).collect::<Vec<_>>(), [(1, true), (2, false)]);
    }

    #[test]
    fn processor_time_is_added_over_processes_not_over_workers() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 3);
        merger.add(ended(0, 0));
        merger.add(ended(1, 0));
        let elsewhere = WorkerWindow { process: Uuid::nil(), cpu: 0.5, ..ended(2, 0) };
        let driver = merger.add(elsewhere).unwrap().window.driver;
        assert!((driver.cpu - 0.75).abs() < 1e-9, "{driver:?}");
        assert!((driver.lag_p99 - 0.002).abs() < 1e-5, "{driver:?}");
    }

    #[test]
    fn a_window_that_cannot_be_read_is_an_error() {
        let mut merger = WindowMerger::new(Timestamp::UNIX_EPOCH, 1);
        let stored = merger.add(ended(0, 0)).unwrap();
        assert_eq!(merge_windows(&[]).unwrap(), None);
        assert!(merge_windows(&[StoredWindow { read_times: vec![1], ..stored }]).is_err());
    }

    fn sides() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, u64, u64)> {
        let times = || proptest::collection::vec(0..6_000_000_u64, 0..20);
        (times(), times(), 0..50_u64, 0..50_u64)
    }

    proptest! {
        #[test]
        fn merged_windows_are_those_of_all_transactions(all in proptest::collection::vec(sides(), 1..6)) {
            // As the workers of one second, and as the seconds of one worker.
            let count = u8::try_from(all.len()).unwrap();
            let mut workers = WindowMerger::new(Timestamp::UNIX_EPOCH, count);
            let mut seconds = WindowMerger::new(Timestamp::UNIX_EPOCH, 1);
            let (mut by_worker, mut by_second) = (None, Vec::new());
            for (n, (ok, failed, unsent, pending)) in (0..count).zip(&all) {
                let read = worker_side(ok, failed, *unsent, *pending);
                by_worker = workers.add(window(n, 0, false, read.clone()));
                by_second.extend(seconds.add(window(0, n.into(), false, read)));
            }
            let by_second = merge_windows(&by_second).unwrap().unwrap();
            let by_worker = by_worker.unwrap();
            let ok: Vec<u64> = all.iter().flat_map(|side| side.0.clone()).collect();
            let failed: Vec<u64> = all.iter().flat_map(|side| side.1.clone()).collect();
            let unsent = all.iter().map(|side| side.2).sum();
            let pending = all.iter().map(|side| side.3).sum();
            let at_once = worker_side(&ok, &failed, unsent, pending);
            let expected = side(&at_once);
            prop_assert_eq!(expected.offered, expected.ok + expected.failed + expected.unsent + expected.pending);
            for merged in [&by_worker, &by_second] {
                let mean = |side: &Side| side.average_latency.unwrap_or(-1.0);
                prop_assert!((mean(&merged.window.read) - mean(&expected)).abs() < 1e-5);
                let same = Side { average_latency: expected.average_latency, ..merged.window.read.clone() };
                prop_assert_eq!(&same, &expected);
                prop_assert_eq!(&Times::from_bytes(&merged.read_times).unwrap(), &at_once.times);
            }
        }
    }
}
