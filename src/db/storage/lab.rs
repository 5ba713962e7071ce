//! The promises that the lab needs: databases of its own at the servers that it loads, and a store of its
//! own for what is registered, leased and measured.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StorageError;
use crate::lab::model::{
    DatabaseSize, DatabaseType, Generation, Job, JobId, LabId, Layout, LeaseId, Window,
};

/// The databases that one lab creates at one server, each a [`Generation`].
///
/// Only what this lab created and marked is ever changed or dropped. The mark holds the lab's id.
#[async_trait]
pub trait GenerationStore: Send + Sync {
    /// Connects and checks the rights to create and drop; creates nothing.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`], a sentence for the operator, where a right is missing.
    async fn check(&self) -> Result<ServerFacts, StorageError>;

    /// Creates the database of that generation, empty, and marks it. What an interrupted call left of the
    /// same generation is completed.
    async fn create(&self, generation: Generation) -> Result<CreateGeneration, StorageError>;

    /// Drops it with all its rows, whoever still uses it, and leaves no snapshot behind. One that is not there
    /// is [`DropGeneration::Dropped`].
    async fn remove(&self, generation: Generation) -> Result<DropGeneration, StorageError>;

    /// Every database here that has the mark of this lab, ascending.
    async fn list(&self) -> Result<Vec<Generation>, StorageError>;

    /// The URL of that generation, for [`crate::db::connect`], with a password if it needs one.
    fn url(&self, generation: Generation) -> String;
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Such as `PostgreSQL 18.6` or `Cassandra 5.0.6`.
    pub name: String,
    /// The same for every URL of the same server or cluster: databases of one identity are one lease.
    pub identity: String,
    /// Whether it runs on this machine.
    pub is_local: bool,
}

/// Outcome of [`GenerationStore::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateGeneration {
    /// It exists, is marked and has nothing in it.
    Created,
    /// Something of that name is there without this lab's mark; nothing changed.
    Unmarked,
}

/// Outcome of [`GenerationStore::remove`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropGeneration {
    /// It is not there any more.
    Dropped,
    /// Something of that name is there without this lab's mark; nothing changed.
    Unmarked,
}

/// What the lab itself stores: databases, leases, jobs and their windows. Several processes may share it.
///
/// Times are given by the caller's clock, because all callers are on one machine.
#[async_trait]
pub trait LabStore: Send + Sync {
    /// The id that the store was made with.
    async fn lab_id(&self) -> Result<LabId, StorageError>;

    /// Registers a database, in the state `resetting` until its first generation is prepared. The same
    /// `resource_id` replaces a registration that is not leased; a reset of that one is lost. A broken one
    /// that is registered in the same way is to be reset again.
    async fn register(
        &self,
        database: NewDatabase,
        now: Timestamp,
    ) -> Result<Register, StorageError>;

    /// Removes a registration that is not leased; `false`: it is leased or was not there. Its generations
    /// are dropped when the same `resource_id` or `connection_string` at its server is reset again.
    async fn unregister(&self, resource_id: &str, now: Timestamp) -> Result<bool, StorageError>;

    /// All of them, ascending by type, size and `resource_id`; an expired lease shows as `resetting`.
    async fn databases(&self, now: Timestamp) -> Result<Vec<RegisteredDatabase>, StorageError>;

