//! The embedded backend: SQLite in one file, the default.
//!
//! In this module: the one writer thread with its group commit ([`writer`]) and its jobs ([`job`]), the
//! thread that copies the log into the file ([`checkpoint`]), the read connections, one for each runtime
//! thread ([`reader`]), migrations ([`migrate`]), whether the file is still the one that was opened
//! ([`identity`]), writes under a key ([`idempotency`]), and the storage traits over them ([`overview`],
//! [`cart`], [`loads`]). Several processes on one machine may share the file, so nothing that another
//! process may change is cached.
//! Not here: the algorithms that other backends need too ([`super::common`]).

mod cart;
mod checkpoint;
mod connection;
mod error;
mod idempotency;
mod identity;
mod job;
mod loads;
mod migrate;
mod overview;
mod reader;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use self::cart::EmbeddedCart;
use self::checkpoint::{CheckpointMetrics, Checkpointer};
use self::identity::FileIdentity;
use self::loads::EmbeddedLoads;
use self::overview::EmbeddedOverviews;
use self::reader::Readers;
use self::writer::{Writer, WriterMetrics};
use super::storage::{ErrorKind, StorageError};
use super::{MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// Opens the file, creating it under [`MigrationPolicy::Migrate`].
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    path: PathBuf,
    policy: MigrationPolicy,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let metrics = WriterMetrics::register(registry);
    let checkpoint_metrics = CheckpointMetrics::register(registry);
    let supervisor = registry.supervisor();
    blocking(move || {
        let connection = connection::open(&path, policy)?;
        migrate::run(&connection, &path, policy)?;
        let mut connection = connection::tuned(connection)?;
        connection::prime_wal(&connection);
        let identity = Arc::new(FileIdentity::of(&path)?);
        let readers = Arc::new(Readers::new(path.clone(), Arc::clone(&identity)));
        readers.with(|_| Ok(()))?;
        let own = connection::open_for_checkpoints(&path)?;
        // The path may lead to another file by now.
        identity.check()?;
        let checkpointer = Checkpointer::start(
            &mut connection,
            own,
            &path,
            checkpoint_metrics,
            supervisor.clone(),
        )?;
        let identity_of_writer = Arc::clone(&identity);
        let writer =
            Writer::start(connection, identity_of_writer, checkpointer, metrics, supervisor)?;
        let writer = Arc::new(writer);
        let cart = Arc::new(EmbeddedCart::new(Arc::clone(&writer), Arc::clone(&readers)));
        let loads = Arc::new(EmbeddedLoads::new(path, identity));
        Ok(Stores {
            backend: "embedded",
            overviews: Arc::new(EmbeddedOverviews::new(Arc::clone(&writer), Arc::clone(&readers))),
            orders: cart.clone(),
            stock: cart.clone(),
            payments: cart.clone(),
            fixtures: cart.clone(),
            audit: cart,
            activities: None,
            loads: loads.clone(),
            inspection: loads,
            replica_check: None,
        })
    })
    .await
}

/// Runs blocking work on a thread for that; it runs to its end even if its caller is gone.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "a database task panicked", e)
    })?
}
