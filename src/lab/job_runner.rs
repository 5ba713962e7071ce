//! One job from its lease to its last window.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::databases::Databases;
use super::driver::DriverOutcome;
use super::faults::Faults;
use super::model::{Job, JobState, Mode, Target, WorkerTask};
use super::patterns;
use super::servers::ServerControl;
use super::settings::LabSettings;
use super::starting_state;
use super::windows::WindowMerger;
use super::worker_window::WorkerWindow;
use super::workers::{ReadyWorker, Workers};
use crate::db::storage::{LabStore, LeasedDatabase, StoredWindow};

/// From the moment when every database is ready to second 0: the workers start their clocks in it.
const START_DELAY: Duration = Duration::from_millis(100);
/// Windows that wait to be stored.
const WINDOWS: usize = 64;

/// Drives one job.
pub(super) struct JobRunner<'a> {
    pub(super) store: &'a dyn LabStore,
    pub(super) databases: &'a Databases,
    pub(super) settings: &'a LabSettings,
    pub(super) servers: &'a Arc<dyn ServerControl>,
    pub(super) workers: &'a dyn Workers,
    /// Ends the load early.
    pub(super) stop: CancellationToken,
}

/// Lets the jobs of a run begin at one moment, or each at its own.
pub(super) struct StartLine {
    /// Dropped when this job is ready, or has failed.
    ready: mpsc::Sender<()>,
    go: Option<watch::Receiver<Option<Timestamp>>>,
}

impl StartLine {
    /// One for each job of a run, and the task that gives the start.
    pub(super) fn of(jobs: usize, mode: Mode) -> (impl Future<Output = ()> + Send, Vec<Self>) {
        let (ready, mut all_ready) = mpsc::channel::<()>(1);
        let (start, go) = watch::channel(None);
        let line =
            || Self { ready: ready.clone(), go: (mode == Mode::Together).then(|| go.clone()) };
        let lines = (0..jobs).map(|_| line()).collect();
        drop(ready);
        let give_start = async move {
            // Ends when the last sender is dropped, also by a job that failed before it was ready.
            all_ready.recv().await;
            start.send_replace(Some(Timestamp::now() + START_DELAY));
        };
        (give_start, lines)
    }

    /// When second 0 begins.
    async fn wait(self) -> Timestamp {
        let Self { ready, go } = self;
        drop(ready);
        let own = || Timestamp::now() + START_DELAY;
        let Some(mut go) = go else { return own() };
        match go.wait_for(Option::is_some).await {
            Ok(start) => start.unwrap_or_else(own),
            Err(_) => own(),
        }
    }
}

/// A job's place in its run: it begins when those before it have ended. It has ended when this is dropped.
pub(super) struct Turn {
    place: usize,
    ended: Arc<watch::Sender<Vec<bool>>>,
}

impl Turn {
    /// One for each job of a run; of jobs that run together each is the first.
    pub(super) fn of(jobs: usize, mode: Mode) -> Vec<Self> {
        let ended = Arc::new(watch::Sender::new(vec![mode == Mode::Together; jobs]));
        (0..jobs).map(|place| Self { place, ended: Arc::clone(&ended) }).collect()
    }

    /// Returns once the jobs before have ended.
    pub(super) async fn wait(&self) {
        let before = |ended: &Vec<bool>| ended.iter().take(self.place).all(|ended| *ended);
        // An error would mean that there is no sender: this value has one.
        let _ = self.ended.subscribe().wait_for(before).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ended.send_modify(|ended| ended[self.place] = true);
    }
}

