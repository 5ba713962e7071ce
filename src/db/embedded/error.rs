//! Maps SQLite's errors to [`StorageError`], by code and never by message text.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::db::storage::{ErrorKind, StorageError};

/// The error of an operation on an open store.
pub(super) fn storage(error: Error) -> StorageError {
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::Unavailable, "the disk of the database is full"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorKind::Unavailable, "the database file cannot be written")
        }
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Unavailable, "reading or writing the database file failed")
        }
        Some(ErrorCode::CannotOpen) => {
            (ErrorKind::Unavailable, "the database file cannot be opened")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Conflict, "another process holds the database file")
        }
        Some(ErrorCode::OutOfMemory) => (ErrorKind::Unavailable, "out of memory"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SchemaChanged) => {
            (ErrorKind::Invalid, "the database file is damaged or not a database")
        }
        _ if matches!(error, Error::StatementChangedRows(_)) => {
            (ErrorKind::Conflict, "another process has continued this load")
        }
        _ => (ErrorKind::Internal, "the database refused a statement"),
    };
    StorageError::with_source(kind, message, error)
}

/// An error that only a defect of this program explains.
pub(super) fn internal(error: Error) -> StorageError {
    StorageError::with_source(ErrorKind::Internal, "the database refused a statement", error)
}

/// The error of opening the file, for the operator.
pub(super) fn open_error(action: &'static str, path: &Path) -> impl Fn(Error) -> StorageError {
    move |error| {
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => "it is not an SQLite database".to_owned(),
            Some(ErrorCode::CannotOpen) => {
                "it does not exist, or the permissions of it or its folder do not allow it"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        let text = format!("cannot {action} the database {}: {reason}", path.display());
        // The text holds what the driver said.
        StorageError::new(storage_kind(&error), text)
    }
}

fn storage_kind(error: &Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Conflict,
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}
