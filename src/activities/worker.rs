//! The worker: applies queued messages, one worker at a time for a store.
//!
//! A worker stands by until the active one has ended or has shown no sign of life for a whole lease, by
//! its own clock. The lease's token fences the old one: the store refuses its late writes. After a worker
//! that ended without giving the lease up, any message that it may have had in hand may be what killed it:
//! these are applied one by one, and each such attempt is counted before it begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::metrics::{ActivityMetrics, KindLabel};
use super::model::{Rejection, RejectionKind};
use super::outcomes::Outcomes;
use crate::db::storage::{
    ActivityStore, Applied, ErrorKind, QueuedMessage, StorageError, WorkerLease, WorkerRecord,
};

/// How long a worker that shows no sign of life keeps its lease.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// How often it shows one, and how often others look.
const RENEWAL: Duration = Duration::from_millis(500);
/// Messages that are applied together.
const BATCH: u32 = 256;
/// How long an idle worker waits for messages before it looks again.
const IDLE: Duration = Duration::from_millis(500);
/// At this attempt to apply a message alone its worker has died ten times.
const LAST_ATTEMPT: u32 = 10;
/// Between two tries when the store is away, or a table is locked.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Ended messages that are removed at a time, and how often.
const PRUNED: u32 = 500;
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// Applies the messages of a store.
pub(super) struct Worker {
    pub(super) store: Arc<dyn ActivityStore>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) metrics: ActivityMetrics,
    /// How long applied messages are kept.
    pub(super) keep: Duration,
    /// Names this worker for operators.
    pub(super) owner: String,
}

/// Why a worker stops applying.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Stopped,
    LeaseLost,
}

