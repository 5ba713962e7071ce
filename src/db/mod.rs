//! Where the data is.
//!
//! In this room: [`storage`], the promises that every backend keeps; a room for each backend;
//! [`connect`], the only place that chooses one. Not here: HTTP, and what a game is.
//! A new backend is a new folder with the file names of [`embedded`], made to pass
//! `tests/conformance`.

pub mod cassandra;
pub mod embedded;
mod metered;
pub mod postgres;
pub mod storage;

use std::sync::Arc;

use crate::config::database::{Database, Url};
use crate::telemetry::metrics::Metrics;
use storage::{BulkStore, CartStore, OverviewStore, Replica, ReplicaCheck, StorageError};

/// The open stores of one database, cheap to clone.
#[derive(Clone)]
pub struct Stores {
    /// Name of the backend, for logs and messages.
    pub backend: &'static str,
    /// The game pages.
    pub overviews: Arc<dyn OverviewStore>,
    /// Orders, stock and payment.
    pub cart: Arc<dyn CartStore>,
    /// Bulk loading and whole-table checks.
    pub bulk: Arc<dyn BulkStore>,
    /// A copy that may answer reads.
    pub replica: Option<Arc<dyn Replica>>,
    /// The copies that the store is kept in, where they can be told apart.
    pub copies: Option<Arc<dyn ReplicaCheck>>,
}

/// What [`connect`] does with a schema that is not the program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Bring an empty or older one up to date, under a lock.
    Migrate,
    /// Refuse anything but the present version.
    Require,
}

/// Opens the database that the configuration names.
///
/// # Errors
/// A [`StorageError`] whose text is one sentence for the operator: no such place, no permission,
/// a newer schema, or an older one under [`MigrationPolicy::Require`].
pub async fn connect(
    database: &Database,
    policy: MigrationPolicy,
    metrics: &Arc<Metrics>,
) -> Result<Stores, StorageError> {
    let stores = match &database.url {
        Url::Embedded(path) => embedded::open(path.clone(), policy, metrics).await?,
        Url::Postgres(postgres) => postgres::open(postgres, policy).await?,
        Url::Cassandra(cassandra) => cassandra::open(cassandra, policy, metrics).await?,
    };
    Ok(metered::stores(stores, metrics))
}

/// The copies of the store that an audit compares, and mends if `repair`; `None` where the backend
/// has none.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`], a sentence for the operator, where there may be one that was not
/// named, or that cannot be mended.
pub fn copies(
    database: &Database,
    stores: &Stores,
    repair: bool,
) -> Result<Option<Arc<dyn ReplicaCheck>>, StorageError> {
    let refused = |why| Err(StorageError::new(storage::ErrorKind::Invalid, why));
    match (&database.url, repair) {
        (Url::Embedded(_), true) => refused(
            "--repair mends copies on Cassandra, and an embedded database has none: leave it out, \
             or restore a backup",
        ),
        (Url::Postgres(_), true) => Err(postgres::cannot_be_mended()),
        (Url::Postgres(_), false) if stores.copies.is_none() => {
            refused("--replicas compares the replica of --replica-url: name it")
        }
        _ => Ok(stores.copies.clone()),
    }
}

/// Carries the games of the earlier service over into the database that the configuration names,
/// from that keyspace of the same cluster.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`] on a backend where there is nothing to carry; otherwise a sentence
/// for the operator as of [`connect`], and repeating it goes on.
pub async fn import_legacy(
    database: &Database,
    old_keyspace: &str,
) -> Result<cassandra::ImportReport, StorageError> {
    match &database.url {
        Url::Cassandra(cassandra) => cassandra::import_legacy(cassandra, old_keyspace).await,
        Url::Embedded(_) | Url::Postgres(_) => Err(StorageError::new(
            storage::ErrorKind::Invalid,
            "--from-node-schema is for Cassandra; a PostgreSQL database of the earlier service is \
             used in place by `storefront migrate`",
        )),
    }
}
