//! Cassandra: a keyspace of the test's own.

use crate::support::cassandra::Keyspace;
use crate::world::World;

/// A fresh keyspace.
pub async fn world() -> World {
    let keyspace = Keyspace::reserve().await;
    World::at(&keyspace.url(), keyspace).await
}
