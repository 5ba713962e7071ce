//! How full the queue is, and whether another message may be accepted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::ActivityMetrics;
use super::worker::LEASE;
use crate::db::storage::{ActivityStore, QueueStatus, StorageError, WorkerRecord};

/// How often the store is asked.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);
/// The longest that a client is told to wait.
const LONGEST_RETRY: f64 = 60.0;
/// Weight of the newest interval in the rate.
const WEIGHT: f64 = 0.2;

/// Limits of the queue; a message beyond one of them is refused.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Messages.
    pub messages: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Age of the oldest.
    pub age: Duration,
}

/// What is known of the queue; a few messages may have come since.
#[derive(Debug)]
pub struct QueueMonitor {
    limits: QueueLimits,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    status: QueueStatus,
    at: Instant,
    /// Accepted here since then.
    accepted: u64,
    accepted_bytes: u64,
    /// Messages that leave the queue in a second.
    drained: f64,
    worker: Option<(WorkerRecord, Instant)>,
}

/// The queue is full; nothing was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// The limit that is reached: its setting.
    pub limit: &'static str,
    /// Seconds after which there may be room, 1 to 60.
    pub retry_after: u32,
}

impl QueueMonitor {
    pub(super) fn new(limits: QueueLimits) -> Self {
        let known = Known {
            status: QueueStatus::default(),
            at: Instant::now(),
            accepted: 0,
            accepted_bytes: 0,
            drained: 0.0,
            worker: None,
        };
        Self { limits, known: Mutex::new(known) }
    }

    /// Whether a message of so many bytes may be queued.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn admit(&self, bytes: usize) -> Result<(), Full> {
        let mut known = self.lock();
        let bytes = bytes as u64;
        let messages = known.status.messages + known.accepted;
        let all_bytes = known.status.bytes + known.accepted_bytes + bytes;
        let limit = if messages >= self.limits.messages {
            "--activities-queue-messages"
        } else if all_bytes > self.limits.bytes {
            "--activities-queue-bytes"
        } else if known.status.oldest.is_some_and(|oldest| oldest > self.limits.age) {
            "--activities-queue-age"
        } else {
            known.accepted += 1;
            known.accepted_bytes += bytes;
            return Ok(());
        };
        // A tenth of the queue makes room for a while.
        let seconds = messages as f64 / 10.0 / known.drained.max(0.1);
        Err(Full { limit, retry_after: seconds.clamp(1.0, LONGEST_RETRY).ceil() as u32 })
    }

    /// What was last known.
    #[must_use]
    pub fn status(&self) -> QueueStatus {
        self.lock().status
    }

    /// Whether a worker of any program has shown that it lives.
    #[must_use]
    pub fn has_worker(&self) -> bool {
        let known = self.lock();
        let is_alive = |(record, since): &(WorkerRecord, Instant)| {
            record.owner.is_some() && since.elapsed() < 2 * LEASE
        };
        known.worker.as_ref().is_some_and(is_alive)
    }

    /// Asks the store again and again; never ends.
    pub(super) async fn run(&self, store: &dyn ActivityStore, metrics: &ActivityMetrics) {
        loop {
            if let Err(error) = self.ask(store, metrics).await {
                tracing::debug!(%error, "the state of the queue is unknown");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn ask(
        &self,
        store: &dyn ActivityStore,
        metrics: &ActivityMetrics,
    ) -> Result<(), StorageError> {
        // What is accepted while the store answers may not be in the answer, so it goes on counting.
        let asked = self.accepted();
        let status = store.queue_status().await?;
        self.note(status, asked);
        let record = store.worker().await?;
        self.note_worker(record);
        metrics.queued.set(i64::try_from(status.messages).unwrap_or(i64::MAX));
        metrics.queued_bytes.set(i64::try_from(status.bytes).unwrap_or(i64::MAX));
        metrics.oldest.set(status.oldest.unwrap_or_default().as_secs_f64());
        metrics.worker.set(i64::from(self.has_worker()));
        Ok(())
    }

    /// Messages and bytes that were accepted here since the last answer.
    fn accepted(&self) -> (u64, u64) {
        let known = self.lock();
        (known.accepted, known.accepted_bytes)
    }

    /// Notes an answer; `asked` had been accepted when the question was asked.
    fn note(&self, status: QueueStatus, asked: (u64, u64)) {
        let mut known = self.lock();
        let seconds = known.at.elapsed().as_secs_f64().max(0.001);
        // What other servers accepted is not known, so this is at most too low.
        let left = (known.status.messages + asked.0).saturating_sub(status.messages);
        known.drained += WEIGHT * (left as f64 / seconds - known.drained);
        (known.status, known.at) = (status, Instant::now());
        known.accepted = known.accepted.saturating_sub(asked.0);
        known.accepted_bytes = known.accepted_bytes.saturating_sub(asked.1);
    }

    fn note_worker(&self, record: WorkerRecord) {
        let mut known = self.lock();
        if known.worker.as_ref().is_none_or(|(seen, _)| *seen != record) {
            known.worker = Some((record, Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> QueueMonitor {
        QueueMonitor::new(QueueLimits { messages: 10, bytes: 100, age: Duration::from_secs(60) })
    }

    fn status(messages: u64, bytes: u64, oldest: u64) -> QueueStatus {
        QueueStatus { messages, bytes, oldest: Some(Duration::from_secs(oldest)) }
    }

    #[test]
    fn each_limit_is_named_when_it_is_reached() {
        for (status, bytes, limit) in [
            (status(10, 1, 1), 1, "--activities-queue-messages"),
            (status(1, 95, 1), 6, "--activities-queue-bytes"),
            (status(1, 1, 61), 1, "--activities-queue-age"),
        ] {
            let monitor = monitor();
            monitor.note(status, (0, 0));
            assert_eq!(monitor.admit(bytes).unwrap_err().limit, limit);
        }
    }

    #[test]
    fn what_was_accepted_since_counts() {
        let monitor = monitor();
        for _ in 0..10 {
            monitor.admit(1).unwrap();
        }
        let full = monitor.admit(1).unwrap_err();
        assert!((1..=60).contains(&full.retry_after));
        // One was accepted after the question.
        monitor.note(status(9, 9, 0), (9, 9));
        assert!(monitor.admit(1).is_err());
        monitor.note(status(3, 3, 0), (1, 1));
        monitor.admit(1).unwrap();
    }
}
