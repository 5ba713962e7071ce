//! Read connections, one for each thread that reads.
//!
//! A point read takes a few microseconds when its pages are in memory, less than handing it to
//! another thread would; so it runs where it is asked for, on the runtime's own thread.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use thread_local::ThreadLocal;

use super::connection;
use super::error::storage;
use super::identity::FileIdentity;
use crate::db::storage::StorageError;

/// The read connections of one file.
pub(super) struct Readers {
    path: PathBuf,
    identity: Arc<FileIdentity>,
    connections: ThreadLocal<RefCell<Connection>>,
}

impl Readers {
    pub(super) const fn new(path: PathBuf, identity: Arc<FileIdentity>) -> Self {
        Self { path, identity, connections: ThreadLocal::new() }
    }

    /// Reads on this thread's connection, which is opened when the thread first reads. Fails once
    /// the file is known to be gone.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        self.identity.known()?;
        let connection = self.connections.get_or_try(|| self.open())?;
        read(&connection.borrow()).map_err(storage)
    }

    fn open(&self) -> Result<RefCell<Connection>, StorageError> {
        // The path may lead to another file by now. A thread must not read from that one, and SQLite
        // must not open it either: it would take a log that is left beside it for its own.
        self.identity.check()?;
        let connection = connection::open_for_reading(&self.path)?;
        self.identity.check()?;
        Ok(RefCell::new(connection))
    }

    /// Fails if the file is not where it was opened.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.identity.check()
    }
}
