//! A database for one test, whichever backend it is on.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;

use storefront::config::database::{Database, Url};
use storefront::config::{SettingsLoader, Sources};
use storefront::db::storage::StorageError;
use storefront::db::{self, MigrationPolicy, Stores};
use storefront::telemetry::Registry;
use tempfile::TempDir;

use crate::cassandra;
use crate::postgres::{self, NEWEST, OLDEST, OwnSchema};
use crate::process::{output, stderr, storefront};
use crate::shared_keyspace::SharedKeyspace;

/// An empty database, and a folder for its files and logs; both are removed with the value, but for a
/// keyspace of Cassandra, which the next test empties and uses.
pub struct OwnDatabase {
    url: String,
    _guard: Guard,
    folder: TempDir,
}

/// Removes the database when it is dropped.
type Guard = Box<dyn Any + Send + Sync>;

impl OwnDatabase {
    /// A new one on the backend of that name. A further backend is one line here.
    pub async fn on(backend: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (url, guard) = match backend {
            "embedded" => file(folder.path()),
            "postgres" => schema(NEWEST).await,
            "postgres15" => schema(OLDEST).await,
            "cassandra" => keyspace().await,
            other => {
                panic!("tests know no backend `{other}`: embedded, postgres, postgres15, cassandra")
            }
        };
        Self { url, _guard: guard, folder }
    }

    /// The database at that URL, which `guard` removes.
    pub fn at(url: String, guard: impl Any + Send + Sync) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { url, _guard: Box::new(guard), folder }
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

    /// Opens its stores, as one more server does.
    pub async fn open(&self) -> Stores {
        open(&self.settings(), MigrationPolicy::Migrate).await.expect("the store opens")
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
