//! One run: a load of one database, from its orders to its numbers.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::Prepared;
use super::summary::Measured;
use crate::db::storage::StoredWindow;
use crate::lab::driver::DriverOutcome;
use crate::lab::model::{
    Intensity, JobId, KeyDistribution, Pattern, StartingState, Target, WorkerTask,
};
use crate::lab::patterns;
use crate::lab::starting_state;
use crate::lab::windows::WindowMerger;
use crate::lab::workers::in_process::InProcess;
use crate::lab::workers::{ReadyWorker, Workers};

/// The workers start their clocks in it.
const START_DELAY: Duration = Duration::from_millis(100);
/// Windows that wait to be merged.
const WINDOWS: usize = 64;

/// What all runs of a bench have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchSettings {
    /// What every database holds at the start.
    pub rows: StartingState,
    /// Length of a run.
    pub seconds: u16,
    /// Which keys transactions draw.
    pub keys: KeyDistribution,
    /// Of the random numbers.
    pub seed: u64,
    /// Transactions of one worker that may be under way at once.
    pub max_in_flight: u32,
}

/// What a run offers to a database.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Of reads.
    pub read_pattern: Pattern,
    /// Of writes.
    pub write_pattern: Pattern,
    /// The number of workers.
    pub intensity: Intensity,
    /// Factor of the patterns' rates.
    pub rate_scale: f64,
}

/// A run, and what was measured in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the database.
    pub database: String,
    /// What it was offered.
    #[serde(flatten)]
    pub load: Load,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
}

/// What a bench tells of itself while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A run of that database begins, of so many seconds.
    Begins(&'a str, Load, u16),
    /// A second of it is measured.
    Second,
    /// It has ended.
    Ended(&'a Row),
}

/// Runs loads one after the other.
pub struct Bench<'a> {
    /// Of all runs.
    pub settings: &'a BenchSettings,
    /// Ends the present run early, and lets no other begin.
    pub stop: CancellationToken,
    /// Is told of each run.
    pub observer: &'a (dyn Fn(Event<'_>) + Send + Sync),
}

impl Bench<'_> {
    /// Whether no further run may begin.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Loads a database. What goes wrong makes the row invalid: the other runs are of use without it.
    pub async fn run(&self, database: &Prepared, load: Load) -> Row {
        (self.observer)(Event::Begins(&database.name, load, self.settings.seconds));
        let measured = self.measure(database, load).await.unwrap_or_else(Measured::failed);
        let row = Row { database: database.name.clone(), load, measured };
        (self.observer)(Event::Ended(&row));
        row
    }

    async fn measure(&self, database: &Prepared, load: Load) -> Result<Measured, String> {
        let task = |worker| self.task(database, load, worker);
        if let Some(target) = &database.target {
            self.restore_orders(target, &task(0)).await?;
        }
        let workers = InProcess.prepare((0..load.intensity.get()).map(task).collect()).await;
        let workers = workers.map_err(|why| format!("The database could not be opened: {why}"))?;
        let start_at = Timestamp::now() + START_DELAY;
        let (windows, outcomes) = self.drive(workers, start_at).await?;
        let invalid = outcomes.into_iter().find_map(|outcome| outcome.invalid);
        let measured = Measured::of(windows, invalid).map_err(|error| error.to_string())?;
        Ok(measured.shortened(self.is_stopped()))
    }

    /// Makes the orders that the run checks out unpaid again: a checkout of a paid one changes nothing, and
    /// would be faster than those of the first run.
    async fn restore_orders(&self, target: &Target, task: &WorkerTask) -> Result<(), String> {
        let needed = u32::try_from(patterns::orders_needed(task)).unwrap_or(u32::MAX - 1);
        let restored = starting_state::add_orders(target, &self.settings.rows, 1..needed + 1);
        restored
            .await
            .map_err(|error| format!("Its orders could not be restored: {}", error.with_causes()))
    }

    async fn drive(
        &self,
        workers: Vec<Box<dyn ReadyWorker>>,
        start_at: Timestamp,
    ) -> Result<(Vec<StoredWindow>, Vec<DriverOutcome>), String> {
        let (sender, mut received) = mpsc::channel(WINDOWS);
        let count = u8::try_from(workers.len()).unwrap_or(u8::MAX);
        let mut merger = WindowMerger::new(start_at, count);
        let mut running = JoinSet::new();
        for worker in workers {
            running.spawn(worker.run(start_at, sender.clone(), self.stop.clone()));
        }
        drop(sender);
        let mut windows = Vec::new();
        while let Some(window) = received.recv().await {
            let Some(merged) = merger.add(window) else { continue };
            // A second is told when it is complete, and not twice.
            if merged.window.is_final {
                (self.observer)(Event::Second);
                windows.push(merged);
            }
        }
        // Of a run that was stopped: the workers end in different seconds.
        windows.extend(merger.finish());
        let mut outcomes = Vec::new();
        while let Some(ended) = running.join_next().await {
            outcomes.push(ended.map_err(|error| format!("A worker ended early: {error}."))??);
        }
        windows.sort_by_key(|stored| stored.window.second);
        Ok((windows, outcomes))
    }

    fn task(&self, database: &Prepared, load: Load, worker: u8) -> WorkerTask {
        let BenchSettings { rows, seconds, keys, seed, max_in_flight } = self.settings.clone();
        WorkerTask {
            job: JobId::new(),
            worker,
            workers: load.intensity.get(),
            target: database.target.clone(),
            rows,
            read_pattern: load.read_pattern,
            write_pattern: load.write_pattern,
            seconds,
            rate_scale: load.rate_scale,
            keys,
            seed,
            // Told when every worker is ready.
            start_at: Timestamp::now(),
            max_in_flight,
        }
    }
}
