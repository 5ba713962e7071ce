//! The Cassandra backend: a keyspace of the test's own in a running server.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use storefront::config::database::cassandra::Cassandra as Settings;
use storefront::config::database::{Database, Url};
use storefront::config::{Reader, Sources};
use storefront::db::storage::StorageError;
use storefront::db::{Schema, Stores, connect};
use storefront::telemetry::metrics::Metrics;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::world::World;

const SERVER: &str = "STOREFRONT_TEST_CASSANDRA";
/// Keyspaces at one time: making one takes the server a while, many at once take it far longer.
static KEYSPACES: Semaphore = Semaphore::const_new(6);

/// A fresh keyspace.
pub async fn world() -> World {
    let keyspace = Keyspace::reserve().await;
    let settings = keyspace.settings();
    let open = move || {
        let settings = settings.clone();
        async move { open(settings, Schema::Migrate).await.expect("the store opens") }.boxed()
    };
    World::new(Box::new(open), keyspace).await
}

/// Opens a store as the program does.
pub async fn open(settings: Settings, schema: Schema) -> Result<Stores, StorageError> {
    let database = Database { url: Url::Cassandra(settings), named: true };
    connect(&database, schema, &Arc::new(Metrics::new())).await
}

/// A keyspace of a random name, removed with the value, also where a test fails.
pub struct Keyspace {
    pub name: String,
    _permit: SemaphorePermit<'static>,
}

impl Keyspace {
    /// A name that nobody has. The first connection creates the keyspace.
    pub async fn reserve() -> Self {
        let _permit = KEYSPACES.acquire().await.expect("the semaphore stays open");
        Self { name: format!("storefront_test_{:016x}", rand::random::<u64>()), _permit }
    }

    /// How the keyspace is reached.
    pub fn settings(&self) -> Settings {
        let server = std::env::var(SERVER).unwrap_or_else(|_| {
            panic!("run scripts/servers up cassandra and set {SERVER}=cassandra://127.0.0.1:9042")
        });
        settings(&server, &self.name)
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let (settings, name) = (self.settings(), self.name.clone());
        // A runtime of its own, because the test's is ending.
        let drop_it = move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let session = session(&settings).await;
                let text = format!("DROP KEYSPACE IF EXISTS \"{name}\"");
                session.query_unpaged(text, ()).await.expect("the keyspace is removed");
            });
        };
        drop(std::thread::spawn(drop_it).join());
    }
}

/// The server's settings for a keyspace; what else its URL says counts nothing.
fn settings(server: &str, keyspace: &str) -> Settings {
    let address = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let url = format!("{address}/{keyspace}?timeout=20000");
    let sources = Sources {
        flags: BTreeMap::from([("database_url", url)]),
        environment: BTreeMap::new(),
        file: BTreeMap::new(),
    };
    let mut reader = Reader::of(sources);
    let database = Database::read(&mut reader);
    match reader.finish(database).expect("the URL of a server").url {
        Url::Cassandra(settings) => settings,
        other => panic!("{SERVER} is {other}"),
    }
}

/// A session without a keyspace.
pub async fn session(settings: &Settings) -> Session {
    let builder =
        SessionBuilder::new().known_nodes(&settings.hosts).fetch_full_schema_metadata(false);
    builder.build().await.expect("the server answers")
}