    /// Leases one free database for each that is wanted, all or none, and no two of one server identity.
    /// A stand-in is leased only where no other is registered for that type and size, even if the others
    /// are broken: a measurement does not change to a stand-in by itself. Nothing is leased before its reset
    /// has ended, nor while another database of its server is leased or being reset.
    async fn lease(
        &self,
        wanted: &[(DatabaseType, DatabaseSize)],
        duration: Duration,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StorageError>;

    /// Makes a lease end `duration` from now; `None`: it is over. It is over once `now` is its end.
    async fn renew(
        &self,
        lease: LeaseId,
        duration: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError>;

    /// Ends a lease; its database is to be reset. `false`: it was over.
    async fn release(&self, lease: LeaseId, now: Timestamp) -> Result<bool, StorageError>;

    /// The leases that are not over.
    async fn leases(&self, now: Timestamp) -> Result<Vec<LeaseId>, StorageError>;

    /// Takes the next database to reset: expired, released or new, the one that has waited longest, but
    /// none whose server is leased. One at a time over all processes: the claim is `owner`'s for
    /// `claimed_for`, so that a reset whose process died is done again; an owner that claims again has given
    /// up what it claimed before. A number of a new generation is assigned with it, which no other
    /// generation of this lab has had.
    async fn claim_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Reset>, StorageError>;

    /// Makes a claim end `claimed_for` from now; `false`: it was lost, because it was over or its database
    /// was registered anew. Then the generation that it was to create is dropped by the next reset.
    async fn renew_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Ends a reset: the database is free with the new generation, and those of [`Reset::drop`] are not
    /// named again; or it is broken for that reason. `false`: the claim was lost, and the database is as it
    /// was.
    async fn finish_reset(
        &self,
        owner: Uuid,
        outcome: Result<(), String>,
    ) -> Result<bool, StorageError>;

    /// Stores new jobs, with an event of each. The jobs of all but the newest 300 runs that have ended are
    /// removed, with their windows and events; cached runs are kept.
    async fn add_jobs(&self, jobs: &[Job]) -> Result<(), StorageError>;

    /// Replaces a job's record, with an event, and a further one (`end`) if it has ended now. Nothing
    /// changes if it had ended before, or is not there. `cached_as` is changed by [`Self::keep`] alone.
    async fn update_job(&self, job: &Job) -> Result<(), StorageError>;

    /// A job.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StorageError>;

    /// The newest jobs, newest first.
    async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StorageError>;

    /// Stores a window in place of an earlier one of its second, with an event. Nothing changes if a final
    /// one is there, or the job has ended or is not there.
    async fn put_window(&self, job: JobId, window: &StoredWindow) -> Result<(), StorageError>;

    /// The windows of a job, ascending by second.
    async fn windows(&self, job: JobId) -> Result<Vec<StoredWindow>, StorageError>;

    /// Events of these jobs after that number, ascending, at most `limit`. They become visible in the order
    /// of their numbers: whoever continues after the last one misses none and gets none twice.
    async fn events(
        &self,
        jobs: &[JobId],
        after: u64,
        limit: u32,
    ) -> Result<Vec<JobEvent>, StorageError>;

    /// Returns once there are events of these jobs after that number, added by any process, at the latest
    /// after `timeout`.
    async fn wait_for_events(&self, jobs: &[JobId], after: u64, timeout: Duration);

    /// Keeps a job as the cached run of its key and patterns, in place of an earlier one; `None`: it is not
    /// there, not finished or not valid.
    async fn keep(&self, job: JobId) -> Result<Option<Job>, StorageError>;

    /// The cached runs: their jobs, ascending by key and patterns.
    async fn cached(&self) -> Result<Vec<Job>, StorageError>;
}

/// A database to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDatabase {
    /// Of the client's choice; unique.
    pub resource_id: String,
    /// Its type.
    pub database_type: DatabaseType,
    /// Its size.
    pub database_size: DatabaseSize,
    /// Holds a password.
    pub connection_string: String,
    /// The replica's host, or host and port.
    pub replica: Option<String>,
    /// How a stand-in is opened.
    pub layout: Layout,
    /// Whether it is an embedded database in place of a real one.
    pub stand_in: bool,
    /// Its name for people, such as `PostgreSQL 18.6`.
    pub name: String,
    /// Databases of one identity are one lease.
    pub identity: String,
    /// Whether it runs on the machine of the lab.
    pub is_local: bool,
}

/// Outcome of [`LabStore::register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Register {
    /// It is registered.
    Registered,
    /// It was registered before in the same way; nothing changed.
    Unchanged,
    /// Its `resource_id` is that of a database that is leased until then; nothing changed.
    Leased(Timestamp),
}

/// A registered database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDatabase {
    /// How it was registered.
    pub database: NewDatabase,
    /// What can be done with it.
    pub state: DatabaseState,
    /// The generation that is leased, or will be leased next.
    pub generation: Option<Generation>,
}

/// What can be done with a registered database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseState {
    /// It can be leased, unless another database of its server is leased.
    Free,
    /// It is leased.
    Leased(Lease),
    /// Its next generation is being prepared, or waits for that.
    Resetting,
    /// It cannot be used, for this reason; registering it again tries again.
    Broken(String),
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A database that was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDatabase {
    /// The lease.
    pub lease: Lease,
    /// The database.
    pub database: NewDatabase,
    /// Its generation.
    pub generation: Generation,
}

/// Outcome of [`LabStore::lease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// All that was wanted, in that order.
    Leased(Vec<LeasedDatabase>),
    /// None of this type and size is free, for this reason.
    Busy(DatabaseType, DatabaseSize, BusyReason),
    /// None of this type and size is registered.
    NotRegistered(DatabaseType, DatabaseSize),
}

/// Why no database of a type and size can be leased. The first that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusyReason {
    /// It is leased, or another database of its server is; the first of these leases ends then.
    Leased(Timestamp),
    /// It is being reset or waits for that, or another database of its server is being reset.
    Resetting,
    /// All of them are broken, one for this reason.
    Broken(String),
    /// All that are free are at the servers of others that are wanted at the same time: with what is
    /// registered this cannot be leased, ever.
    SameServer,
}

/// A reset to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Of this database.
    pub database: NewDatabase,
    /// Generations to drop.
    pub drop: Vec<Generation>,
    /// The generation to create.
    pub create: Generation,
}

/// A window with the histograms of its times, from which windows of several seconds or runs are merged.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWindow {
    /// As the wire has it.
    pub window: Window,
    /// HDR histogram of reads in microseconds, in the V2 format, deflated.
    pub read_times: Vec<u8>,
    /// The same of writes.
    pub write_times: Vec<u8>,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Grows over all jobs.
    pub number: u64,
    /// Whose it is.
    pub job: JobId,
    /// What happened.
    pub kind: JobEventKind,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEventKind {
    /// Its record changed.
    State(Box<Job>),
    /// A window was published.
    Window(Box<Window>),
    /// It has ended; no further event comes.
    End,
}