impl JobRunner<'_> {
    /// Runs a job; returns once all of its windows are final and stored.
    ///
    /// # Errors
    /// A sentence that says why it failed.
    pub(super) async fn run(
        &self,
        job: &mut Job,
        leased: &LeasedDatabase,
        line: StartLine,
    ) -> Result<(), String> {
        let ready = async {
            let ready = self.prepare(job, leased).await?;
            Ok::<_, String>((ready, line.wait().await))
        };
        let ((workers, faults), start_at) = tokio::select! {
            ready = ready => ready?,
            () = self.stop.cancelled() => return Ok(()),
        };
        (job.state, job.started_at) = (JobState::Running, Some(start_at));
        self.store.update_job(job).await.map_err(|error| error.with_causes())?;
        let faults = faults.start(self.servers, start_at);
        let outcome = self.load(job, workers, start_at).await;
        // Before the lease is given up: its database is reset on a server that runs.
        faults.end().await;
        outcome
    }

    /// Gets the database and the workers ready.
    async fn prepare(
        &self,
        job: &Job,
        leased: &LeasedDatabase,
    ) -> Result<(Vec<Box<dyn ReadyWorker>>, Faults), String> {
        if self.servers.controls(&leased.database) {
            self.servers.set_size(job.database_type, job.database_size).await?;
        }
        let target = self.databases.target(&leased.database, leased.generation);
        let mut target = target.map_err(|error| error.with_causes())?;
        self.add_orders(job, &target).await?;
        let faults = Faults::prepare(&job.faults, &mut target).await?;
        let tasks = (0..job.intensity.get()).map(|worker| self.task(job, worker, target.clone()));
        let workers = self.workers.prepare(tasks.collect()).await;
        let workers = workers.map_err(|why| format!("The database could not be opened: {why}"))?;
        Ok((workers, faults))
    }

    /// Adds unpaid orders where the run checks more of them out than there are at the start of a lease.
    async fn add_orders(&self, job: &Job, target: &Target) -> Result<(), String> {
        let needed = patterns::orders_needed(&self.task(job, 0, target.clone()));
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let there = self.settings.rows.orders;
        if needed <= there {
            return Ok(());
        }
        let added = starting_state::add_orders(target, &self.settings.rows, there + 1..needed + 1);
        added.await.map_err(|error| error.with_causes())
    }

    async fn load(
        &self,
        job: &mut Job,
        workers: Vec<Box<dyn ReadyWorker>>,
        start_at: Timestamp,
    ) -> Result<(), String> {
        let (sender, mut received) = mpsc::channel::<WorkerWindow>(WINDOWS);
        let mut merger = WindowMerger::new(start_at, job.intensity.get());
        let mut running = JoinSet::new();
        for worker in workers {
            running.spawn(worker.run(start_at, sender.clone(), self.stop.clone()));
        }
        drop(sender);
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                window = received.recv() => {
                    let Some(window) = window else { break };
                    if let Some(merged) = merger.add(window) {
                        self.put(job, &merged).await?;
                    }
                }
                Some(ended) = running.join_next() => {
                    if let Err(why) = ended_well(job, ended) && outcome.is_ok() {
                        // Without this worker the load is not what was asked for: the others end too.
                        outcome = Err(why);
                        running.abort_all();
                    }
                }
            }
        }
        while let Some(ended) = running.join_next().await {
            // Not that of a worker that was ended because of another.
            if let Err(why) = ended_well(job, ended)
                && outcome.is_ok()
            {
                outcome = Err(why);
            }
        }
        // Of a run that was stopped, or lost a worker: its workers end in different seconds.
        for merged in merger.finish() {
            self.put(job, &merged).await?;
        }
        outcome
    }

    async fn put(&self, job: &Job, window: &StoredWindow) -> Result<(), String> {
        self.store.put_window(job.id, window).await.map_err(|error| error.with_causes())
    }

    fn task(&self, job: &Job, worker: u8, target: Target) -> WorkerTask {
        WorkerTask {
            job: job.id,
            worker,
            workers: job.intensity.get(),
            target: Some(target),
            rows: self.settings.rows,
            read_pattern: job.read_pattern,
            write_pattern: job.write_pattern,
            seconds: job.seconds,
            rate_scale: job.rate_scale,
            keys: self.settings.keys,
            seed: job.seed,
            // Told when every worker is ready.
            start_at: Timestamp::now(),
            max_in_flight: self.settings.max_in_flight,
        }
    }
}

/// Notes whether the numbers of a worker that has ended may be used.
fn ended_well(
    job: &mut Job,
    ended: Result<Result<DriverOutcome, String>, JoinError>,
) -> Result<(), String> {
    let ended = ended.map_err(|error| format!("A worker ended early: {error}."))?;
    if let Some(why) = ended?.invalid {
        (job.valid, job.why) = (false, Some(why));
    }
    Ok(())
}
