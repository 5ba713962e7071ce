//! What can go wrong below the seam.

use std::borrow::Cow;
use std::error::Error;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The store cannot be reached, is full, read-only or overloaded: try again later.
    Unavailable,
    /// No answer in time: the write may have happened or not.
    Timeout,
    /// Concurrent changes, and retries did not succeed: nothing happened, try again.
    Conflict,
    /// The store refuses what the program asks of it: a wrong schema, a broken file.
    Invalid,
    /// Everything else: a defect.
    Internal,
}

/// A failure of the store: its kind, a sentence for the log and the driver's own error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StorageError {
    /// A failure that has no deeper cause.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A failure that was caused by `source`.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The same failure for another who waited for the same; the driver's error stays with this one.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self { kind: self.kind, message: self.message.clone(), source: None }
    }

    /// The error and its causes, outermost first, in one line: for logs.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn Error), |e| (*e).source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}
