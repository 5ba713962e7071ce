//! The lab's own store: one file, which several processes may share.
//!
//! In this module: [`LabStore`] over the registered databases ([`registry`]), the choice of those that
//! are leased ([`selection`]), leases ([`leases`]), resets and the numbers of generations ([`resets`]), jobs
//! ([`jobs`]), their windows ([`windows`]) and events ([`events`]). How values are stored is in [`codec`].
//! Not here: what is done at the databases that are leased, which is below
//! [`crate::db::storage::GenerationStore`].

mod codec;
mod events;
mod jobs;
mod leases;
mod registry;
mod resets;
mod selection;
#[cfg(test)]
mod tests;
mod windows;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::file::{self, FileKind, FileMetrics, OpenFile};
use super::migrate::Schema;
use super::reader::Readers;
use super::writer::Writer;
use super::{blocking, connection};
use crate::db::MigrationPolicy;
use crate::db::storage::{
    ActContext, JobEvent, LabStore, LeaseOutcome, NewDatabase, Register, RegisteredDatabase, Reset,
    StorageError, StoredWindow,
};
use crate::lab::model::{DatabaseSize, DatabaseType, Job, JobId, LabId, LeaseId};
use crate::telemetry::Registry;

/// The lab's file.
const FILE: FileKind = FileKind {
    schema: &Schema {
        steps: &[include_str!("../../../../schema/embedded-lab/0001_lab.sql")],
        // "stol" in ASCII.
        application_id: 0x7374_6f6c,
        option: "--lab-data",
    },
    tuned: connection::tuned,
};
/// How often events of other processes are looked for.
const POLL: Duration = Duration::from_millis(100);
/// How long a write waits for the lock, which another process may hold while it is stopped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

const MAKE_ID: &str = "INSERT INTO lab (only, lab_id) VALUES (1, ?1) ON CONFLICT DO NOTHING";
const READ_ID: &str = "SELECT lab_id FROM lab";

struct EmbeddedLab {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    id: LabId,
    /// Wakes those who wait for events of this process.
    added: Notify,
    write_timeout: Duration,
}

/// Opens the lab's file, and makes it if it is not there.
///
/// # Errors
/// One sentence for the operator.
pub(in crate::db) async fn open(
    path: PathBuf,
    registry: &Registry,
) -> Result<Arc<dyn LabStore>, StorageError> {
    Ok(Arc::new(EmbeddedLab::open(path, registry, WRITE_TIMEOUT).await?))
}

impl EmbeddedLab {
    async fn open(
        path: PathBuf,
        registry: &Registry,
        write_timeout: Duration,
    ) -> Result<Self, StorageError> {
        let metrics = FileMetrics::register(&registry.with_prefix("lab_"));
        let open = move || file::open(&path, &FILE, MigrationPolicy::Migrate, metrics);
        let OpenFile { writer, readers, .. } = blocking(open).await?;
        let (id, added) = (LabId::new(), Notify::new());
        let mut lab = Self { writer, readers, id, added, write_timeout };
        lab.id = lab.write(move |c| made_id(c, id)).await?;
        Ok(lab)
    }

    /// Runs statements in a transaction that has the write lock from its start.
    async fn write<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let context = ActContext::new().with_timeout(self.write_timeout);
        self.writer.submit_unkeyed(context, statements).await
    }

    /// The same for statements that may add events.
    async fn write_events<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let outcome = self.write(statements).await;
        self.added.notify_waiters();
        outcome
    }
}

/// The id of the lab, which the first process to open the file chooses.
fn made_id(c: &Connection, new: LabId) -> rusqlite::Result<LabId> {
    c.execute(MAKE_ID, [new.0.into_bytes()])?;
    c.query_row(READ_ID, (), |row| codec::uuid(row, 0).map(LabId))
}

