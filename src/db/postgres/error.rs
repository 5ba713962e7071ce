//! The driver's errors become the storage's here. The server's are recognised by their codes, never
//! by their words, which depend on its language.
//!
//! Three mappings: [`storage`] for a statement that failed, [`refusal`] for a row that the database
//! forbids, and [`open_error`] for the operator who starts the program. Which errors another session or
//! another preparation may not have is told by [`is_of_the_session`] and [`is_outdated`].

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::db::storage::{ErrorKind, StorageError, WriteRefusal};

/// How a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver's own error.
    Driver(Error),
    /// There was no answer in time.
    Timeout,
}

impl Failure {
    /// Whether the server, or the role, has as many connections as it may have: an attempt a moment
    /// later may succeed.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Driver(e) if e.code() == Some(&SqlState::TOO_MANY_CONNECTIONS))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

/// The error of a statement on an open store.
pub(super) fn storage(failure: impl Into<Failure>) -> StorageError {
    let error = match failure.into() {
        Failure::Driver(error) => error,
        Failure::Timeout => return timeout(),
    };
    let (kind, message) = match error.code() {
        None if error.is_closed() || is_io(&error) => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL broke")
        }
        None => (ErrorKind::Internal, "an answer of PostgreSQL cannot be decoded"),
        Some(code) => of_code(code),
    };
    StorageError::with_source(kind, message, error)
}

/// Whether a statement must be prepared anew: its table was altered, so that its rows have other types
/// than before, or the server does not know it any more. It has not been run.
pub(super) fn is_outdated(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME)
    )
}

/// Whether an error is due to the session, so that a new one may not have it: its statements are
/// outdated, or it was opened when the server took no writes and keeps that setting. Nothing has been
/// stored.
pub(super) fn is_of_the_session(error: &Error) -> bool {
    is_outdated(error) || is_read_only(error)
}

/// Whether the server takes no writes on this session.
pub(super) fn is_read_only(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether the server ends the session with this error. What it had been told may be stored.
pub(super) fn is_fatal(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// The error of a write to a server that takes none.
pub(super) fn read_only() -> StorageError {
    let (kind, text) = of_code(&SqlState::READ_ONLY_SQL_TRANSACTION);
    StorageError::new(kind, text)
}

/// The driver's error behind one of the storage.
pub(super) fn driver(error: &StorageError) -> Option<&Error> {
    error.source()?.downcast_ref()
}

fn is_io(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

fn of_code(code: &SqlState) -> (ErrorKind, &'static str) {
    match code {
        &SqlState::DISK_FULL => (ErrorKind::Unavailable, "the disk of PostgreSQL is full"),
        &SqlState::TOO_MANY_CONNECTIONS => {
            (ErrorKind::Unavailable, "PostgreSQL accepts no further connection")
        }
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            (ErrorKind::Unavailable, "PostgreSQL takes no writes: it is read-only or a replica")
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            (ErrorKind::Invalid, "the user of the database's URL lacks a right on the tables")
        }
        &SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME => {
            (ErrorKind::Unavailable, "a table was altered since the statement was prepared")
        }
        &SqlState::QUERY_CANCELED => (ErrorKind::Timeout, "PostgreSQL took too long"),
        &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        | &SqlState::LOCK_NOT_AVAILABLE => {
            (ErrorKind::Conflict, "conflict with other transactions")
        }
        code => of_class(code.code()),
    }
}

/// The first two characters are the class: see appendix A of PostgreSQL's manual.
fn of_class(code: &str) -> (ErrorKind, &'static str) {
    match code.get(..2) {
        Some("08") => (ErrorKind::Unavailable, "the connection to PostgreSQL broke"),
        Some("53") => (ErrorKind::Unavailable, "PostgreSQL is out of resources"),
        Some("57") => (ErrorKind::Unavailable, "PostgreSQL is starting, stopping or was restarted"),
        Some("58") => (ErrorKind::Unavailable, "PostgreSQL cannot read or write its files"),
        Some("28" | "3D") => {
            (ErrorKind::Unavailable, "PostgreSQL refuses the user or the database")
        }
        Some("42" | "3F" | "XX") => {
            (ErrorKind::Invalid, "the tables are not those of this program, or are damaged")
        }
        _ => (ErrorKind::Internal, "PostgreSQL refused a statement"),
    }
}

/// What the server's refusal of one row means to its writer; `None` if the error is no such refusal.
pub(super) fn refusal(error: &Error) -> Option<WriteRefusal> {
    let error = error.as_db_error()?;
    let named = error.constraint().or(error.column()).or(error.table());
    refusal_of(error.code(), error.column(), named)
}

fn refusal_of(code: &SqlState, column: Option<&str>, named: Option<&str>) -> Option<WriteRefusal> {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    match *code {
        // RAISE in a trigger without a code, row security, an index entry that is too long.
        SqlState::RAISE_EXCEPTION
        | SqlState::INSUFFICIENT_PRIVILEGE
        | SqlState::PROGRAM_LIMIT_EXCEEDED => Some(WriteRefusal::Forbidden(owned(named))),
        _ => match code.code().get(..2)? {
            "22" => Some(WriteRefusal::Malformed(owned(column))),
            "23" => Some(WriteRefusal::Forbidden(owned(named))),
            class if is_user_defined(class) => Some(WriteRefusal::Forbidden(owned(named))),
            _ => None,
        },
    }
}

/// Whether only rules that the database's owner made use a class of codes. The standard reserves those that
/// begin with 5 to 9 or I to Z for implementations: all but PostgreSQL's own. 45 is the class that other
/// databases give to unhandled conditions of users.
fn is_user_defined(class: &str) -> bool {
    const POSTGRES: [&str; 8] = ["53", "54", "55", "57", "58", "72", "P0", "XX"];
    let is_reserved = matches!(class.as_bytes(), [b'5'..=b'9' | b'I'..=b'Z', _]);
    class == "45" || is_reserved && !POSTGRES.contains(&class)
}

/// The error of an operation that got no connection before its deadline: nothing was done for it.
pub(super) fn no_connection() -> StorageError {
    let text = "no connection to PostgreSQL became free in time";
    StorageError::new(ErrorKind::Unavailable, text)
}

/// The error of an operation while no connection is open and none has been tried.
pub(super) fn unreachable_now() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "PostgreSQL is unreachable")
}

