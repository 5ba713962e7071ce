//! The oldest PostgreSQL that is supported.

use crate::postgres::world_on;
use crate::support::postgres::OLDEST;
use crate::world::World;

/// A fresh schema on it.
pub async fn world() -> World {
    world_on(OLDEST).await
}