/// The end of a duration, cut to what is stored.
fn end(now: Timestamp, duration: Duration) -> Timestamp {
    Timestamp::from_microsecond(codec::end(now, duration)).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl LabStore for EmbeddedLab {
    async fn lab_id(&self) -> Result<LabId, StorageError> {
        Ok(self.id)
    }

    async fn register(
        &self,
        database: NewDatabase,
        now: Timestamp,
    ) -> Result<Register, StorageError> {
        self.write(move |c| registry::register(c, &database, now)).await
    }

    async fn unregister(&self, resource_id: &str, now: Timestamp) -> Result<bool, StorageError> {
        let resource_id = resource_id.to_owned();
        self.write(move |c| registry::unregister(c, &resource_id, now)).await
    }

    async fn databases(&self, now: Timestamp) -> Result<Vec<RegisteredDatabase>, StorageError> {
        let entries = self.readers.with(|c| registry::all(c, now))?;
        Ok(entries.into_iter().map(|entry| entry.registered).collect())
    }

    async fn lease(
        &self,
        wanted: &[(DatabaseType, DatabaseSize)],
        duration: Duration,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StorageError> {
        let (wanted, expires_at) = (wanted.to_owned(), end(now, duration));
        self.write(move |c| leases::lease(c, &wanted, expires_at, now)).await
    }

    async fn renew(
        &self,
        lease: LeaseId,
        duration: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        self.write(move |c| leases::renew(c, lease, end(now, duration), now)).await
    }

    async fn release(&self, lease: LeaseId, now: Timestamp) -> Result<bool, StorageError> {
        self.write(move |c| leases::release(c, lease, now)).await
    }

    async fn leases(&self, now: Timestamp) -> Result<Vec<LeaseId>, StorageError> {
        self.readers.with(|c| leases::current(c, now))
    }

    async fn claim_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Reset>, StorageError> {
        self.write(move |c| resets::claim(c, owner, codec::end(now, claimed_for), now)).await
    }

    async fn renew_reset(
        &self,
        owner: Uuid,
        claimed_for: Duration,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |c| resets::renew(c, owner, codec::end(now, claimed_for), now)).await
    }

    async fn finish_reset(
        &self,
        owner: Uuid,
        outcome: Result<(), String>,
    ) -> Result<bool, StorageError> {
        self.write(move |c| resets::finish(c, owner, &outcome)).await
    }

    async fn add_jobs(&self, jobs: &[Job]) -> Result<(), StorageError> {
        let jobs = jobs.to_owned();
        self.write_events(move |c| jobs::add(c, &jobs)).await
    }

    async fn update_job(&self, job: &Job) -> Result<(), StorageError> {
        let job = job.clone();
        self.write_events(move |c| jobs::update(c, &job)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StorageError> {
        self.readers.with(|c| jobs::find(c, id))
    }

    async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StorageError> {
        self.readers.with(|c| jobs::newest(c, limit))
    }

    async fn put_window(&self, job: JobId, window: &StoredWindow) -> Result<(), StorageError> {
        let window = window.clone();
        self.write_events(move |c| windows::put(c, job, &window)).await.map(drop)
    }

    async fn windows(&self, job: JobId) -> Result<Vec<StoredWindow>, StorageError> {
        self.readers.with(|c| windows::of_job(c, job))
    }

    async fn events(
        &self,
        jobs: &[JobId],
        after: u64,
        limit: u32,
    ) -> Result<Vec<JobEvent>, StorageError> {
        self.readers.with(|c| events::after(c, jobs, after, limit))
    }

    /// Events of this process wake it; those of others are seen within [`POLL`].
    async fn wait_for_events(&self, jobs: &[JobId], after: u64, timeout: Duration) {
        let until = Instant::now() + timeout;
        loop {
            let mut added = pin!(self.added.notified());
            // Before the look, so that an event that is added after it is not missed.
            added.as_mut().enable();
            let is_there = self.readers.with(|c| events::any_after(c, jobs, after));
            let now = Instant::now();
            // An error is told to the caller by the read that follows.
            if is_there.unwrap_or(true) || now >= until {
                return;
            }
            tokio::select! {
                () = added => {}
                () = sleep_until(until.min(now + POLL)) => {}
            }
        }
    }

    async fn keep(&self, job: JobId) -> Result<Option<Job>, StorageError> {
        self.write(move |c| jobs::keep(c, job)).await
    }

    async fn cached(&self) -> Result<Vec<Job>, StorageError> {
        self.readers.with(jobs::cached)
    }
}
