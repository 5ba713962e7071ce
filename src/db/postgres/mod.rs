//! The PostgreSQL backend, for stores that outgrow one machine's file.
//!
//! In this room: reaching the server ([`connection`]), migrations, and the storage traits
//! ([`overview`], [`bulk`]). Most of the traffic is grouped ([`batch`]): while one query is under
//! way the next gathers, so that finding and creating games costs a round trip, and creating a sync
//! to disk, once for many ([`find`], [`create`]).

mod batch;
mod bulk;
mod connection;
mod counter;
mod create;
mod error;
mod find;
mod loads;
mod migrate;
mod overview;

use std::sync::Arc;

use self::bulk::PostgresBulk;
use self::connection::Connector;
use self::counter::Counter;
use self::overview::PostgresOverviews;
use super::storage::StorageError;
use super::{Schema, Stores};
use crate::config::database::postgres::Postgres;

/// Opens the database.
///
/// # Errors
/// One sentence for the operator: see [`super::connect`].
pub async fn open(postgres: &Postgres, schema: Schema) -> Result<Stores, StorageError> {
    let connector = Connector::new(postgres)?;
    let counter = Counter::new(migrate::run(&connector, schema).await?);
    let pool = connector.pool()?;
    let overviews = PostgresOverviews::new(&connector, pool.clone(), counter.clone());
    let bulk = PostgresBulk::new(connector, counter);
    Ok(Stores { backend: "postgres", overviews: Arc::new(overviews), bulk: Arc::new(bulk) })
}
