//! The Cassandra backend, for stores that outgrow one machine: Cassandra 5 or ScyllaDB.
//!
//! In this room: the session ([`connection`]), migrations, and the storage traits over them
//! ([`overview`], [`cart`], [`bulk`]). What must change together is one row, [`metadata`]; ids are assigned by
//! [`ids`] and noted in [`id_claims`] before a game is created under them; [`legacy_import`] carries the
//! earlier service's games over. Any number of servers may share a keyspace; nothing that another
//! may change is cached here.
//!
//! Clients write by LWT only. Bulk loads write plainly, with the load's number as timestamp, which
//! is older than any client's: whatever a client wrote, or removed, stays.

mod act;
mod adaptive_limiter;
mod cart;
mod connection;
mod error;
mod inspection;
mod legacy_import;
mod loads;
mod lwt;
mod metadata;
mod migrate;
mod overview;
mod replica_check;
mod retry;
mod token_ranges;

use std::sync::Arc;

use self::act::act;
use self::cart::CassandraCart;
use self::connection::Cluster;
pub use self::legacy_import::{ImportReport, import_legacy};
use self::loads::CassandraLoads;
use self::metadata::MetadataTable;
use self::overview::CassandraOverviews;
use self::overview::id_claims::IdClaims;
use self::replica_check::CassandraReplicaCheck;
use super::storage::StorageError;
use super::{MigrationPolicy, Stores};
use crate::config::database::cassandra::Cassandra;
use crate::telemetry::metrics::Metrics;

/// Connects to the cluster; under [`MigrationPolicy::Migrate`] creates the keyspace and its tables.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    settings: &Cassandra,
    policy: MigrationPolicy,
    metrics: &Metrics,
) -> Result<Stores, StorageError> {
    let cluster = Cluster::connect(settings).await?;
    migrate::run(&cluster, policy).await?;
    let metadata = MetadataTable::open(&cluster).await?;
    let claims = IdClaims::open(&cluster).await?;
    let cart = Arc::new(CassandraCart::open(&cluster, metrics).await?);
    let overviews = CassandraOverviews::open(&cluster, &metadata, &claims).await?;
    let loads = Arc::new(CassandraLoads::open(&cluster, metadata, claims).await?);
    Ok(Stores {
        backend: "cassandra",
        overviews: Arc::new(overviews),
        orders: cart.clone(),
        stock: cart.clone(),
        payments: cart.clone(),
        fixtures: cart.clone(),
        audit: cart,
        loads: loads.clone(),
        inspection: loads,
        replica_check: Some(Arc::new(CassandraReplicaCheck::new(&cluster))),
    })
}
