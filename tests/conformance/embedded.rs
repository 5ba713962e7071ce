//! The embedded backend: a file in a folder of the test's own.

use std::sync::Arc;

use futures::FutureExt;
use storefront::config::database::{Database, Url};
use storefront::db::{Schema, connect};
use storefront::telemetry::metrics::Metrics;

use crate::world::World;

/// A fresh file.
pub async fn world() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database { url: Url::Embedded(folder.path().join("games.db")), named: true };
    let open = move || {
        let database = database.clone();
        async move {
            connect(&database, Schema::Migrate, &Arc::new(Metrics::new()))
                .await
                .expect("the store opens")
        }
        .boxed()
    };
    World::new(Box::new(open), folder).await
}
