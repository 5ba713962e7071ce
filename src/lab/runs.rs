//! Starting runs: leasing their databases, and driving their jobs to an end.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::databases::Databases;
use super::job_runner::{JobRunner, StartLine, Turn};
use super::model::{
    DatabaseLabel, DatabaseSize, DatabaseType, Fault, Intensity, Job, JobId, JobState, Mode,
    Pattern, RunId,
};
use super::servers::ServerControl;
use super::settings::LabSettings;
use super::workers::Workers;
use crate::db::storage::{
    BusyReason, ErrorKind, LabStore, LeaseOutcome, LeasedDatabase, StorageError,
};

/// How long a lease of a run lasts without renewal: databases of a lab that was killed come back after it.
const LEASE: Duration = Duration::from_secs(30);
const RENEW_LEASE: Duration = Duration::from_secs(10);
/// How long a run waits for databases that are being reset.
const RESET_TIMEOUT: Duration = Duration::from_secs(15);
const RESET_POLL: Duration = Duration::from_millis(100);
/// How often jobs of labs that have died are looked for.
const ORPHANS_POLL: Duration = Duration::from_secs(5);
/// The jobs that are looked at for that.
const RECENT_JOBS: u32 = 300;

/// A run to start; its values are checked.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// What to load, in the order of the answer.
    pub databases: Vec<(DatabaseType, DatabaseSize)>,
    /// Workers at each.
    pub intensity: Intensity,
    /// Of reads.
    pub read_pattern: Pattern,
    /// Of writes.
    pub write_pattern: Pattern,
    /// Length; `None`: that of the lab's settings.
    pub seconds: Option<u16>,
    /// How the jobs follow each other.
    pub mode: Mode,
    /// Faults, each at the database that its target names.
    pub faults: Vec<Fault>,
}

/// Why a run was not started. Nothing is leased.
#[derive(Debug)]
pub enum NotStarted {
    /// No database of that type and size is free, for that reason.
    Busy(DatabaseType, DatabaseSize, BusyReason),
    /// None is registered.
    NotRegistered(DatabaseType, DatabaseSize),
    /// A fault has a target that this lab does not control.
    Fault(String),
    /// The lab's store failed.
    Storage(StorageError),
}

