//! What every write is given besides its arguments.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::idempotency::{IdempotencyKey, Precondition};

/// How long a write may take by default.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The context of one write. Cloning it makes the context of another part of the same request.
///
/// Every write method takes one, so that what comes next is a field here and changes no signature.
#[derive(Debug, Clone)]
pub struct ActContext {
    deadline: Instant,
    key: Option<IdempotencyKey>,
    precondition: Option<Precondition>,
    permit: Option<Permit>,
}

/// A place among the requests that the server answers at once. It goes along with the write, not
/// with the connection: a client that hangs up leaves the write running, and as long as it runs it
/// uses memory and a place in a queue.
#[derive(Clone)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

impl Permit {
    /// A permit that is given back when the last clone of it is dropped.
    #[must_use]
    pub fn new(held: Arc<dyn Any + Send + Sync>) -> Self {
        Self(held)
    }
}

impl ActContext {
    /// A write with the default timeout, and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        Self { deadline, key: None, precondition: None, permit: None }
    }

    /// The same with another timeout, counted from now.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, ..self }
    }

    /// The same with a deadline that is no later than this from now.
    #[must_use]
    pub fn with_timeout_at_most(self, timeout: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + timeout), ..self }
    }

    /// The same holding a permit until the write has ended.
    #[must_use]
    pub fn with_permit(self, permit: Option<Permit>) -> Self {
        Self { permit, ..self }
    }

    /// The same holding the permit of another write of the same request.
    #[must_use]
    pub fn with_permit_of(self, other: &Self) -> Self {
        self.with_permit(other.permit.clone())
    }

    /// The same under a key, or without one.
    #[must_use]
    pub fn with_key(self, key: Option<IdempotencyKey>) -> Self {
        Self { key, ..self }
    }

    /// The same if a condition holds, or in any case. Only changes and removals of games test it.
    #[must_use]
    pub fn with_precondition(self, precondition: Option<Precondition>) -> Self {
        Self { precondition, ..self }
    }

    /// The key by which a repeat of the write is recognised.
    #[must_use]
    pub const fn key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }

    /// The condition without which a game is not changed.
    #[must_use]
    pub const fn precondition(&self) -> Option<&Precondition> {
        self.precondition.as_ref()
    }

    /// When the write gives up, if it has not begun to change the store by then.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Default for ActContext {
    fn default() -> Self {
        Self::new()
    }
}
