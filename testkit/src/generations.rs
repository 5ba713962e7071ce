//! A lab of one test, and the databases that it creates at a real server.

use std::sync::{Arc, Mutex};

use storefront::config::database::Database;
use storefront::db::storage::GenerationStore;
use storefront::db::{self, MigrationPolicy, Stores};
use storefront::lab::model::{Generation, LabId};
use tempfile::TempDir;

use crate::cassandra;
use crate::database::{self, block_on};
use crate::postgres::{self, NEWEST, OLDEST};

/// A lab; all its databases, and those made beside it, are removed with the value.
pub struct OwnLab {
    /// The databases.
    pub store: Arc<dyn GenerationStore>,
    /// The lab.
    pub id: LabId,
    url: String,
    /// Statements that remove what was made beside the lab.
    clean_up: Mutex<Vec<String>>,
    folder: Arc<TempDir>,
}

impl OwnLab {
    /// A new one on the backend of that name.
    pub fn on(backend: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let url = match backend {
            "embedded" => format!("embedded:{}", folder.path().join("store.db").display()),
            "postgres" => postgres::address(NEWEST),
            "postgres15" => postgres::address(OLDEST),
            "cassandra" => cassandra::url_of("storefront_test_nothing"),
            other => panic!("tests know no backend `{other}`"),
        };
        Self::with(url, folder)
    }

    /// A new one at the server of that URL.
    pub fn at(url: &str) -> Self {
        Self::with(url.to_owned(), Arc::new(tempfile::tempdir().expect("a temporary folder")))
    }

    /// Another lab at the same server.
    pub fn another(&self) -> Self {
        Self::with(self.url.clone(), Arc::clone(&self.folder))
    }

    fn with(url: String, folder: Arc<TempDir>) -> Self {
        let id = LabId::new();
        let store = generations(&url, id);
        Self { store, id, url, clean_up: Mutex::default(), folder }
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of an embedded lab.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A number that no other test uses.
    pub fn generation(&self) -> Generation {
        Generation(rand::random())
    }

    /// Opens the stores of a generation, as the holder of its lease does.
    pub async fn open(&self, generation: Generation) -> Stores {
        let settings = database::settings(&self.store.url(generation));
        database::open(&settings, MigrationPolicy::Migrate).await.expect("the store opens")
    }

    /// Runs a statement beside the lab, and `clean_up` at the end.
    pub async fn execute(&self, statement: &str, clean_up: &str) {
        self.clean_up.lock().unwrap().push(clean_up.to_owned());
        execute(&self.url, statement).await;
    }
}

impl Drop for OwnLab {
    fn drop(&mut self) {
        let (store, url) = (Arc::clone(&self.store), self.url.clone());
        let clean_up = std::mem::take(&mut *self.clean_up.lock().unwrap());
        block_on(async move || {
            for generation in store.list().await.expect("the generations") {
                store.remove(generation).await.expect("it is dropped");
            }
            for statement in clean_up {
                execute(&url, &statement).await;
            }
        });
    }
}

/// The databases of that lab at the server of that URL.
pub fn generations(url: &str, lab: LabId) -> Arc<dyn GenerationStore> {
    let database = Database::of(url, None).expect("a sound URL");
    db::generations(&database.url, lab).expect("the lab's databases")
}

async fn execute(url: &str, statement: &str) {
    if url.starts_with("cassandra:") {
        let session = cassandra::session(&cassandra::settings_of("none")).await;
        session.query_unpaged(statement, ()).await.expect("the statement succeeds");
    } else {
        postgres::execute(url, statement).await;
    }
}
