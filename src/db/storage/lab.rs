//! The promises that the lab needs: databases of its own at the servers that it loads, and a store of its
//! own for what is registered, leased and measured.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
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
    /// `resource_id` replaces a registration that is not leased.
    async fn register(&self, database: NewDatabase) -> Result<Register, StorageError>;

    /// Removes a registration that is not leased; `false`: it is leased or was not there.
    async fn unregister(&self, resource_id: &str) -> Result<bool, StorageError>;

    /// All of them, ascending by type, size and `resource_id`; an expired lease shows as `resetting`.
    async fn databases(&self, now: Timestamp) -> Result<Vec<RegisteredDatabase>, StorageError>;

    /// Leases one free database for each that is wanted, all or none, and no two of one server identity.
    /// A database that is no stand-in is preferred; a stand-in is leased only where no other is registered
    /// for that type and size. Nothing is leased before its reset has ended.
    async fn lease(
        &self,
        wanted: &[(DatabaseType, DatabaseSize)],
        duration: Duration,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StorageError>;

    /// Makes a lease end `duration` from now; `None`: it is over.
    async fn renew(
        &self,
        lease: LeaseId,
        duration: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError>;

    /// Ends a lease; its database is to be reset. `false`: it was over.
    async fn release(&self, lease: LeaseId, now: Timestamp) -> Result<bool, StorageError>;

    /// Takes the next database to reset: expired, released or new. One at a time over all processes: the
    /// claim is `owner`'s until `claimed_until`, so that a reset whose process died is done again. A
    /// number of a new generation is assigned with it.
    async fn claim_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Reset>, StorageError>;

    /// Lengthens a claim; `false`: it was lost.
    async fn renew_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Ends a reset: the database is free with the new generation, or broken for that reason. `false`: the
    /// claim was lost, and nothing changed.
    async fn finish_reset(
        &self,
        owner: Uuid,
        outcome: Result<(), String>,
    ) -> Result<bool, StorageError>;

    /// Stores new jobs, with an event of each.
    async fn add_jobs(&self, jobs: &[Job]) -> Result<(), StorageError>;

    /// Replaces a job's record, with an event, and a further one (`end`) if it has ended now. Nothing
    /// changes once it has ended, except `cached_as`.
    async fn update_job(&self, job: &Job) -> Result<(), StorageError>;

    /// A job.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StorageError>;

    /// The newest jobs, newest first.
    async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StorageError>;

    /// Stores a window in place of an earlier one of its second, with an event; a window that is not
    /// final never replaces a final one.
    async fn put_window(&self, job: JobId, window: &StoredWindow) -> Result<(), StorageError>;

    /// The windows of a job, ascending by second.
    async fn windows(&self, job: JobId) -> Result<Vec<StoredWindow>, StorageError>;

    /// Events of these jobs after that number, ascending, at most `limit`.
    async fn events(
        &self,
        jobs: &[JobId],
        after: u64,
        limit: u32,
    ) -> Result<Vec<JobEvent>, StorageError>;

    /// Returns once an event may have been added in any process since the last call, at the latest after
    /// `timeout`.
    async fn wait_for_events(&self, timeout: Duration);

    /// Keeps a finished job as the cached run of its key and patterns, in place of an earlier one.
    async fn keep(&self, job: JobId) -> Result<Option<Job>, StorageError>;

    /// The cached runs: their jobs.
    async fn cached(&self) -> Result<Vec<Job>, StorageError>;
}

/// A database to register.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// None of this type and size is free; when the first lease that is in the way ends, if it is a lease.
    Busy(DatabaseType, DatabaseSize, Option<Timestamp>),
    /// None of this type and size is registered.
    NotRegistered(DatabaseType, DatabaseSize),
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
