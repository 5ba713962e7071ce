//! Converts the driver's errors into [`StorageError`]. They are recognised by their codes, never by
//! their texts.

use scylla::client::pager::{NextPageError, NextRowError};
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PagerExecutionError, PrepareError, RequestAttemptError,
};

use crate::db::storage::{ErrorKind, StorageError};

/// CAS_WRITE_UNKNOWN of newer protocols.
const OUTCOME_UNKNOWN: i32 = 0x1700;

/// The error of a statement on an open store. A write whose outcome is unknown is a timeout,
/// whatever the driver calls it: it may have been applied although its answer was lost.
pub(super) fn storage(error: ExecutionError, is_read: bool) -> StorageError {
    let (kind, message) = match &error {
        ExecutionError::LastAttemptError(attempt) => attempt_error(attempt, is_read),
        ExecutionError::RequestTimeout(_) => {
            (ErrorKind::Timeout, "the cluster did not answer in time")
        }
        ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => UNREACHABLE,
        _ => REFUSED,
    };
    StorageError::with_source(kind, message, error)
}

const UNREACHABLE: (ErrorKind, &str) =
    (ErrorKind::Unavailable, "no node of the cluster can be reached");
const BROKEN: (ErrorKind, &str) = (ErrorKind::Unavailable, "the connection to the cluster broke");
const UNKNOWN: (ErrorKind, &str) =
    (ErrorKind::Timeout, "the cluster cannot tell whether the write was applied");
const REFUSED: (ErrorKind, &str) = (ErrorKind::Internal, "the cluster refused a statement");

fn attempt_error(error: &RequestAttemptError, is_read: bool) -> (ErrorKind, &'static str) {
    match error {
        RequestAttemptError::DbError(error, _) => server_error(error, is_read),
        RequestAttemptError::BrokenConnectionError(_) if is_read => BROKEN,
        RequestAttemptError::BrokenConnectionError(_) => UNKNOWN,
        RequestAttemptError::UnableToAllocStreamId => {
            (ErrorKind::Unavailable, "too many statements are in flight")
        }
        _ => REFUSED,
    }
}

fn server_error(error: &DbError, is_read: bool) -> (ErrorKind, &'static str) {
    match error {
        DbError::Unavailable { .. } => (ErrorKind::Unavailable, "too few replicas can be reached"),
        DbError::Overloaded | DbError::RateLimitReached { .. } => {
            (ErrorKind::Unavailable, "the cluster is overloaded")
        }
        DbError::IsBootstrapping => (ErrorKind::Unavailable, "the cluster is starting"),
        DbError::TruncateError => {
            (ErrorKind::Unavailable, "the tables can be emptied only while all nodes are up")
        }
        DbError::ReadTimeout { .. } => (ErrorKind::Timeout, "too few replicas answered in time"),
        DbError::ReadFailure { .. } => (ErrorKind::Unavailable, "reading failed on a node"),
        DbError::ServerError if is_read => (ErrorKind::Unavailable, "a node failed"),
        DbError::WriteTimeout { .. }
        | DbError::WriteFailure { .. }
        | DbError::ServerError
        | DbError::Other(OUTCOME_UNKNOWN) => UNKNOWN,
        DbError::Unauthorized | DbError::AuthenticationError => {
            (ErrorKind::Invalid, "the cluster does not allow this to the user of --database-url")
        }
        DbError::Invalid | DbError::ConfigError => {
            (ErrorKind::Invalid, "the tables of the keyspace are not those of this program")
        }
        _ => REFUSED,
    }
}

/// Whether the statement found no working connection.
pub(super) const fn is_unreachable(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::EmptyPlan
            | ExecutionError::ConnectionPoolError(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_))
    )
}

/// Whether a node refused a read, as it does when it would pass too many deleted rows.
pub(super) fn is_read_failure(error: &StorageError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::ReadFailure { .. },
            _
        )))
    )
}

/// The error of preparing a statement when the store is opened.
pub(super) fn preparing(error: PrepareError) -> StorageError {
    let (kind, message) = match &error {
        PrepareError::ConnectionPoolError(_) => UNREACHABLE,
        PrepareError::AllAttemptsFailed { first_attempt } => attempt_error(first_attempt, true),
        _ => REFUSED,
    };
    StorageError::with_source(kind, message, error)
}

/// The error of the first page of a paged read.
pub(super) fn first_page(error: PagerExecutionError) -> StorageError {
    match error {
        PagerExecutionError::NextPageError(error) => page(error),
        other => StorageError::with_source(REFUSED.0, REFUSED.1, other),
    }
}

/// The error of a later page of a paged read.
pub(super) fn next_row(error: NextRowError) -> StorageError {
    match error {
        NextRowError::NextPageError(error) => page(error),
        other => shape(other),
    }
}

fn page(error: NextPageError) -> StorageError {
    match error {
        NextPageError::RequestFailure(error) => storage(error.into_execution_error(), true),
        other => shape(other),
    }
}

/// An answer with other columns than the statement has: a defect.
pub(super) fn shape(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StorageError {
    StorageError::with_source(
        ErrorKind::Internal,
        "the cluster answered with unexpected columns",
        error,
    )
}

/// The error of connecting, for the operator.
pub(super) fn connecting(hosts: &[String], error: &NewSessionError) -> StorageError {
    let (kind, reason) = match error {
        NewSessionError::FailedToResolveAnyHostname(_) => (
            ErrorKind::Invalid,
            "no host of that name is known; correct the hosts of --database-url",
        ),
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(
            ConnectionPoolError::Broken { last_connection_error },
        )) => not_connected(last_connection_error),
        other => {
            let text = format!("cannot use Cassandra at {}", hosts.join(", "));
            return StorageError::with_source(ErrorKind::Unavailable, text, other.clone());
        }
    };
    // Without the driver's error as source, which says less in three lines.
    StorageError::new(kind, format!("cannot use Cassandra at {}: {reason}", hosts.join(", ")))
}

fn not_connected(error: &ConnectionError) -> (ErrorKind, &'static str) {
    match error {
        ConnectionError::ConnectTimeout => {
            (ErrorKind::Unavailable, "it does not answer; is that the right host?")
        }
        ConnectionError::ConnectionSetupRequestError(refused) => match refused.get_error() {
            ConnectionSetupRequestErrorKind::MissingAuthentication => (
                ErrorKind::Invalid,
                "it asks for a user; write cassandra://USER:PASSWORD@HOST/KEYSPACE",
            ),
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _) => (
                ErrorKind::Invalid,
                "it does not know this user or password; correct them in --database-url",
            ),
            _ => (
                ErrorKind::Unavailable,
                "it closed the connection; is that port Cassandra's (usually 9042)?",
            ),
        },
        _ => (
            ErrorKind::Unavailable,
            "nothing listens there; start it, or correct the hosts and port of --database-url",
        ),
    }
}