impl Worker {
    /// Works until it is told to stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        while let Some((lease, is_after_crash)) = self.stand_by(stop).await {
            tracing::info!(token = lease.token, is_after_crash, "worker of activities is active");
            self.metrics.active.set(1);
            let end = tokio::select! {
                () = self.keep_lease(lease) => End::LeaseLost,
                end = self.work(lease, is_after_crash, stop) => end,
            };
            self.metrics.active.set(0);
            if end == End::LeaseLost {
                tracing::warn!(token = lease.token, "worker of activities lost its lease");
            } else if let Err(error) = self.store.release(lease).await {
                tracing::warn!(%error, "the lease of the worker runs out by itself");
            }
        }
    }

    /// Waits for the lease; whether the previous worker may have died. `None` when told to stop.
    async fn stand_by(&self, stop: &CancellationToken) -> Option<(WorkerLease, bool)> {
        let mut seen: Option<(WorkerRecord, Instant)> = None;
        while !stop.is_cancelled() {
            match self.try_to_take_over(&mut seen).await {
                Ok(Some(taken)) => return Some(taken),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the worker's lease cannot be read"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(RENEWAL) => {}
            }
        }
        None
    }

    async fn try_to_take_over(
        &self,
        seen: &mut Option<(WorkerRecord, Instant)>,
    ) -> Result<Option<(WorkerLease, bool)>, StorageError> {
        // Before the read: between two reads of the same record its owner was silent.
        let begun = Instant::now();
        let record = self.store.worker().await?;
        let since = match seen {
            Some((known, since)) if *known == record => *since,
            _ => {
                *seen = Some((record.clone(), Instant::now()));
                begun
            }
        };
        let has_owner = record.owner.is_some();
        if has_owner && begun.saturating_duration_since(since) < LEASE {
            return Ok(None);
        }
        let lease = self.store.take_over(&record, &self.owner).await?;
        Ok(lease.map(|lease| (lease, has_owner)))
    }

    /// Shows signs of life until the lease is lost.
    async fn keep_lease(&self, lease: WorkerLease) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < LEASE {
            sleep(RENEWAL).await;
            match self.store.renew(lease).await {
                // The store has just confirmed the lease; a long batch may have delayed that. What fences
                // a worker that is wrong here is the store.
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return,
                Err(error) => tracing::debug!(%error, "the worker's lease cannot be renewed"),
            }
        }
    }

    async fn work(
        &self,
        lease: WorkerLease,
        is_after_crash: bool,
        stop: &CancellationToken,
    ) -> End {
        if is_after_crash && self.apply_suspects(lease, stop).await == Err(End::LeaseLost) {
            return End::LeaseLost;
        }
        let mut pace = Pace::default();
        let mut next_prune = Instant::now();
        while !stop.is_cancelled() {
            match self.step(lease, pace.batch, &mut next_prune, stop).await {
                Ok(Step::Went) => pace.went(),
                Ok(Step::Blocked) => pace.wait(stop).await,
                Ok(Step::LeaseLost) => return End::LeaseLost,
                Ok(Step::FailedAlone(message, error)) => {
                    self.after_failing_alone(lease, message, &error, &mut pace, stop).await;
                }
                Err(error) => {
                    log(&error);
                    pace.failed();
                    pace.wait(stop).await;
                }
            }
        }
        End::Stopped
    }

    /// Applies the next messages, or waits for some.
    async fn step(
        &self,
        lease: WorkerLease,
        batch: u32,
        next_prune: &mut Instant,
        stop: &CancellationToken,
    ) -> Result<Step, StorageError> {
        if *next_prune <= Instant::now() {
            *next_prune = Instant::now() + self.prune(lease).await;
        }
        let messages = self.store.next(lease, batch).await?;
        if messages.is_empty() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.store.wait_for_messages(IDLE) => {}
            }
            return Ok(Step::Went);
        }
        self.apply(lease, messages).await
    }

    /// Removes what has ended long ago; how long to wait before the next time.
    async fn prune(&self, lease: WorkerLease) -> Duration {
        match self.store.prune(lease, self.keep, PRUNED).await {
            // While there is more it goes on, between batches.
            Ok(PRUNED..) => Duration::ZERO,
            Ok(_) => PRUNE_INTERVAL,
            Err(error) => {
                // Messages are applied all the same.
                tracing::debug!(%error, "ended messages cannot be removed");
                PRUNE_INTERVAL
            }
        }
    }

    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Step, StorageError> {
        let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
        let alone = (messages.len() == 1).then(|| messages[0].clone());
        let begun = Instant::now();
        let outcomes = match (self.store.apply(lease, messages).await, alone) {
            (Ok(Applied::Outcomes(outcomes)), _) => outcomes,
            (Ok(Applied::LeaseLost), _) => return Ok(Step::LeaseLost),
            (Err(error), Some(message)) if error.kind() == ErrorKind::Internal => {
                return Ok(Step::FailedAlone(message, error));
            }
            (Err(error), _) => return Err(error),
        };
        self.metrics.apply.observe(begun.elapsed().as_secs_f64());
        let ended = outcomes.len();
        for outcome in outcomes {
            self.count(outcome.as_ref());
        }
        self.outcomes.publish(ids.iter().copied().take(ended));
        Ok(if ended == 0 { Step::Blocked } else { Step::Went })
    }

    fn count(&self, outcome: Option<&Rejection>) {
        match outcome {
            None => self.metrics.applied.inc(),
            Some(rejection) => {
                let label = KindLabel { kind: rejection.kind.as_str() };
                self.metrics.rejected.get_or_create(&label).inc()
            }
        };
    }

    /// Applies one by one what the dead worker may have had in hand.
    async fn apply_suspects(
        &self,
        lease: WorkerLease,
        stop: &CancellationToken,
    ) -> Result<(), End> {
        let mut pace = Pace::default();
        let suspects = loop {
            match self.store.next(lease, BATCH).await {
                Ok(messages) => break messages,
                Err(error) => pace.after(&error, stop).await?,
            }
        };
        for message in suspects {
            pace.went();
            let attempts = loop {
                match self.store.note_attempt(lease, message.id).await {
                    Ok(Some(attempts)) => break attempts,
                    Ok(None) => return Err(End::LeaseLost),
                    Err(error) => pace.after(&error, stop).await?,
                }
            };
            loop {
                match self.apply_alone(lease, message.clone(), attempts).await {
                    Ok(Step::Went) => break,
                    Ok(Step::Blocked) => pace.wait(stop).await,
                    Ok(Step::LeaseLost) => return Err(End::LeaseLost),
                    Ok(Step::FailedAlone(message, error)) => {
                        if self.after_failing_alone(lease, message, &error, &mut pace, stop).await {
                            break;
                        }
                    }
                    Err(error) => pace.after(&error, stop).await?,
                }
                if stop.is_cancelled() {
                    return Err(End::Stopped);
                }
            }
        }
        Ok(())
    }

    async fn apply_alone(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        attempts: u32,
    ) -> Result<Step, StorageError> {
        if attempts < LAST_ATTEMPT {
            return self.apply(lease, vec![message]).await;
        }
        let error = format!("The worker died {LAST_ATTEMPT} times while it applied the message.");
        self.reject(lease, message, RejectionKind::WorkerDied, error).await
    }

    /// Waits after a message failed alone. One that has done so often is rejected, though the reason is not
    /// known: it must not block those behind it. Whether it was.
    async fn after_failing_alone(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        error: &StorageError,
        pace: &mut Pace,
        stop: &CancellationToken,
    ) -> bool {
        log(error);
        let mut is_rejected = false;
        if pace.failed_alone() {
            let error = "The database refuses the message each time; the server's log says why.";
            let rejected =
                self.reject(lease, message, RejectionKind::Refused, error.to_owned()).await;
            is_rejected = rejected.is_ok();
        }
        if is_rejected {
            pace.went();
        }
        pace.wait(stop).await;
        is_rejected
    }

    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        kind: RejectionKind,
        error: String,
    ) -> Result<Step, StorageError> {
        let id = message.id;
        let rejection = Rejection { kind, activity: None, table: None, column: None, error };
        match self.store.reject(lease, message, rejection).await? {
            Applied::LeaseLost => Ok(Step::LeaseLost),
            Applied::Outcomes(outcomes) => {
                outcomes.iter().for_each(|outcome| self.count(outcome.as_ref()));
                self.outcomes.publish([id].into_iter());
                Ok(Step::Went)
            }
        }
    }
}

