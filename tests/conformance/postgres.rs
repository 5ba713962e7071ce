//! PostgreSQL: a schema of the test's own.

use crate::support::postgres::{NEWEST, OwnSchema};
use crate::world::World;

/// A fresh schema on the newest version.
pub async fn world() -> World {
    world_on(NEWEST).await
}

/// A fresh schema on the server that the variable names.
pub async fn world_on(variable: &str) -> World {
    let schema = OwnSchema::create(variable).await;
    World::at(&schema.url(), schema).await
}
