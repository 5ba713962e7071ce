//! The embedded backend: SQLite in one file, the default.
//!
//! In this room: the one writer thread with its group commit ([`writer`]), the read connections,
//! one for each runtime thread ([`reader`]), migrations, and the storage traits over them
//! ([`overview`], [`cart`], [`bulk`]). Several processes on one machine may share the file; nothing that
//! another process may change is cached here.

mod audit;
mod bulk;
mod cart;
mod checkout;
mod connection;
mod error;
mod fixtures;
mod migrate;
mod overview;
mod reader;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use self::bulk::EmbeddedBulk;
use self::cart::EmbeddedCart;
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
    blocking(move || {
        let connection = connection::open(&path, policy)?;
        migrate::run(&connection, &path, policy)?;
        let readers = Arc::new(Readers::new(path.clone()));
        readers.with(|_| Ok(()))?;
        let connection = connection::tuned(connection)?;
        connection::begin_log(&connection);
        let writer = Arc::new(Writer::start(connection, metrics)?);
        let cart = Arc::new(EmbeddedCart::new(Arc::clone(&writer), Arc::clone(&readers)));
        let loads = Arc::new(EmbeddedBulk::new(path));
        Ok(Stores {
            backend: "embedded",
            overviews: Arc::new(EmbeddedOverviews::new(Arc::clone(&writer), Arc::clone(&readers))),
            orders: cart.clone(),
            stock: cart.clone(),
            payments: cart.clone(),
            fixtures: cart.clone(),
            audit: cart,
            loads: loads.clone(),
            inspection: loads,
            replica_check: None,
        })
    })
    .await
}

/// Runs what blocks for long on a thread where that is allowed; it runs to its end even if nobody
/// waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "a database task panicked", e)
    })?
}
