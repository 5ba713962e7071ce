//! The gate: what is checked, and when it is accepted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::metrics::ActivityMetrics;
use super::model::{Activity, MessageId, Work};
use super::outcomes::{Outcomes, Waiter};
use super::queue_monitor::{Full, QueueMonitor};
use super::validate::MessageValidator;
use super::{Invalid, plan};
use crate::db::storage::{
    Accept, ActContext, ActivityStore, ErrorKind, IdempotencyKey, Message, MessageState,
    NewMessage, Retry, StorageError,
};

/// Between two questions to the store for a message that another program may apply.
const FIRST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// How long the last look of a wait may take, so that an answer is no later than that though the store or the
/// queue does not answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests that wait for a message at a time. Each holds one of the server's places for requests; further
/// ones are answered at once.
pub(super) const MAX_WAITS: usize = 256;
/// Seconds after which a client repeats what a queue outside of the store had no room for.
const FULL_RETRY_SECONDS: u32 = 10;

/// Accepts messages.
pub struct Gate {
    pub(super) store: Arc<dyn ActivityStore>,
    pub(super) validator: MessageValidator,
    pub(super) monitor: Arc<QueueMonitor>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) metrics: ActivityMetrics,
    pub(super) waits: Semaphore,
}

/// Why a message was not accepted.
pub enum Refused {
    /// It is wrong.
    Invalid(Invalid),
    /// It is longer than the store can apply.
    TooLong(usize),
    /// The queue is full.
    Full(Full),
    /// The idempotency key belongs to another request.
    KeyReused,
    /// The store failed.
    Store(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

impl Gate {
    /// The store that it queues into.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ActivityStore> {
        &self.store
    }

    /// What is known of the queue.
    #[must_use]
    pub fn monitor(&self) -> &QueueMonitor {
        &self.monitor
    }

    /// The metrics.
    #[must_use]
    pub const fn metrics(&self) -> &ActivityMetrics {
        &self.metrics
    }

    /// Checks a message and counts it.
    ///
    /// # Errors
    /// [`Refused::Invalid`] or [`Refused::TooLong`].
    pub fn check(&self, body: &[u8]) -> Result<Vec<Activity>, Refused> {
        let checked = match std::str::from_utf8(body) {
            Ok(text) => self.validator.check(text),
            Err(_) => Err(Invalid {
                pointer: String::new(),
                what: "not JSON: not in UTF-8".to_owned(),
                is_json: false,
            }),
        };
        match checked {
            Ok(activities) => {
                self.metrics.valid.inc();
                match self.store.max_body() {
                    Some(most) if body.len() > most => Err(Refused::TooLong(most)),
                    _ => Ok(activities),
                }
            }
            Err(invalid) => {
                self.metrics.invalid.inc();
                Err(Refused::Invalid(invalid))
            }
        }
    }

    /// Queues a checked text durably.
    ///
    /// # Errors
    /// Why it is not queued.
    pub async fn accept(&self, context: ActContext, body: &str) -> Result<MessageId, Refused> {
        self.monitor.admit(body.len()).map_err(Refused::Full)?;
        let new = NewMessage { id: MessageId::new(), body: body.into() };
        match self.store.accept(context.clone(), new).await? {
            Accept::Queued(id) => {
                self.count_accepted(&context);
                Ok(id)
            }
            Accept::KeyReused => Err(Refused::KeyReused),
            Accept::Full => Err(Refused::Full(Full {
                limit: "a limit of its stream or server",
                retry_after: FULL_RETRY_SECONDS,
            })),
        }
    }

    /// Queues a rejected message again, with another checked text if one is given.
    ///
    /// # Errors
    /// The queue is full, or the store failed.
    pub async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        body: &str,
    ) -> Result<Retry, Refused> {
        self.monitor.admit(body.len()).map_err(Refused::Full)?;
        let new = NewMessage { id: MessageId::new(), body: body.into() };
        let outcome = self.store.retry(context.clone(), id, new).await?;
        if matches!(outcome, Retry::Queued(_)) {
            self.count_accepted(&context);
        }
        Ok(outcome)
    }

    /// Counts a message that was queued, unless by an earlier request under the key.
    fn count_accepted(&self, context: &ActContext) {
        if !context.key().is_some_and(IdempotencyKey::is_replayed) {
            self.metrics.accepted.inc();
        }
    }

    /// Waits until a message has ended, at most so long; `None` if there is no such message (any more).
    ///
    /// # Errors
    /// The store failed.
    pub async fn wait(
        &self,
        id: MessageId,
        at_most: Duration,
    ) -> Result<Option<Message>, StorageError> {
        let place = self.waits.try_acquire();
        let at_most = if place.is_ok() { at_most } else { Duration::ZERO };
        let deadline = Instant::now() + at_most;
        let waiter = self.outcomes.wait_for(id);
        let mut poll = FIRST_POLL;
        loop {
            let found = timeout_at(deadline + LOOK_TIMEOUT, self.store.find(id)).await;
            let found = found.map_err(not_found_in_time)??;
            let is_queued = found.as_ref().is_some_and(|m| m.state == MessageState::Queued);
            if !is_queued || Instant::now() >= deadline {
                return Ok(found);
            }
            until(&waiter, deadline, poll).await;
            poll = (poll * 2).min(LONGEST_POLL);
        }
    }

    /// What the activities would do now, without doing it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn plan(&self, activities: Vec<Activity>) -> Result<plan::DryRun, StorageError> {
        let catalogue = self.store.catalogue().await?;
        Ok(plan::DryRun::of(&catalogue, &Work::Activities(activities)))
    }
}

fn not_found_in_time(late: tokio::time::error::Elapsed) -> StorageError {
    let text = "the message could not be looked up in time";
    StorageError::with_source(ErrorKind::Timeout, text, late)
}

/// Until the message has ended here, the store is to be asked again, or the deadline.
async fn until(waiter: &Waiter<'_>, deadline: Instant, poll: Duration) {
    let either = async {
        tokio::select! {
            () = waiter.ended() => {}
            () = sleep(poll) => {}
        }
    };
    drop(timeout_at(deadline, either).await);
}
