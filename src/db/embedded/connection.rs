//! Opening the file.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::io::Errno;

use super::error::open_error;
use crate::db::MigrationPolicy;
use crate::db::storage::{ErrorKind, StorageError};

/// Longer than any group commit or chunk of a load of another process holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// For the file's owner alone; SQLite gives the log and its index the mode of the file.
const FILE_MODE: u32 = 0o600;
/// Pages in the write-ahead log before a load copies them into the file, within its commit.
const LOAD_CHECKPOINT_PAGES: u32 = 16_000;
/// Bytes that the log file may keep on disk after a checkpoint.
const KEPT_LOG_BYTES: u32 = 64 << 20;

/// Prepared statements that a connection caches: more than there are, partial updates apart.
const STATEMENTS: usize = 128;

/// SQLite's page cache of one reader, in KiB (negative by its convention): the inner pages of ten
/// million games, so that a point read asks the operating system for its leaf alone. The leaves are
/// in the system's own cache.
const READ_CACHE: i32 = -16_384;

/// A connection that can read and write.
pub(super) fn open(path: &Path, policy: MigrationPolicy) -> Result<Connection, StorageError> {
    if policy == MigrationPolicy::Migrate {
        create_folder(path)?;
    }
    refuse_network(path)?;
    if policy == MigrationPolicy::Migrate {
        create_file(path);
    }
    let create = match policy {
        MigrationPolicy::Migrate => OpenFlags::SQLITE_OPEN_CREATE,
        MigrationPolicy::Require => OpenFlags::empty(),
    };
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | create)
}

/// A connection for reads only. (The file itself must be opened for writing, because readers of
/// a write-ahead log take part in its index.)
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StorageError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .pragma_update(None, "query_only", true)
        .and_then(|()| connection.pragma_update(None, "cache_size", READ_CACHE))
        .map_err(open_error("open", path))?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StorageError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(open_error("open", path))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(open_error("open", path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection for checkpoints only.
pub(super) fn open_for_checkpoints(path: &Path) -> Result<Connection, StorageError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The first read opens the log. A connection that has not opened it does not remove it if it is
    // the last one to be closed.
    connection.pragma_query(None, "user_version", |_| Ok(())).map_err(open_error("open", path))?;
    Ok(connection)
}

/// The settings of a writer's connection. With FULL every commit is synced to disk. Its checkpoints
/// are made by [`super::checkpoint`].
pub(super) fn tuned(connection: Connection) -> Result<Connection, StorageError> {
    set(&connection, &[("synchronous", "FULL")], 0)?;
    Ok(connection)
}

/// The same for the file of the activities, whose jobs change many pages each. The pages that a savepoint
/// changes are kept in memory, not in a temporary file.
pub(super) fn tuned_for_activities(connection: Connection) -> Result<Connection, StorageError> {
    connection.set_prepared_statement_cache_capacity(2 * STATEMENTS);
    let settings = [("synchronous", "FULL"), ("cache_size", "-32768"), ("temp_store", "MEMORY")];
    set(&connection, &settings, 0)?;
    Ok(connection)
}

/// Writes a first frame to the write-ahead log: before every read from a file with an empty log
/// SQLite asks the operating system for the file's size. A read-only file stays as it is.
pub(super) fn prime_wal(connection: &Connection) {
    // A row that every file has.
    if let Err(error) =
        connection.execute("UPDATE schema_steps SET checksum = checksum WHERE step = 0", ())
    {
        tracing::warn!(%error, "the database file cannot be written, or is busy");
    }
}

/// The settings of a load's connection, which chooses for each commit whether it is synced.
pub(super) fn tuned_for_loads(connection: Connection) -> Result<Connection, StorageError> {
    set(&connection, &[("cache_size", "-65536")], LOAD_CHECKPOINT_PAGES)?;
    Ok(connection)
}

fn set(
    connection: &Connection,
    settings: &[(&str, &str)],
    checkpoint_pages: u32,
) -> Result<(), StorageError> {
    for (name, value) in settings {
        connection.pragma_update(None, name, value).map_err(super::error::internal)?;
    }
    connection
        .pragma_update(None, "wal_autocheckpoint", checkpoint_pages)
        .and_then(|()| connection.pragma_update(None, "journal_size_limit", KEPT_LOG_BYTES))
        .map_err(super::error::internal)
}

/// Makes an empty file, which is an empty database, unless there is one.
fn create_file(path: &Path) {
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    // What stands in the way SQLite finds too, and says it in its own words.
    drop(created);
}

fn create_folder(path: &Path) -> Result<(), StorageError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|e| {
        let text = format!("cannot create the folder {} of the database: {e}", folder.display());
        StorageError::with_source(ErrorKind::Invalid, text, e)
    })
}

/// Locks and shared memory do not work over a network: the file would break under two servers.
pub(super) fn refuse_network(path: &Path) -> Result<(), StorageError> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let kind = match rustix::fs::statfs(folder) {
        Ok(stat) => stat.f_type,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => {
            let text = format!("cannot read the folder {}: {e}", folder.display());
            return Err(StorageError::with_source(ErrorKind::Invalid, text, e));
        }
    };
    let Some((_, name)) = NETWORK_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == kind as u32)
    else {
        return Ok(());
    };
    let text = format!(
        "{} is on a network file system ({name}), where an embedded database would break; \
         use a local folder, or another backend by --database-url",
        folder.display()
    );
    Err(StorageError::new(ErrorKind::Invalid, text))
}

/// Numbers of linux/magic.h and of the file systems' own headers.
const NETWORK_FILE_SYSTEMS: [(u32, &str); 9] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0102_1997, "9P"),
];
