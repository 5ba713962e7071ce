//! The registered databases: registering them, and preparing their next generation in the background.
//!
//! A lease hands out a generation that was filled before, and at its end that generation is dropped: so
//! nothing that a late holder still sends can reach the next holder.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::model::{DatabaseSize, DatabaseType, Generation, LabId, Layout, StartingState, Target};
use super::starting_state;
use crate::config::database::{Database, replica_url};
use crate::db;
use crate::db::storage::{
    CreateGeneration, DatabaseState, DropGeneration, ErrorKind, GenerationStore, LabStore,
    NewDatabase, Register, RegisteredDatabase, Reset, ServerFacts, StorageError,
};

/// How long a reset belongs to the process that does it, without renewal.
const CLAIM: Duration = Duration::from_secs(30);
const RENEW_CLAIM: Duration = Duration::from_secs(10);
/// How often expired leases are looked for.
const POLL: Duration = Duration::from_millis(500);
/// How long a reset may take: one server that hangs must not keep all others from being reset.
const RESET_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a broken database is tried again.
const RETRY_BROKEN: Duration = Duration::from_secs(15);

/// Registers and resets databases.
pub struct Databases {
    store: Arc<dyn LabStore>,
    lab: LabId,
    rows: StartingState,
    /// Names this process in claims of resets.
    owner: Uuid,
    /// Wakes the task that resets.
    changed: Notify,
    /// Wakes who waits for a database to become free.
    freed: Notify,
}

/// What a client registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Unique, of the client's choice.
    pub resource_id: String,
    /// Type.
    pub database_type: DatabaseType,
    /// Size.
    pub database_size: DatabaseSize,
    /// As `--database-url` takes it.
    pub connection_string: String,
    /// Host, or host and port, of a replica.
    pub replica: Option<String>,
    /// What a stand-in is; `None`: no stand-in.
    pub stand_in: Option<Layout>,
}

