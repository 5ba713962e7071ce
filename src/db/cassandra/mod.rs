//! The Cassandra backend, for stores that outgrow one machine: Cassandra 5.0.
//!
//! In this module: the session ([`connection`]), migrations ([`migrate`]), and the storage traits
//! over them: game pages ([`overview`]), the cart ([`cart`]), activities ([`activities`]), bulk loads
//! ([`loads`]), reads about all games ([`inspection`]), the comparison of replicas ([`replica_check`]) and a
//! lab's databases ([`generations`]). [`idempotency`] has the
//! keys of requests, [`metadata`] what must change together; [`legacy_import`] copies the games of the
//! earlier service. Not here: algorithms that other backends use as well ([`crate::db::common`]).
//!
//! Any number of servers may share a keyspace, so a cached value is used only in conditions of LWTs,
//! which fail if another server has changed it.

mod act;
mod activities;
mod adaptive_limiter;
mod cart;
mod connection;
mod error;
mod generations;
mod idempotency;
mod inspection;
mod legacy_import;
mod loads;
mod lwt;
mod metadata;
mod migrate;
mod overview;
mod query_result;
mod replica_check;
mod retry;
#[cfg(test)]
mod test_keyspace;
mod token_ranges;

use std::sync::Arc;

use self::activities::CassandraActivities;
use self::cart::CassandraCart;
use self::connection::Cluster;
pub(super) use self::generations::CassandraGenerations;
use self::idempotency::IdempotencyKeys;
use self::inspection::CassandraInspection;
pub use self::legacy_import::{ImportReport, import_legacy};
use self::loads::CassandraLoads;
use self::metadata::MetadataTable;
use self::overview::CassandraOverviews;
use self::overview::id_claims::IdClaims;
use self::replica_check::CassandraReplicaCheck;
use super::storage::StorageError;
use super::{MigrationPolicy, Stores};
use crate::config::database::cassandra::Cassandra;
use crate::telemetry::Registry;

/// Connects to the cluster; under [`MigrationPolicy::Migrate`] creates the keyspace and its tables.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    settings: &Cassandra,
    policy: MigrationPolicy,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let cluster = Cluster::connect(settings).await?;
    migrate::run(&cluster, policy).await?;
    let metadata = MetadataTable::open(&cluster).await?;
    let claims = IdClaims::open(&cluster).await?;
    let keys = IdempotencyKeys::open(&cluster).await?;
    let cart = Arc::new(CassandraCart::open(&cluster, &keys, registry).await?);
    let activities = Arc::new(CassandraActivities::open(&cluster, &keys, registry).await?);
    let overviews = CassandraOverviews::open(&cluster, &metadata, &claims, keys, registry).await?;
    Ok(Stores {
        backend: "cassandra",
        overviews: Arc::new(overviews),
        orders: cart.clone(),
        stock: cart.clone(),
        payments: cart.clone(),
        fixtures: cart.clone(),
        audit: cart,
        activities: Some(activities.clone()),
        transfers: Some(activities),
        loads: Arc::new(CassandraLoads::open(&cluster, metadata, claims).await?),
        inspection: Arc::new(CassandraInspection::open(&cluster).await?),
        replica_check: Some(Arc::new(CassandraReplicaCheck::new(&cluster))),
    })
}
