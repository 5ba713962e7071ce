//! A database of a test's own, whichever backend it is on.

use std::collections::BTreeMap;
use std::path::Path;

use storefront::config::database::Database;
use storefront::config::{Reader, Sources};
use tempfile::TempDir;

use super::postgres::{NEWEST, OLDEST, OwnSchema};

/// An empty database, and a folder for what belongs to it; both are removed with the value.
pub struct OwnDatabase {
    place: Place,
    folder: TempDir,
}

enum Place {
    /// A file in the folder.
    File,
    Schema(OwnSchema),
}

impl OwnDatabase {
    /// A new one on the backend of that name. A further backend is one line here.
    pub async fn on(backend: &str) -> Self {
        let place = match backend {
            "embedded" => Place::File,
            "postgres" => Place::Schema(OwnSchema::create(NEWEST).await),
            "postgres15" => Place::Schema(OwnSchema::create(OLDEST).await),
            other => panic!("tests know no backend `{other}`: embedded, postgres, postgres15"),
        };
        Self { place, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A new one on the backend that all tests of a run are on: `STOREFRONT_TEST_BACKEND`, else
    /// embedded.
    pub async fn of_this_run() -> Self {
        let backend = std::env::var("STOREFRONT_TEST_BACKEND");
        Self::on(backend.as_deref().unwrap_or("embedded")).await
    }

    /// As `--database-url` takes it.
    pub fn url(&self) -> String {
        match &self.place {
            Place::File => format!("embedded:{}", self.folder().join("store.db").display()),
            Place::Schema(schema) => schema.url(),
        }
    }

    /// The same as the program reads it.
    pub fn settings(&self) -> Database {
        settings(&self.url())
    }

    /// Where logs and files go.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs SQL beside the program.
    pub async fn execute(&self, sql: &str) {
        match &self.place {
            Place::File => {
                let file = rusqlite::Connection::open(self.folder().join("store.db"));
                file.and_then(|file| file.execute_batch(sql)).expect("the statements succeed");
            }
            Place::Schema(schema) => schema.execute(sql).await,
        }
    }
}

/// What the program makes of a URL.
pub fn settings(url: &str) -> Database {
    let flags = BTreeMap::from([("database_url", url.to_owned())]);
    let mut reader = Reader::of(Sources { flags, ..Sources::default() });
    let database = Database::read(&mut reader);
    reader.finish(database).expect("a sound URL")
}
