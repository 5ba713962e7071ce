//! The embedded backend: a file in a folder of the test's own.

use crate::world::World;

/// A fresh file.
pub async fn world() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    World::at(&format!("embedded:{}", folder.path().join("games.db").display()), folder).await
}
