//! A database for one test, whichever backend it is on.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use storefront::config::database::{Database, Url};
use storefront::config::queue::NatsQueue;
use storefront::config::{SettingsLoader, Sources};
use storefront::db::storage::StorageError;
use storefront::db::{self, MigrationPolicy, Stores};
use storefront::telemetry::Registry;
use tempfile::TempDir;

use crate::cassandra::{self, Keyspace};
use crate::nats::NatsServer;
use crate::postgres::{self, NEWEST, OLDEST, OwnSchema};
use crate::process::{output, stderr, storefront};
use crate::shared_keyspace::SharedKeyspace;

/// An empty database, and a folder for its files and logs; both are removed with the value, but for a
/// keyspace of Cassandra, which the next test empties and uses.
pub struct OwnDatabase {
    url: String,
    queue: Option<Arc<NatsServer>>,
    _guard: Guard,
    folder: TempDir,
}

/// The stream of a database whose activities are queued in NATS.
const STREAM: &str = "ACTIVITIES";

/// Removes the database when it is dropped.
type Guard = Box<dyn Any + Send + Sync>;

impl OwnDatabase {
    /// A new one on the backend of that name. A further backend is one line here. With `nats_` before the
    /// name activities are queued in a NATS server of its own.
    pub async fn on(backend: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (backend, queue) = match backend.strip_prefix("nats_") {
            Some(backend) => (backend, Some(NatsServer::start().await)),
            None => (backend, None),
        };
        let (url, guard) = match backend {
            "embedded" => file(folder.path()),
            "postgres" => schema(NEWEST).await,
            "postgres15" => schema(OLDEST).await,
            "cassandra" => keyspace().await,
            other => {
                panic!("tests know no backend `{other}`: embedded, postgres, postgres15, cassandra")
            }
        };
        Self { url, queue, _guard: guard, folder }
    }

    /// The same without tables, where that makes a difference: keyspaces have theirs.
    pub async fn without_schema(backend: &str) -> Self {
        if backend != "cassandra" {
            return Self::on(backend).await;
        }
        let keyspace = Keyspace::reserve().await;
        Self::at(keyspace.url(), keyspace)
    }

    /// The database at that URL, which `guard` removes.
    pub fn at(url: String, guard: impl Any + Send + Sync) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { url, queue: None, _guard: Box::new(guard), folder }
    }

    /// A new one on the backend of the whole run: `STOREFRONT_TEST_BACKEND`, else embedded.
    pub async fn of_this_run() -> Self {
        let backend = std::env::var("STOREFRONT_TEST_BACKEND");
        Self::on(backend.as_deref().unwrap_or("embedded")).await
    }

    /// As `--database-url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same as the program reads it.
    pub fn settings(&self) -> Database {
        settings(&self.url)
    }

    /// The NATS server in which activities are queued.
    pub fn queue(&self) -> Option<&Arc<NatsServer>> {
        self.queue.as_ref()
    }

    /// The settings of `serve` that name the database, at that URL, and the queue.
    pub fn arguments(&self, url: &str) -> Vec<String> {
        let queue = self.queue.iter().flat_map(|nats| ["--queue".to_owned(), nats.url(STREAM)]);
        ["--database-url".to_owned(), url.to_owned()].into_iter().chain(queue).collect()
    }

    /// Opens its stores, as one more server does.
    pub async fn open(&self) -> Stores {
        let stores = open(&self.settings(), MigrationPolicy::Migrate).await;
        let stores = stores.expect("the store opens");
        match &self.queue {
            Some(nats) => queued_in(stores, &nats.queue(STREAM)).await.expect("the queue opens"),
            None => stores,
        }
    }

    /// Makes its tables. A Cassandra that many tests use takes longer for that than a program waits with
    /// the shipped settings.
    pub fn migrate(&self) {
        let done =
            output(storefront(self.folder()).args(["migrate", "--database-url", self.url()]));
        assert!(done.status.success(), "{}", stderr(&done));
    }

    /// Where logs and files go.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs SQL, or a CQL statement, beside the program.
    pub async fn execute(&self, sql: &str) {
        if let Some(path) = self.url.strip_prefix("embedded:") {
            let file = rusqlite::Connection::open(path);
            file.and_then(|file| file.execute_batch(sql)).expect("the statements succeed");
        } else if let Url::Cassandra(settings) = self.settings().url {
            cassandra::execute(&settings, sql).await;
        } else {
            postgres::execute(&self.url, sql).await;
        }
    }

    /// The first column of a query's rows, as text; on PostgreSQL only.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        postgres::column(&self.url, sql).await
    }
}

fn file(folder: &Path) -> (String, Guard) {
    (format!("embedded:{}", folder.join("store.db").display()), Box::new(()))
}

async fn schema(server: &str) -> (String, Guard) {
    let schema = OwnSchema::create(server).await;
    (schema.url(), Box::new(schema))
}

async fn keyspace() -> (String, Guard) {
    let keyspace = SharedKeyspace::claim().await;
    (cassandra::url_of(&keyspace.name), Box::new(keyspace))
}

/// Opens the stores of a database as the program does.
pub async fn open(database: &Database, policy: MigrationPolicy) -> Result<Stores, StorageError> {
    db::connect(database, policy, &Registry::default()).await
}

/// Puts a queue in NATS before stores, as the program does.
pub async fn queued_in(stores: Stores, queue: &NatsQueue) -> Result<Stores, StorageError> {
    db::queue_in_nats(stores, queue, &Registry::default()).await
}

/// What the program makes of a URL.
pub fn settings(url: &str) -> Database {
    let flags = BTreeMap::from([("database_url", url.to_owned())]);
    let mut loader = SettingsLoader::of(Sources { flags, ..Sources::default() });
    let database = Database::read(&mut loader);
    loader.finish(database).expect("a sound URL")
}

/// Runs a future to its end on a thread and a runtime of its own, because the runtime of a test that
/// is ending takes no more work: how values remove what they own when they are dropped.
pub(crate) fn block_on<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) {
    let done = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(work());
    });
    // A failure here has been printed, and a second panic would end the whole test program.
    drop(done.join());
}
