//! A keyspace for one test in a real Cassandra.

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use storefront::config::database::cassandra::Cassandra as Settings;
use storefront::config::database::{Database, Url};
use storefront::db::storage::StorageError;
use storefront::db::{MigrationPolicy, Stores};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::database;

const SERVER: &str = "STOREFRONT_TEST_CASSANDRA";
/// Keyspaces at one time: making one takes the server a while, many at once take it far longer.
static KEYSPACES: Semaphore = Semaphore::const_new(6);

/// Opens the stores of a keyspace as the program does.
pub async fn open(settings: Settings, policy: MigrationPolicy) -> Result<Stores, StorageError> {
    database::open(&Database { url: Url::Cassandra(settings), named: true }, policy).await
}

/// A keyspace of a random name, removed with the value, also where a test fails: for tests of what a store
/// does with a new one. Others share keyspaces: [`SharedKeyspace`](crate::shared_keyspace::SharedKeyspace).
pub struct Keyspace {
    /// The name, which needs no quotes.
    pub name: String,
    _permit: SemaphorePermit<'static>,
}

impl Keyspace {
    /// A name that is not in use. The first connection of a store creates the keyspace.
    pub async fn reserve() -> Self {
        let _permit = KEYSPACES.acquire().await.expect("the semaphore stays open");
        Self { name: format!("storefront_test_{:016x}", rand::random::<u64>()), _permit }
    }

    /// As `--database-url` takes it.
    pub fn url(&self) -> String {
        url_of(&self.name)
    }

    /// How the keyspace is reached.
    pub fn settings(&self) -> Settings {
        settings_of(&self.name)
    }
}

/// The URL of a keyspace on the test server. Of the server's URL only the address counts.
pub fn url_of(keyspace: &str) -> String {
    let server = std::env::var(SERVER).unwrap_or_else(|_| {
        panic!(
            "{SERVER} is not set: run `scripts/servers up cassandra` and set it to the URL \
             that it prints, or run `scripts/test`"
        )
    });
    let address = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{address}/{keyspace}?timeout=20000")
}

/// How a keyspace on the test server is reached.
pub fn settings_of(keyspace: &str) -> Settings {
    match database::settings(&url_of(keyspace)).url {
        Url::Cassandra(settings) => settings,
        other => panic!("{SERVER} is {other}"),
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let (settings, name) = (self.settings(), self.name.clone());
        database::block_on(async move || {
            let session = session(&settings).await;
            let text = format!("DROP KEYSPACE IF EXISTS \"{name}\"");
            session.query_unpaged(text, ()).await.expect("the keyspace is removed");
        });
    }
}

/// A session without a keyspace.
pub async fn session(settings: &Settings) -> Session {
    let builder =
        SessionBuilder::new().known_nodes(&settings.hosts).fetch_full_schema_metadata(false);
    builder.build().await.expect("the server answers")
}

/// Runs a statement in a keyspace.
pub async fn execute(settings: &Settings, cql: &str) {
    let session = session(settings).await;
    session.use_keyspace(&settings.keyspace, true).await.expect("the keyspace is there");
    session.query_unpaged(cql, ()).await.expect("the statement succeeds");
}
