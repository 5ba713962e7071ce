//! Where the data is.
//!
//! In this module: the traits that every backend implements ([`storage`]), a module for each
//! backend, the algorithms that they share ([`common`]), the decorators of the traits ([`metered`],
//! [`read_routing`]), and [`connect`], the only place that chooses a backend. Not here: HTTP, and
//! the models of games and carts.
//!
//! A new backend is a new folder with the file names of [`embedded`] that passes
//! `tests/conformance`.

pub mod cassandra;
mod common;
pub mod embedded;
mod metered;
mod nats;
pub mod postgres;
mod read_routing;
pub mod storage;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::database::{Database, Url};
use crate::config::queue::NatsQueue;
use crate::lab::model::LabId;
use crate::telemetry::Registry;
pub use storage::MigrationPolicy;
use storage::{
    ActivityStore, CartAudit, FixtureStore, GenerationStore, Inspection, LabStore, LoadStore,
    OrderStore, OverviewStore, PaymentStore, ReplicaCheck, StockStore, StorageError,
    TransferTarget,
};

/// The open stores of one database, cheap to clone. Several of them may be one object.
#[derive(Clone)]
pub struct Stores {
    /// Name of the backend, for logs and messages.
    pub backend: &'static str,
    /// The game pages.
    pub overviews: Arc<dyn OverviewStore>,
    /// Orders and their checkout.
    pub orders: Arc<dyn OrderStore>,
    /// Items in stock.
    pub stock: Arc<dyn StockStore>,
    /// Users and their credit.
    pub payments: Arc<dyn PaymentStore>,
    /// Fixtures for tests and demo data.
    pub fixtures: Arc<dyn FixtureStore>,
    /// Checking that stock, credit and orders agree.
    pub audit: Arc<dyn CartAudit>,
    /// Activities: the queue, the states of messages, and the tables; `None` if the backend has none.
    pub activities: Option<Arc<dyn ActivityStore>>,
    /// Their queue, as the target of messages that are accepted elsewhere; present if they are.
    pub transfers: Option<Arc<dyn TransferTarget>>,
    /// Loading many games.
    pub loads: Arc<dyn LoadStore>,
    /// Facts about all games together: checksum and size.
    pub inspection: Arc<dyn Inspection>,
    /// Comparing the replicas of the data, if the backend has any.
    pub replica_check: Option<Arc<dyn ReplicaCheck>>,
}

/// Opens the database that the configuration names, and registers the metrics of its backend.
///
/// # Errors
/// A [`StorageError`] whose text is one sentence for the operator: no such place, no permission,
/// a newer schema, or an older one under [`MigrationPolicy::Require`].
pub async fn connect(
    database: &Database,
    policy: MigrationPolicy,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let stores = match &database.url {
        Url::Embedded(path) => embedded::open(path.clone(), policy, registry).await?,
        Url::Postgres(postgres) => postgres::open(postgres, policy, registry).await?,
        Url::Cassandra(cassandra) => cassandra::open(cassandra, policy, registry).await?,
    };
    Ok(metered::stores(stores, registry))
}

/// Opens the lab's own store in the file at that path, and makes it if it is not there. Several processes
/// may open it.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`], a sentence for the operator, where the file is another program's, was
/// made by a newer version or cannot be written.
pub async fn open_lab(
    path: PathBuf,
    registry: &Registry,
) -> Result<Arc<dyn LabStore>, StorageError> {
    embedded::open_lab(path, registry).await
}

/// The stores with messages of activities queued in NATS JetStream before they are moved into the store.
///
/// While NATS is away this succeeds, and so do all acts that do not need it.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`], a sentence for the operator, where the stream has settings by which
/// messages could be lost.
pub async fn queue_in_nats(
    stores: Stores,
    queue: &NatsQueue,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let Stores { activities: Some(store), transfers: Some(target), .. } = &stores else {
        return Ok(stores);
    };
    let queue = nats::open(queue, Arc::clone(store), Arc::clone(target), registry).await?;
    Ok(Stores { activities: Some(queue), ..stores })
}

/// Warns if messages of activities came from a stream of NATS JetStream, which a program without a queue does
/// not read.
pub async fn warn_without_queue(stores: &Stores) {
    if let Some(target) = &stores.transfers {
        nats::warn_without_queue(target.as_ref()).await;
    }
}

/// The check that compares the replicas of the data, and repairs them if `repair`; `None` where the
/// backend has none.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`], a sentence for the operator, where a replica was not named, or
/// cannot be repaired from here.
pub fn replica_check(
    database: &Database,
    stores: &Stores,
    repair: bool,
) -> Result<Option<Arc<dyn ReplicaCheck>>, StorageError> {
    let refused = |why| Err(StorageError::new(storage::ErrorKind::Invalid, why));
    match (&database.url, repair) {
        (Url::Embedded(_), true) => refused(
            "--repair repairs replicas on Cassandra, and an embedded database has none: leave it \
             out, or restore a backup",
        ),
        (Url::Postgres(_), true) => Err(postgres::cannot_be_repaired()),
        (Url::Postgres(_), false) if stores.replica_check.is_none() => {
            refused("--replicas compares the replica of --replica-url: name it")
        }
        _ => Ok(stores.replica_check.clone()),
    }
}

/// The databases of a lab at the server of that URL, beside the one that the URL names. Connects only when it
/// is asked for something.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`], a sentence for the operator, where the URL's certificates cannot be used.
pub fn generations(url: &Url, lab: LabId) -> Result<Arc<dyn GenerationStore>, StorageError> {
    Ok(match url {
        Url::Embedded(path) => Arc::new(embedded::EmbeddedGenerations::new(path, lab)?),
        Url::Postgres(postgres) => Arc::new(postgres::PostgresGenerations::new(postgres, lab)?),
        Url::Cassandra(cassandra) => {
            Arc::new(cassandra::CassandraGenerations::new(cassandra.clone(), lab))
        }
    })
}

/// Copies the games of the earlier service from that keyspace into the database that the
/// configuration names, on the same cluster.
///
/// # Errors
/// [`storage::ErrorKind::Invalid`] on a backend where there is nothing to import; otherwise a
/// sentence for the operator as of [`connect`]. It may be repeated.
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
