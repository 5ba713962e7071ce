//! Whether the path still leads to the files that are open.
//!
//! When a file is deleted or replaced, the connections go on with the old one, which nobody will find
//! after a restart: a commit there must not be answered as a success.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::db::storage::{ErrorKind, StorageError};

/// Device and inode.
type Inode = (u64, u64);

/// The database's file, its log and the log's index, as they were when they were opened.
#[derive(Debug)]
pub(super) struct FileIdentity {
    path: PathBuf,
    file: Inode,
    /// The log and its index. SQLite does not remove them while a connection is open.
    beside: Vec<(PathBuf, Inode)>,
    /// Set once, and for good: what was written meanwhile is in the files that are gone.
    is_lost: AtomicBool,
}

impl FileIdentity {
    /// Of a file that has been opened, and read or written since, so that its log is there.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        // SQLite puts the log beside the file that a link leads to.
        let path = fs::canonicalize(path).map_err(|_| lost(path))?;
        let file = inode(&path).ok_or_else(|| lost(&path))?;
        let beside = ["-wal", "-shm"].into_iter().filter_map(|suffix| {
            let mut name = OsString::from(&path);
            name.push(suffix);
            let file = PathBuf::from(name);
            inode(&file).map(|inode| (file, inode))
        });
        let beside = beside.collect();
        Ok(Self { path, file, beside, is_lost: AtomicBool::new(false) })
    }

    /// Fails if a former check has failed. Costs a read of the processor's cache.
    pub(super) fn known(&self) -> Result<(), StorageError> {
        // Relaxed, because the flag orders no other memory.
        if self.is_lost.load(Ordering::Relaxed) { Err(lost(&self.path)) } else { Ok(()) }
    }

    /// Fails if a file is not where it was opened, now or at a former check; the first time that is
    /// logged. Costs a `stat` for each file.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.known()?;
        let is_there = |file: &Path, opened: Inode| inode(file) == Some(opened);
        if is_there(&self.path, self.file)
            && self.beside.iter().all(|(file, opened)| is_there(file, *opened))
        {
            return Ok(());
        }
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            tracing::error!(
                file = %self.path.display(),
                "the database file or its -wal or -shm was deleted or replaced while the server \
                 runs: no request is answered until a restart"
            );
        }
        Err(lost(&self.path))
    }
}

fn inode(file: &Path) -> Option<Inode> {
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn lost(path: &Path) -> StorageError {
    let text = format!("the database file {} was deleted or replaced", path.display());
    StorageError::new(ErrorKind::Unavailable, text)
}