/// The error of a change whose row stayed locked until its deadline: nothing was done for it.
pub(super) fn row_locked() -> StorageError {
    StorageError::new(
        ErrorKind::Conflict,
        "another transaction keeps the row, or another request the idempotency key",
    )
}

/// The error of a statement without an answer in time.
pub(super) fn timeout() -> StorageError {
    StorageError::new(ErrorKind::Timeout, "PostgreSQL did not answer in time")
}

/// The error of opening a database, for the operator: one sentence that tells what to do. `redacted`
/// is its URL without the password.
pub(super) fn open_error(redacted: &str, failure: impl Into<Failure>) -> StorageError {
    let error = match failure.into() {
        Failure::Driver(error) => error,
        Failure::Timeout => return unreachable(redacted, "no answer in time"),
    };
    let Some(code) = error.code() else { return unreachable(redacted, &deepest(&error)) };
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
        "" => format!("cannot open {redacted}: {said}"),
        reason => format!("cannot open {redacted}: {reason} ({said})"),
    };
    StorageError::new(kind, text)
}

fn unreachable(redacted: &str, cause: &str) -> StorageError {
    let text = format!(
        "cannot reach {redacted}: {cause}; is the server running, and are host, port and sslmode right?"
    );
    StorageError::new(ErrorKind::Unavailable, text)
}

/// The innermost cause, such as "Connection refused": the outer ones add nothing for the operator.
fn deepest(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_the_database_forbids_is_refused_by_its_code() {
        let refused = |code| refusal_of(&SqlState::from_code(code), Some("column"), Some("named"));
        let malformed = Some(WriteRefusal::Malformed(Some("column".to_owned())));
        let forbidden = Some(WriteRefusal::Forbidden(Some("named".to_owned())));
        for (code, expected) in [
            ("22001", &malformed),
            ("22021", &malformed),
            ("23502", &forbidden),
            ("23503", &forbidden),
            ("23505", &forbidden),
            ("23514", &forbidden),
            ("P0001", &forbidden),
            ("42501", &forbidden),
            ("54000", &forbidden),
            ("ZX001", &forbidden),
            ("I0000", &forbidden),
            ("90000", &forbidden),
            ("45000", &forbidden),
            ("HV000", &None),
            ("F0000", &None),
            ("P0002", &None),
            ("XX000", &None),
            ("55P03", &None),
            ("72000", &None),
            ("0A000", &None),
            ("42P01", &None),
            ("40001", &None),
            ("53100", &None),
            ("57014", &None),
        ] {
            assert_eq!(&refused(code), expected, "{code}");
        }
        let unnamed = refusal_of(&SqlState::RAISE_EXCEPTION, None, None);
        assert_eq!(unnamed, Some(WriteRefusal::Forbidden(None)));
    }
}