/// What became of a step.
enum Step {
    Went,
    /// No message could be applied yet.
    Blocked,
    /// A message failed that was applied alone, and not because the store is away.
    FailedAlone(QueuedMessage, StorageError),
    LeaseLost,
}

/// Waits longer and takes fewer messages while steps fail.
struct Pace {
    batch: u32,
    pause: Duration,
    /// How often the present message has failed alone.
    failed_alone: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: BATCH, pause: FIRST_PAUSE, failed_alone: 0 }
    }
}

impl Pace {
    fn went(&mut self) {
        self.pause = FIRST_PAUSE;
        self.failed_alone = 0;
        self.batch = (self.batch * 2).min(BATCH);
    }

    /// If one message makes the step fail, those before it pass with a smaller batch.
    fn failed(&mut self) {
        self.batch = (self.batch / 2).max(1);
    }

    /// Counts a failure of the present message; whether it has failed often enough to be rejected.
    fn failed_alone(&mut self) -> bool {
        self.failed_alone += 1;
        self.failed_alone >= LAST_ATTEMPT
    }

    async fn wait(&mut self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(self.pause) => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Waits after a failure; an error when told to stop.
    async fn after(&mut self, error: &StorageError, stop: &CancellationToken) -> Result<(), End> {
        log(error);
        self.wait(stop).await;
        if stop.is_cancelled() { Err(End::Stopped) } else { Ok(()) }
    }
}

fn log(error: &StorageError) {
    let cause = std::error::Error::source(error);
    tracing::warn!(%error, cause, "activities cannot be applied, trying again");
}
