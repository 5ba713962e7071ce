//! The embedded backend: SQLite in one file, and a second one for activities; the default. The lab's own
//! store is a third kind of file ([`lab`]).
//!
//! In this module: the one writer thread with its group commit ([`writer`]) and its jobs ([`job`]), the
//! thread that copies the log into the file ([`checkpoint`]), the read connections, one for each runtime
//! thread ([`reader`]), migrations ([`migrate`]), whether the file is still the one that was opened
//! ([`identity`]), opening a file with all of these ([`file`](mod@file)), writes under a key
//! ([`idempotency`]), and the storage traits over them ([`overview`], [`cart`], [`loads`], [`generations`],
//! and with a file of their own [`activities`]). Several processes on one machine may share the files, so nothing
//! that another process may change is cached without a check.
//! Not here: the algorithms that other backends need too ([`super::common`]).

mod activities;
mod cart;
mod checkpoint;
mod connection;
mod error;
mod file;
mod generations;
mod idempotency;
mod identity;
mod job;
mod lab;
mod loads;
mod migrate;
mod overview;
mod reader;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use self::activities::EmbeddedActivities;
use self::cart::EmbeddedCart;
use self::file::{FileKind, FileMetrics, OpenFile};
pub(super) use self::generations::EmbeddedGenerations;
pub(in crate::db) use self::lab::open as open_lab;
use self::loads::EmbeddedLoads;
use self::overview::EmbeddedOverviews;
use super::storage::{ErrorKind, StorageError};
use super::{MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// The store's file.
const STORE: FileKind = FileKind { schema: &migrate::STORE, tuned: connection::tuned };

/// Opens the store's file and that of its activities, creating it under [`MigrationPolicy::Migrate`].
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    path: PathBuf,
    policy: MigrationPolicy,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let metrics = FileMetrics::register(registry);
    let activity_metrics = FileMetrics::register(&registry.with_prefix("activity_"));
    blocking(move || {
        let OpenFile { writer, readers, identity } = file::open(&path, &STORE, policy, metrics)?;
        let activities = Arc::new(EmbeddedActivities::open(&path, policy, activity_metrics)?);
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
            activities: Some(activities.clone()),
            transfers: Some(activities),
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
