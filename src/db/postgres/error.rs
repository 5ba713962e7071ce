//! The driver's errors become ours here; the server's are known by their codes, never by words.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::db::storage::{ErrorKind, StorageError};

/// What the driver does not tell: that it never ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver's own error.
    Driver(Error),
    /// There was no answer in time.
    Late,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

/// The error of an act on an open store.
pub(super) fn storage(failure: impl Into<Failure>) -> StorageError {
    let error = match failure.into() {
        Failure::Driver(error) => error,
        Failure::Late => return late(),
    };
    let (kind, message) = match error.code() {
        None if error.is_closed() || is_io(&error) => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL broke")
        }
        None => (ErrorKind::Internal, "PostgreSQL and this program do not understand each other"),
        Some(code) => of_code(code),
    };
    StorageError::with_source(kind, message, error)
}

fn is_io(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

fn of_code(code: &SqlState) -> (ErrorKind, &'static str) {
    match code {
        &SqlState::DISK_FULL => (ErrorKind::Unavailable, "the disk of PostgreSQL is full"),
        &SqlState::TOO_MANY_CONNECTIONS => {
            (ErrorKind::Unavailable, "PostgreSQL has no further connection for us")
        }
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            (ErrorKind::Unavailable, "PostgreSQL takes no writes: it is read-only or a replica")
        }
        &SqlState::QUERY_CANCELED => (ErrorKind::Timeout, "PostgreSQL took too long"),
        &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        | &SqlState::LOCK_NOT_AVAILABLE => (ErrorKind::Conflict, "others were in the way"),
        code => of_class(code.code()),
    }
}

/// The first two characters tell the class: see appendix A of PostgreSQL's manual.
fn of_class(code: &str) -> (ErrorKind, &'static str) {
    match code.get(..2) {
        Some("08") => (ErrorKind::Unavailable, "the connection to PostgreSQL broke"),
        Some("53") => (ErrorKind::Unavailable, "PostgreSQL is short of something"),
        Some("57") => (ErrorKind::Unavailable, "PostgreSQL is starting, stopping or was restarted"),
        Some("58") => (ErrorKind::Unavailable, "PostgreSQL cannot read or write its files"),
        Some("28" | "3D") => (ErrorKind::Unavailable, "PostgreSQL does not let us in any more"),
        Some("42" | "3F" | "XX") => {
            (ErrorKind::Invalid, "the tables are not those of this program, or are damaged")
        }
        _ => (ErrorKind::Internal, "PostgreSQL refused a statement"),
    }
}

/// The error of waiting for a connection.
pub(super) fn pool(error: PoolError) -> StorageError {
    match error {
        // A connection may break while it is new, too.
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            storage(error)
        }
        PoolError::Timeout(_) => StorageError::new(
            ErrorKind::Unavailable,
            "no connection to PostgreSQL became free in time",
        ),
        other => {
            StorageError::with_source(ErrorKind::Internal, "the connections cannot be used", other)
        }
    }
}

/// No answer came in time.
pub(super) fn late() -> StorageError {
    StorageError::new(ErrorKind::Timeout, "PostgreSQL did not answer in time")
}

/// The error of opening a database, for the operator: one sentence that says what to do.
pub(super) fn at(shown: &str, failure: impl Into<Failure>) -> StorageError {
    let error = match failure.into() {
        Failure::Driver(error) => error,
        Failure::Late => return unreachable(shown, "it says nothing"),
    };
    let Some(code) = error.code() else { return unreachable(shown, &deepest(&error)) };
    let (kind, reason) = match code {
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            (ErrorKind::Invalid, "the server refuses the user or the password; correct the URL")
        }
        &SqlState::INVALID_CATALOG_NAME => (
            ErrorKind::Invalid,
            "there is no such database; create it (`createdb`) or name another in the URL",
        ),
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            (ErrorKind::Invalid, "the user may not do that; grant it, or name its owner in the URL")
        }
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            (ErrorKind::Invalid, "it is read-only or a replica; name the primary")
        }
        code => (of_code(code).0, ""),
    };
    let said = error.as_db_error().map_or("", |e| e.message());
    let text = match reason {
        "" => format!("cannot open {shown}: {said}"),
        reason => format!("cannot open {shown}: {reason} ({said})"),
    };
    StorageError::new(kind, text)
}

fn unreachable(shown: &str, cause: &str) -> StorageError {
    let text = format!(
        "cannot reach {shown}: {cause}; is the server running, and are host, port and sslmode right?"
    );
    StorageError::new(ErrorKind::Unavailable, text)
}

/// The innermost cause says the most ("Connection refused").
fn deepest(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
