//! Errors of the stream, with their causes.

use crate::db::storage::{ErrorKind, StorageError};

type Source = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn away(text: &'static str, error: impl Into<Source>) -> StorageError {
    StorageError::with_source(ErrorKind::Unavailable, text, error)
}

pub(super) fn unknown(text: &'static str, error: impl Into<Source>) -> StorageError {
    StorageError::with_source(ErrorKind::Timeout, text, error)
}

pub(super) fn unreadable(error: impl Into<Source>) -> StorageError {
    away("the stream cannot be read", error)
}

/// The same as an error that may pass: the settings of the stream may be corrected while servers run.
pub(super) fn unavailable(error: StorageError) -> StorageError {
    match error.kind() {
        ErrorKind::Invalid => StorageError::new(ErrorKind::Unavailable, error.to_string()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_with_its_causes() {
        let error = away("the stream cannot be read", unreadable("no answer"));
        assert_eq!(
            error.with_causes(),
            "the stream cannot be read: the stream cannot be read: no answer"
        );
    }
}
