//! The Cassandra backend, for stores that outgrow one machine: Cassandra 5 or ScyllaDB.
//!
//! In this room: the session ([`connection`]), migrations, and the storage traits over them
//! ([`overview`], [`cart`], [`bulk`]). What must change together is one row, [`store`]; ids are assigned by
//! [`ids`] and noted in [`claims`] before a game is created under them; [`node_schema`] carries the
//! earlier service's games over. Any number of servers may share a keyspace; nothing that another
//! may change is cached here.
//!
//! Clients write by LWT only. Bulk loads write plainly, with the load's number as timestamp, which
//! is older than any client's: whatever a client wrote, or removed, stays.

mod bulk;
mod cart;
mod claims;
mod connection;
mod copies;
mod error;
mod game;
mod ids;
mod lwt;
mod migrate;
mod node_schema;
mod overview;
mod patience;
mod ring;
mod store;
mod window;

use std::sync::Arc;

use self::bulk::CassandraBulk;
use self::cart::CassandraCart;
use self::claims::Claims;
use self::connection::Cluster;
use self::copies::CassandraCopies;
pub use self::node_schema::{Carried, carry_over};
use self::overview::CassandraOverviews;
use self::store::Store;
use super::storage::{Kind, StorageError};
use super::{Schema, Stores};
use crate::config::database::cassandra::Cassandra;
use crate::telemetry::metrics::Metrics;

/// Connects to the cluster; under [`Schema::Migrate`] creates the keyspace and its tables.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    settings: &Cassandra,
    schema: Schema,
    metrics: &Metrics,
) -> Result<Stores, StorageError> {
    let cluster = Cluster::connect(settings).await?;
    migrate::run(&cluster, schema).await?;
    let store = Store::open(&cluster).await?;
    let claims = Claims::open(&cluster).await?;
    Ok(Stores {
        backend: "cassandra",
        overviews: Arc::new(CassandraOverviews::open(&cluster, &store, &claims).await?),
        cart: Arc::new(CassandraCart::open(&cluster, metrics).await?),
        bulk: Arc::new(CassandraBulk::open(&cluster, store, claims).await?),
        replica: None,
        copies: Some(Arc::new(CassandraCopies::new(&cluster))),
    })
}

/// Runs an act to its end even if nobody waits for it.
async fn act<T: Send + 'static>(
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::spawn(work)
        .await
        .map_err(|e| StorageError::caused(Kind::Internal, "a database task panicked", e))?
}
