//! The PostgreSQL backend, for stores that outgrow one machine's file.
//!
//! In this room: reaching the server ([`connection`]), migrations, and the storage traits
//! ([`overview`], [`cart`], [`bulk`], [`replica`]). Most of the traffic is grouped ([`batch`]): while one query is under
//! way the next gathers, so that finding and creating games costs a round trip, and creating a sync
//! to disk, once for many ([`find`], [`create`]).

mod audit;
mod batch;
mod bulk;
mod cart;
mod compare;
mod connection;
mod counter;
mod create;
mod error;
mod find;
mod fixtures;
mod loads;
mod migrate;
mod overview;
mod replica;

use std::sync::Arc;

use self::bulk::PostgresBulk;
use self::cart::PostgresCart;
use self::connection::Connector;
use self::counter::Counter;
use self::overview::PostgresOverviews;
use self::replica::PostgresReplica;
pub(super) use self::replica::cannot_be_repaired;
use super::read_routing::RoutedOverviews;
use super::storage::{OverviewStore, ReplicaCheck, StorageError};
use super::{MigrationPolicy, Stores};
use crate::config::database::postgres::Postgres;

/// Opens the database.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(postgres: &Postgres, policy: MigrationPolicy) -> Result<Stores, StorageError> {
    let connector = Connector::new(postgres)?;
    let counter = Counter::new(migrate::run(&connector, policy).await?);
    let replica = match &postgres.replica {
        Some(replica) => {
            let replica = PostgresReplica::open(&connector, &Connector::new(replica)?).await?;
            Some(Arc::new(replica))
        }
        None => None,
    };
    let replica_check = replica.clone().map(|replica| replica as Arc<dyn ReplicaCheck>);
    let cart = Arc::new(PostgresCart::new(&connector)?);
    let primary = Arc::new(PostgresOverviews::new(&connector, counter.clone())?);
    let overviews: Arc<dyn OverviewStore> = match &replica {
        Some(replica) => Arc::new(RoutedOverviews { primary, replica: replica.clone() }),
        None => primary,
    };
    let loads = Arc::new(PostgresBulk::new(connector, counter));
    Ok(Stores {
        backend: "postgres",
        overviews,
        orders: cart.clone(),
        stock: cart.clone(),
        payments: cart.clone(),
        fixtures: cart.clone(),
        audit: cart,
        loads: loads.clone(),
        inspection: loads,
        replica_check,
    })
}
