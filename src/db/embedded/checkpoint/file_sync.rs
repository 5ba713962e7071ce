//! Syncing the database's file beside SQLite.
//!
//! SQLite syncs the file only when a checkpoint has copied the whole log. Where commits go on
//! meanwhile that is the last one, with the writer held, and it would have to wait for all pages
//! that were copied before. So they are synced while the writer goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files by device and inode. They are never closed: closing any descriptor of a file removes all
/// locks that the process has on it, SQLite's among them (<https://sqlite.org/howtocorrupt.html>,
/// 2.2). A program has one.
static FILES: Mutex<BTreeMap<(u64, u64), Arc<File>>> = Mutex::new(BTreeMap::new());

/// The file, opened for this or a former caller.
///
/// # Errors
/// If it cannot be opened for writing.
pub(super) fn open(path: &Path) -> io::Result<Arc<File>> {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let found = path.metadata()?;
    if let Some(file) = files.get(&(found.dev(), found.ino())) {
        return Ok(Arc::clone(file));
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let opened = file.metadata()?;
    Ok(Arc::clone(files.entry((opened.dev(), opened.ino())).or_insert(Arc::new(file))))
}
