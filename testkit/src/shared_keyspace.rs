//! Keyspaces that tests use one after the other.
//!
//! Cassandra changes its schema one statement at a time for all clients, and dropping a keyspace takes it
//! up to seconds: with a keyspace of its own for each test that would be most of the time of a run. Here a
//! test gets a keyspace that has its tables already, empties them, and leaves the keyspace to the next
//! one, also of another process and of a later run. There are as many as tests ran at the same time, and
//! some more; those of an older schema are removed by the first test that meets them.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use scylla::client::session::Session;
use storefront::db::MigrationPolicy;

use crate::cassandra::{open, session, settings_of};

/// Each claims the one that was used longest ago: what a killed server still had under way, or a task
/// of a runtime that is ending, has long come to its end there.
const AT_LEAST: usize = 12;
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// The table in which migrations are recorded.
const VERSIONS: &str = "schema_versions";
/// What a lock file holds once its keyspace has all tables.
const READY: &str = "ready";

/// A keyspace with empty tables that nothing else uses.
pub struct SharedKeyspace {
    /// The name, which needs no quotes.
    pub name: String,
    /// Locked while this value lives, or the process.
    _lock: File,
}

impl SharedKeyspace {
    /// Takes one that nothing uses, or makes one.
    pub async fn claim() -> Self {
        let (folder, schema) = (locks(), Schema::read());
        let (name, mut lock) = first_free(&folder, &schema.prefix());
        let settings = settings_of(&name);
        let session = session(&settings).await;
        let known = tables(&session, &name).await;
        let mut state = String::new();
        lock.read_to_string(&mut state).expect("the lock file is readable");
        if known.is_empty() || state != READY {
            lock.set_len(0).expect("the lock file is writable");
            remove_older(&session, &folder, &schema).await;
            drop(open(settings, MigrationPolicy::Migrate).await.expect("the keyspace is made"));
            lock.rewind().expect("the lock file is writable");
            lock.write_all(READY.as_bytes()).expect("the lock file is writable");
        } else {
            empty(&session, &name, &known, &schema).await;
        }
        Self { name, _lock: lock }
    }
}

/// The texts of the migrations.
struct Schema {
    text: String,
}

impl Schema {
    fn read() -> Self {
        let folder = root().join("schema/cassandra");
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("the schema").map(|file| file.unwrap().path()).collect();
        files.sort();
        Self { text: files.iter().map(|file| fs::read_to_string(file).expect("a text")).collect() }
    }

    /// The same for all keyspaces of this working copy.
    fn prefix_of_all() -> String {
        format!("storefront_test_{:08x}_", short_hash(&root().to_string_lossy()))
    }

    /// Another one for each text.
    fn prefix(&self) -> String {
        format!("{}{:08x}_", Self::prefix_of_all(), short_hash(&self.text))
    }

    /// The rows that migrations write.
    fn first_rows(&self) -> impl Iterator<Item = &str> {
        self.text.split(';').filter_map(|part| part.find("INSERT INTO $.").map(|at| &part[at..]))
    }
}

fn short_hash(text: &str) -> u32 {
    // FNV-1a: the same in every process, unlike the hashes of the standard library.
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the workspace")
}

fn locks() -> PathBuf {
    let folder = root().join(".cache/test-keyspaces");
    fs::create_dir_all(&folder).expect("the folder of lock files");
    folder
}

fn first_free(folder: &Path, prefix: &str) -> (String, File) {
    let start = NEXT.fetch_add(1, Ordering::Relaxed);
    let among_the_first = (0..AT_LEAST).map(|step| (start + step) % AT_LEAST);
    let mut numbers = among_the_first.chain(AT_LEAST..);
    numbers
        .find_map(|number| {
            let name = format!("{prefix}{number}");
            try_lock(&folder.join(&name)).map(|lock| (name, lock))
        })
        .expect("numbers do not end")
}

fn try_lock(path: &Path) -> Option<File> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(path);
    let file = file.expect("a lock file");
    file.try_lock().is_ok().then_some(file)
}

async fn tables(session: &Session, keyspace: &str) -> Vec<String> {
    let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let found = session.query_unpaged(text, (keyspace,)).await.expect("the schema is readable");
    let rows = found.into_rows_result().expect("rows");
    rows.rows::<(String,)>().expect("names").map(|row| row.expect("a name").0).collect()
}

/// Leaves the tables as the migrations do.
async fn empty(session: &Session, keyspace: &str, tables: &[String], schema: &Schema) {
    let data = tables.iter().filter(|table| *table != VERSIONS);
    let truncate = data.map(async |table| {
        let text = format!("TRUNCATE {keyspace}.{table}");
        session.query_unpaged(text, ()).await.expect("the table is emptied");
    });
    futures::future::join_all(truncate).await;
    for row in schema.first_rows() {
        let text = row.replace("$.", &format!("{keyspace}."));
        session.query_unpaged(text, ()).await.expect("the row is written");
    }
}

/// Removes keyspaces of this working copy whose schema is another one.
async fn remove_older(session: &Session, folder: &Path, schema: &Schema) {
    let text = "SELECT keyspace_name FROM system_schema.keyspaces";
    let found = session.query_unpaged(text, ()).await.expect("the schema is readable");
    let rows = found.into_rows_result().expect("rows");
    let names = rows.rows::<(String,)>().expect("names").map(|row| row.expect("a name").0);
    let (ours, current) = (Schema::prefix_of_all(), schema.prefix());
    for name in names.filter(|name| name.starts_with(&ours) && !name.starts_with(&current)) {
        let path = folder.join(&name);
        if let Some(_lock) = try_lock(&path) {
            let text = format!("DROP KEYSPACE IF EXISTS {name}");
            session.query_unpaged(text, ()).await.expect("the keyspace is removed");
            fs::remove_file(path).expect("the lock file is removed");
        }
    }
}
