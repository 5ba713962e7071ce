//! Contention on one order or account: how long an operation is tried, the pauses between its tries,
//! and the error at the end. The mechanisms are in `db/common`; the lease is in `pending_index`.

use std::time::Duration;

use tokio::time::Instant;

use crate::db::common::retry::Backoff;
use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// How long an operation, or one step that cannot be given up (capture, reversal, compensation), is
/// tried, however long its client would wait. Shorter than a lease, so that an owner gives up before recovery takes its attempt over.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between tries: the first about one LWT long, with jitter, so that writers which met in one
/// Paxos round do not meet in the next.
pub(super) const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(4), Duration::from_millis(250));

/// The context of a write, its deadline capped by [`OPERATION_TIMEOUT`].
pub(super) fn capped(context: ActContext) -> ActContext {
    let remaining = context.deadline().saturating_duration_since(Instant::now());
    context.with_timeout(remaining.min(OPERATION_TIMEOUT))
}

/// The deadline passed because of other writes to the same order or account.
pub(super) fn contended() -> StorageError {
    let text = "other writes to the same order, user or item did not leave it time to end";
    StorageError::new(ErrorKind::Conflict, text)
}
