//! What makes a write safe to repeat, and what makes it depend on what is stored.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::overview::model::Overview;

/// A client's name for one request, by which a repeat of it is recognised.
///
/// The key and the outcome of a write that changed the store are stored in the same atomic step as
/// the change. A repeat, on any server, gets that outcome and changes nothing; another request under
/// the same key is refused as [`WriteRefusal::KeyReused`](super::WriteRefusal::KeyReused) or
/// [`CartRefusal::KeyReused`](super::CartRefusal::KeyReused). A refusal changes nothing, so it is not
/// stored: a repeat is judged anew.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    fingerprint: u128,
    kept_for: Duration,
    replayed: AtomicBool,
}

impl IdempotencyKey {
    /// The key `text` of a request with that fingerprint, to be stored for at least `kept_for`.
    #[must_use]
    pub fn new(text: impl Into<String>, fingerprint: u128, kept_for: Duration) -> Self {
        let (text, replayed) = (text.into(), AtomicBool::new(false));
        Self(Arc::new(Inner { text, fingerprint, kept_for, replayed }))
    }

    /// The key as the client gave it, 1 to 255 bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// A hash of the request.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint.to_be_bytes()
    }

    /// How long it is stored at least.
    #[must_use]
    pub fn kept_for(&self) -> Duration {
        self.0.kept_for
    }

    /// Notes that the outcome is that of an earlier request.
    pub fn set_replayed(&self) {
        // The answer that carries the outcome orders it.
        self.0.replayed.store(true, Ordering::Relaxed);
    }

    /// Whether the outcome of the write is that of an earlier request under this key.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.0.replayed.load(Ordering::Relaxed)
    }
}

/// A condition on the game that a write changes, tested in the same atomic step as the change.
#[derive(Clone)]
pub struct Precondition(Arc<dyn Fn(&Overview) -> bool + Send + Sync>);

impl Precondition {
    /// A condition that holds for the games for which `holds` is true.
    pub fn new(holds: impl Fn(&Overview) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    /// Whether it holds for a game as it is stored.
    #[must_use]
    pub fn holds(&self, game: &Overview) -> bool {
        (self.0)(game)
    }
}

impl fmt::Debug for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Precondition")
    }
}
