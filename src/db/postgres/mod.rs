//! The PostgreSQL backend, for stores that outgrow one machine's file.
//!
//! Here: connections ([`connection`], [`pool`], [`tls`]), how they run statements ([`session`]), also
//! through a pooler ([`pooler`]), what errors mean ([`error`]), the schema ([`migrate`]), strong locks
//! ([`lock`]), whether an existing database can be used ([`usable`]), writes under a key
//! ([`idempotency`]) and the storage traits: game pages ([`overview`]), the cart ([`cart`]), activities ([`activities`]), bulk loads ([`loads`]), reads from a
//! replica ([`replica`]) and its check ([`replica_check`]), a lab's databases ([`generations`]). Most requests are batched ([`batch`]): while
//! one statement is under way the next requests gather, so that finding games, creating them and
//! checkouts cost a round trip and a sync to disk for many at once.
//!
//! Not here: which backend is used ([`super::connect`]), which reads go to a replica
//! ([`super::read_routing`]), and algorithms that other backends share ([`super::common`]).

mod activities;
mod batch;
mod cart;
mod connection;
mod error;
mod generations;
mod idempotency;
mod loads;
mod lock;
mod migrate;
mod overview;
mod pool;
mod pooler;
mod replica;
mod replica_check;
mod sequence;
mod session;
mod text_array;
mod tls;
mod usable;

use std::sync::Arc;

use self::activities::PostgresActivities;
use self::cart::PostgresCart;
use self::connection::Connector;
pub(super) use self::generations::PostgresGenerations;
use self::loads::PostgresLoads;
use self::overview::PostgresOverviews;
use self::pool::Pool;
use self::replica::PostgresReplica;
pub(super) use self::replica::cannot_be_repaired;
use self::sequence::Sequence;
use super::read_routing::RoutedOverviews;
use super::storage::{OverviewStore, ReplicaCheck, StorageError};
use super::{MigrationPolicy, Stores};
use crate::config::database::postgres::Postgres;
use crate::telemetry::Registry;

/// Opens the database.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(
    postgres: &Postgres,
    policy: MigrationPolicy,
    registry: &Registry,
) -> Result<Stores, StorageError> {
    let connector = Connector::new(postgres, registry.supervisor())?;
    let sequence = Sequence::new(migrate::run(&connector, policy).await?);
    let pools = postgres.limits.pools(postgres.replica.is_some());
    let replica = match &postgres.replica {
        Some(replica) => {
            let to_replica = Connector::new(replica, registry.supervisor())?;
            let replica = PostgresReplica::open(&connector, &to_replica, pools.replica).await?;
            Some(Arc::new(replica))
        }
        None => None,
    };
    let replica_check = replica.clone().map(|replica| replica as Arc<dyn ReplicaCheck>);
    let shared = Pool::new(&connector, pools.cart)?;
    let activities = Arc::new(PostgresActivities::new(&connector, shared.clone())?);
    let cart = Arc::new(PostgresCart::new(&connector, shared));
    let primary = Arc::new(PostgresOverviews::new(&connector, sequence.clone(), pools.games)?);
    let overviews: Arc<dyn OverviewStore> = match &replica {
        Some(replica) => Arc::new(RoutedOverviews { primary, replica: replica.clone() }),
        None => primary,
    };
    let loads = Arc::new(PostgresLoads::new(connector, sequence));
    Ok(Stores {
        backend: "postgres",
        overviews,
        orders: cart.clone(),
        stock: cart.clone(),
        payments: cart.clone(),
        fixtures: cart.clone(),
        audit: cart,
        activities: Some(activities.clone()),
        transfers: Some(activities),
        loads: loads.clone(),
        inspection: loads,
        replica_check,
    })
}
