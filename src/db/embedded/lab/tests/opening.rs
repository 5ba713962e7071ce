//! Opening files that are not the lab's, and one that another process holds.

use super::*;
use crate::db;
use crate::db::storage::{ErrorKind, StorageError};

async fn refused(path: &Path) -> StorageError {
    let opened = db::open_lab(path.to_owned(), &Registry::default()).await;
    opened.err().expect("it is refused")
}

#[tokio::test]
async fn other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    std::fs::write(&path, "not a database, but long enough to be looked at\n".repeat(100)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("it is not an SQLite database"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let path = folder.path().join("games.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE games (id INTEGER)").unwrap();
    drop(other);
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let sentence = "games.db is the database of another program; name another file by --lab-data";
    assert!(error.to_string().ends_with(sentence), "{error}");
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.db");
    ready(&lab(folder.path()).await, &[database("a", "A", SINGLE, 1)]).await;
    let whole = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole / 2).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("malformed"), "{error}");
}

#[tokio::test]
async fn a_file_whose_making_was_interrupted_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lab.db"), "").unwrap();
    let first = lab(folder.path()).await;
    // As after a crash between the schema and the id.
    let other = rusqlite::Connection::open(folder.path().join("lab.db")).unwrap();
    other.execute("DELETE FROM lab", ()).unwrap();
    drop(first);
    let second = lab(folder.path()).await;
    assert_eq!(lab(folder.path()).await.lab_id().await.unwrap(), second.lab_id().await.unwrap());
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _lab = lab(&folder.path().join("new")).await;
    let mode = std::fs::metadata(folder.path().join("new/lab.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds passwords");
}