impl From<StorageError> for NotStarted {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Starts and stops runs.
pub struct Runs {
    store: Arc<dyn LabStore>,
    databases: Arc<Databases>,
    settings: LabSettings,
    servers: Arc<dyn ServerControl>,
    workers: Arc<dyn Workers>,
    /// The jobs of this process that have not ended.
    stops: Mutex<HashMap<JobId, CancellationToken>>,
    /// Ends with the lab.
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Runs {
    /// Over the lab's store.
    #[must_use]
    pub fn new(
        store: Arc<dyn LabStore>,
        databases: Arc<Databases>,
        settings: LabSettings,
        servers: Arc<dyn ServerControl>,
        workers: Arc<dyn Workers>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (stops, tasks) = (Mutex::default(), TaskTracker::new());
        Arc::new(Self { store, databases, settings, servers, workers, stops, stop, tasks })
    }

    /// Leases the databases and starts their jobs; returns the jobs in the order of the databases. Goes on if
    /// the future is dropped: a client that disconnects in between must not leave leases without jobs.
    ///
    /// # Errors
    /// Why nothing was started.
    pub async fn start(self: &Arc<Self>, run: NewRun) -> Result<Vec<JobId>, NotStarted> {
        let runs = Arc::clone(self);
        let started = tokio::spawn(async move { runs.lease_and_start(&run).await }).await;
        started.map_err(|error| {
            let text = "the task that starts a run panicked";
            StorageError::with_source(ErrorKind::Internal, text, error)
        })?
    }

    async fn lease_and_start(self: &Arc<Self>, run: &NewRun) -> Result<Vec<JobId>, NotStarted> {
        for fault in &run.faults {
            self.servers.check(fault).map_err(NotStarted::Fault)?;
        }
        if self.stop.is_cancelled() {
            return Err(StorageError::new(ErrorKind::Unavailable, "the lab is ending").into());
        }
        let leased = self.lease(&run.databases).await?;
        if self.stop.is_cancelled() {
            self.release_all(&leased).await;
            return Err(StorageError::new(ErrorKind::Unavailable, "the lab is ending").into());
        }
        let is_elsewhere = |leased: &&LeasedDatabase| {
            let faults = Self::faults_of(run, leased.database.database_type);
            !faults.is_empty() && !self.servers.controls(&leased.database)
        };
        if let Some(other) = leased.iter().find(is_elsewhere) {
            let why = format!(
                "`{}`, which was to be loaded, is not at a server that scripts/servers started: no fault can \
                 hit it.",
                other.database.resource_id
            );
            self.release_all(&leased).await;
            return Err(NotStarted::Fault(why));
        }
        let run_id = RunId::new();
        let jobs: Vec<Job> = leased.iter().map(|leased| self.job(run, run_id, leased)).collect();
        if let Err(error) = self.store.add_jobs(&jobs).await {
            self.release_all(&leased).await;
            return Err(error.into());
        }
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        for id in &ids {
            self.stops().insert(*id, self.stop.child_token());
        }
        let (runs, mode) = (Arc::clone(self), run.mode);
        // The tracker lets the lab wait for the jobs at its own end.
        self.tasks.spawn(async move { runs.drive(mode, jobs, leased).await });
        Ok(ids)
    }

    /// Ends a job early; `false`: it is not one of this process, or has ended.
    #[must_use]
    pub fn stop_job(&self, id: JobId) -> bool {
        self.stops().get(&id).map(CancellationToken::cancel).is_some()
    }

    /// Waits until every job of this process has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Marks the jobs of labs that have died as failed, until told to stop: their leases are over.
    pub async fn watch_orphans(&self, stop: &CancellationToken) {
        let mut suspects = HashSet::new();
        while !stop.is_cancelled() {
            match self.end_orphans(&suspects).await {
                Ok(found) => suspects = found,
                Err(error) => tracing::warn!(
                    error = error.with_causes(),
                    "cannot look for jobs whose lab has died"
                ),
            }
            let _ = tokio::time::timeout(ORPHANS_POLL, stop.cancelled()).await;
        }
    }

    /// Ends the suspects that still are; returns all. Only what was one at the look before too: another lab
    /// releases the lease of a job just before it stores its end.
    async fn end_orphans(&self, suspects: &HashSet<JobId>) -> Result<HashSet<JobId>, StorageError> {
        let mut found = HashSet::new();
        // The jobs first: a job that is added in between has its lease already.
        let jobs = self.store.jobs(RECENT_JOBS).await?;
        let leases = self.store.leases(Timestamp::now()).await?;
        for mut job in jobs {
            if job.state.has_ended()
                || leases.contains(&job.lease_id)
                || self.stops().contains_key(&job.id)
            {
                continue;
            }
            found.insert(job.id);
            if !suspects.contains(&job.id) {
                continue;
            }
            job.state = JobState::Failed;
            job.valid = false;
            job.why = Some("The lab that drove it has ended without stopping it.".to_owned());
            job.finished_at = Some(Timestamp::now());
            self.store.update_job(&job).await?;
        }
        Ok(found)
    }

    /// The faults that hit this type of database.
    fn faults_of(run: &NewRun, database_type: DatabaseType) -> Vec<Fault> {
        let name = database_type.name();
        let hits = |fault: &&Fault| {
            let rest = fault.target.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        run.faults.iter().filter(hits).cloned().collect()
    }

    /// Waits a while for databases that are being reset.
    async fn lease(
        &self,
        wanted: &[(DatabaseType, DatabaseSize)],
    ) -> Result<Vec<LeasedDatabase>, NotStarted> {
        let until = tokio::time::Instant::now() + RESET_TIMEOUT;
        loop {
            match self.store.lease(wanted, LEASE, Timestamp::now()).await? {
                LeaseOutcome::Leased(leased) => return Ok(leased),
                LeaseOutcome::NotRegistered(database_type, size) => {
                    return Err(NotStarted::NotRegistered(database_type, size));
                }
                LeaseOutcome::Busy(_, _, BusyReason::Resetting)
                    if tokio::time::Instant::now() < until && !self.stop.is_cancelled() =>
                {
                    self.databases.wait_for_reset(RESET_POLL).await;
                }
                LeaseOutcome::Busy(database_type, size, why) => {
                    return Err(NotStarted::Busy(database_type, size, why));
                }
            }
        }
    }

    async fn release_all(&self, leased: &[LeasedDatabase]) {
        for database in leased {
            if let Err(error) = self.store.release(database.lease.id, Timestamp::now()).await {
                tracing::warn!(
                    error = error.with_causes(),
                    "a lease could not be released, it expires"
                );
            }
        }
        self.databases.lease_ended();
    }

    fn job(&self, run: &NewRun, run_id: RunId, leased: &LeasedDatabase) -> Job {
        let database = &leased.database;
        let label = DatabaseLabel {
            name: database.name.clone(),
            stand_in: database.stand_in,
            shared_machine: database.is_local,
        };
        Job {
            id: JobId::new(),
            run_id,
            lease_id: leased.lease.id,
            target: database.database_type.name().to_owned(),
            database_type: database.database_type,
            database_size: database.database_size,
            intensity: run.intensity,
            read_pattern: run.read_pattern,
            write_pattern: run.write_pattern,
            seconds: run.seconds.unwrap_or(self.settings.seconds),
            mode: run.mode,
            state: JobState::Waiting,
            valid: true,
            why: None,
            database: label,
            faults: Self::faults_of(run, database.database_type),
            keys: self.settings.keys.to_string(),
            rate_scale: self.settings.rate_scale,
            seed: rand::random::<u32>().into(),
            created_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            cached_as: None,
        }
    }

    /// Drives the jobs of one run to their ends, and releases their leases.
    async fn drive(self: Arc<Self>, mode: Mode, jobs: Vec<Job>, leased: Vec<LeasedDatabase>) {
        let (start, lines) = StartLine::of(jobs.len(), mode);
        let mut tasks = JoinSet::new();
        tasks.spawn(start);
        let turns = Turn::of(jobs.len(), mode);
        for (((job, leased), line), turn) in jobs.into_iter().zip(leased).zip(lines).zip(turns) {
            let runs = Arc::clone(&self);
            tasks.spawn(async move { runs.drive_one(job, leased, line, turn).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn drive_one(&self, mut job: Job, leased: LeasedDatabase, line: StartLine, turn: Turn) {
        let (id, stop) = (job.id, self.stop_of(job.id));
        let _driven = Driven { runs: self, id };
        let runner = JobRunner {
            store: self.store.as_ref(),
            databases: &self.databases,
            settings: &self.settings,
            servers: &self.servers,
            workers: self.workers.as_ref(),
            stop: stop.clone(),
        };
        let run = async {
            tokio::select! {
                () = turn.wait() => {}
                () = stop.cancelled() => {}
            }
            let outcome = if stop.is_cancelled() {
                Ok(())
            } else {
                runner.run(&mut job, &leased, line).await
            };
            (outcome, Timestamp::now())
        };
        let (outcome, finished_at) = tokio::select! {
            ended = run => ended,
            why = self.keep_lease(&leased) => (Err(why), Timestamp::now()),
        };
        drop(turn);
        job.finished_at = Some(finished_at);
        job.state = match outcome {
            Ok(()) if stop.is_cancelled() => JobState::Stopped,
            Ok(()) => JobState::Finished,
            Err(why) => {
                (job.valid, job.why) = (false, Some(why));
                JobState::Failed
            }
        };
        // Before the end is published, so that a run that is started at once waits for the reset.
        self.release_all(std::slice::from_ref(&leased)).await;
        if let Err(error) = self.store.update_job(&job).await {
            tracing::error!(job = %id, error = error.with_causes(), "the end of a job could not be stored");
        }
    }

    /// Renews a lease until it is lost; returns why.
    async fn keep_lease(&self, leased: &LeasedDatabase) -> String {
        loop {
            tokio::time::sleep(RENEW_LEASE).await;
            match self.store.renew(leased.lease.id, LEASE, Timestamp::now()).await {
                Ok(Some(_)) => {}
                Ok(None) => return "The lease of its database was ended.".to_owned(),
                Err(error) => {
                    tracing::warn!(
                        error = error.with_causes(),
                        "cannot renew a lease, trying again"
                    );
                }
            }
        }
    }

    fn stop_of(&self, id: JobId) -> CancellationToken {
        self.stops().get(&id).cloned().unwrap_or_default()
    }

    fn stops(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that this process drives. If its task panics it is an orphan like one of a lab that has died.
struct Driven<'a> {
    runs: &'a Runs,
    id: JobId,
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.runs.stops().remove(&self.id);
    }
}
