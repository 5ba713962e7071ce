//! One transaction, from its release to its record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::keys::CreatedKeys;
use super::super::target::{FailureKind, LoadTarget};
use super::recorder::{Ended, Recorder, SideKind};

/// What the transactions of a run have in common.
pub(super) struct Context {
    pub(super) target: Arc<dyn LoadTarget>,
    /// From when it was due; then it has failed.
    pub(super) timeout: Duration,
    pub(super) recorder: Recorder,
    pub(super) created: CreatedKeys,
    /// Transactions that are under way.
    pub(super) in_flight: AtomicU32,
}

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    ReadOverview(u32),
    ReadOrder(u32),
    Update(u32),
    Create,
    Checkout(u32),
}

impl Action {
    const fn side(self) -> SideKind {
        match self {
            Self::ReadOverview(_) | Self::ReadOrder(_) => SideKind::Read,
            Self::Update(_) | Self::Create | Self::Checkout(_) => SideKind::Write,
        }
    }
}

/// A transaction that was released, and counts as under way. It is recorded when it is dropped, so that
/// one that panics, or whose runtime ends, is not pending for ever: it has failed with
/// [`FailureKind::Internal`].
pub(super) struct Transaction {
    context: Arc<Context>,
    action: Action,
    /// The second in which it was due.
    second: u16,
    due: Instant,
    sent: Option<Instant>,
    outcome: Result<(), FailureKind>,
}

impl Transaction {
    pub(super) fn new(context: &Arc<Context>, action: Action, second: u16, due: Instant) -> Self {
        context.in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = Err(FailureKind::Internal);
        Self { context: Arc::clone(context), action, second, due, sent: None, outcome }
    }

    /// Sends it, and waits for its end until its time is over.
    pub(super) async fn run(mut self) {
        self.sent = Some(Instant::now());
        let deadline = self.due + self.context.timeout;
        let ended = tokio::time::timeout_at(deadline.into(), self.execute()).await;
        self.outcome = ended.unwrap_or(Err(FailureKind::Timeout));
    }

    async fn execute(&self) -> Result<(), FailureKind> {
        let target = &self.context.target;
        match self.action {
            Action::ReadOverview(key) => target.read_overview(key).await,
            Action::ReadOrder(number) => target.read_order(number).await,
            Action::Update(key) => target.update(key).await,
            Action::Create => target.create().await.map(|key| self.context.created.add(key)),
            Action::Checkout(number) => target.checkout(number).await,
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let now = Instant::now();
        // One that timed out has its full time, however late or early that was noticed.
        let time = match self.outcome {
            Err(FailureKind::Timeout) => self.context.timeout,
            _ => now.saturating_duration_since(self.due),
        };
        self.context.recorder.record(&Ended {
            second: self.second,
            side: self.action.side(),
            lag: micros(self.sent.unwrap_or(now).saturating_duration_since(self.due)),
            time: micros(time),
            outcome: self.outcome,
        });
        self.context.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