impl Databases {
    /// Over the lab's store.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn new(store: Arc<dyn LabStore>, rows: StartingState) -> Result<Self, StorageError> {
        let (changed, freed) = (Notify::new(), Notify::new());
        let lab = store.lab_id().await?;
        Ok(Self { store, lab, rows, owner: Uuid::new_v4(), changed, freed })
    }

    /// Connects, checks the rights, and registers. Creates nothing at the server.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], a sentence for the client, where the URL cannot be read or a right is missing.
    pub async fn register(&self, registration: Registration) -> Result<Register, StorageError> {
        let invalid = |why| StorageError::new(ErrorKind::Invalid, why);
        let url = &registration.connection_string;
        let replica = registration.replica.as_deref().map(|replica| replica_url(url, replica));
        let replica = replica.transpose().map_err(|why| invalid(format!("`replica_ip`: {why}")))?;
        // With the replica: the check tells whether it is one of this primary.
        let database = Database::of(url, replica.as_deref())
            .map_err(|why| invalid(format!("`connection_string`: {why}")))?;
        let generations = db::generations(&database.url, self.lab)?;
        let facts = generations.check().await?;
        let outcome = self.store.register(described(registration, facts), Timestamp::now()).await?;
        self.changed.notify_one();
        Ok(outcome)
    }

    /// Removes a registration, and what the lab has created for it; `false`: it is leased, or not there.
    ///
    /// # Errors
    /// If the lab's store or the database does not answer; what is left there is dropped when the same
    /// database is registered and reset again.
    pub async fn unregister(&self, resource_id: &str) -> Result<bool, StorageError> {
        let now = Timestamp::now();
        let all = self.store.databases(now).await?;
        if !self.store.unregister(resource_id, now).await? {
            return Ok(false);
        }
        let removed = all.into_iter().find(|one| one.database.resource_id == resource_id);
        let Some(RegisteredDatabase { database, generation, .. }) = removed else {
            return Ok(false);
        };
        if let Some(generation) = generation {
            self.generations(&database)?.remove(generation).await?;
        }
        Ok(true)
    }

    /// Tells the task that resets that a lease has ended.
    pub fn lease_ended(&self) {
        self.changed.notify_one();
    }

    /// Returns once a reset has ended, at the latest after `timeout`.
    pub async fn wait_for_reset(&self, timeout: Duration) {
        // Other processes reset too, and do not notify this one.
        let _ = tokio::time::timeout(timeout, self.freed.notified()).await;
    }

    /// Resets what is to be reset, until told to stop.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut retried = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            match self.store.claim_reset(self.owner, CLAIM, Timestamp::now()).await {
                Ok(Some(reset)) => {
                    self.reset(reset, stop).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = error.with_causes(), "cannot look for expired leases")
                }
            }
            if retried.elapsed() >= RETRY_BROKEN {
                self.retry_broken().await;
                retried = tokio::time::Instant::now();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn reset(&self, reset: Reset, stop: &CancellationToken) {
        let database = &reset.database;
        let (resource, generation) = (database.resource_id.clone(), reset.create);
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(RESET_TIMEOUT, self.prepare(&reset)) => {
                outcome.unwrap_or_else(|_| Err(timed_out()))
            }
            () = self.keep_claim() => {
                tracing::warn!(resource, "the reset took too long between two renewals of its claim, another process does it again");
                return;
            }
            // The claim runs out, and the next process does it again.
            () = stop.cancelled() => return,
        };
        let outcome = outcome.map_err(|error| error.with_causes());
        match &outcome {
            Ok(()) => tracing::info!(resource, %generation, "database is ready to be leased"),
            Err(why) => tracing::error!(resource, %generation, why, "database could not be reset"),
        }
        if let Err(error) = self.store.finish_reset(self.owner, outcome).await {
            tracing::error!(
                resource,
                error = error.with_causes(),
                "the end of a reset could not be stored"
            );
        }
        self.freed.notify_waiters();
    }

    /// Renews the claim of the reset that is under way; returns when it is lost.
    async fn keep_claim(&self) {
        loop {
            tokio::time::sleep(RENEW_CLAIM).await;
            match self.store.renew_reset(self.owner, CLAIM, Timestamp::now()).await {
                Ok(true) => {}
                Ok(false) => return,
                // The claim may still be renewed in time by the next try.
                Err(error) => {
                    tracing::warn!(error = error.with_causes(), "cannot renew the claim of a reset")
                }
            }
        }
    }

    async fn prepare(&self, reset: &Reset) -> Result<(), StorageError> {
        let database = &reset.database;
        let generations = self.generations(database)?;
        for old in &reset.drop {
            if generations.remove(*old).await? == DropGeneration::Unmarked {
                tracing::warn!(%old, resource = database.resource_id, "not dropped: it has no mark of this lab");
            }
        }
        if generations.create(reset.create).await? == CreateGeneration::Unmarked {
            let text = format!(
                "{} is there already without the mark of this lab: rename or remove it",
                reset.create
            );
            return Err(StorageError::new(ErrorKind::Invalid, text));
        }
        let target = target(generations.as_ref(), database, reset.create)?;
        starting_state::fill(&target, &self.rows).await?;
        Ok(())
    }

    fn generations(
        &self,
        database: &NewDatabase,
    ) -> Result<Arc<dyn GenerationStore>, StorageError> {
        let parsed = Database::of(&database.connection_string, None)
            .map_err(|why| StorageError::new(ErrorKind::Invalid, why))?;
        db::generations(&parsed.url, self.lab)
    }

    /// How workers reach the generation of a lease.
    ///
    /// # Errors
    /// If the registered URL is none that this program knows.
    pub fn target(
        &self,
        database: &NewDatabase,
        generation: Generation,
    ) -> Result<Target, StorageError> {
        target(self.generations(database)?.as_ref(), database, generation)
    }

    async fn is_still_broken(&self, database: &NewDatabase) -> bool {
        let all = self.store.databases(Timestamp::now()).await.unwrap_or_default();
        let is_broken = |one: &RegisteredDatabase| {
            one.database == *database && matches!(one.state, DatabaseState::Broken(_))
        };
        all.iter().any(is_broken)
    }

    /// Registers broken databases again that answer now.
    async fn retry_broken(&self) {
        let Ok(all) = self.store.databases(Timestamp::now()).await else { return };
        for registered in all {
            if !matches!(registered.state, DatabaseState::Broken(_)) {
                continue;
            }
            let Ok(generations) = self.generations(&registered.database) else { continue };
            let is_well = generations.check().await.is_ok();
            // Registered anew meanwhile, or removed: that stays.
            if is_well && self.is_still_broken(&registered.database).await {
                // An error shows as a database that stays broken, and is tried again.
                let _ = self.store.register(registered.database, Timestamp::now()).await;
            }
        }
    }
}

fn timed_out() -> StorageError {
    let text = format!("the reset did not end within {} s", RESET_TIMEOUT.as_secs());
    StorageError::new(ErrorKind::Timeout, text)
}

fn target(
    generations: &dyn GenerationStore,
    database: &NewDatabase,
    generation: Generation,
) -> Result<Target, StorageError> {
    let url = generations.url(generation);
    let replica = database.replica.as_deref().map(|replica| replica_url(&url, replica)).transpose();
    let replica_url = replica.map_err(|why| StorageError::new(ErrorKind::Invalid, why))?;
    Ok(Target { url, replica_url, layout: database.layout })
}

fn described(registration: Registration, facts: ServerFacts) -> NewDatabase {
    let stand_in = registration.stand_in.is_some();
    NewDatabase {
        resource_id: registration.resource_id,
        database_type: registration.database_type,
        database_size: registration.database_size,
        connection_string: registration.connection_string,
        replica: registration.replica,
        layout: registration.stand_in.unwrap_or(Layout::One),
        stand_in,
        name: facts.name,
        identity: facts.identity,
        is_local: facts.is_local,
    }
}
