//! The driver: one worker's transactions, released when they are due, whether or not earlier ones have ended
//! (open loop).
//!
//! In this module: [`run`] and whether its numbers may be used ([`DriverOutcome`]). A thread releases what is
//! due ([`release`]), each as a task of its own ([`transaction`]); what has ended is recorded by second
//! ([`recorder`]), and windows are made of it ([`publisher`]). Not here: merging the windows of several
//! workers ([`super::windows`]).
//!
//! A transaction belongs to the second in which it was due, and its time runs from then. So a database, or a
//! driver, that stalls for a second is charged for everything that fell due meanwhile.

mod outcome;
mod progress;
mod publisher;
mod recorder;
mod release;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

pub use self::outcome::{DriverOutcome, LAG_LIMIT};
use self::progress::Progress;
use self::publisher::{LagFacts, Publisher};
use self::recorder::Recorder;
use self::release::{Actions, Release};
use self::transaction::Context;
use super::keys::CreatedKeys;
use super::model::{TRANSACTION_TIMEOUT, WorkerTask};
use super::patterns::Schedule;
use super::target::LoadTarget;
use super::worker_window::WorkerWindow;

/// Runs one worker to its end, or until `stop`, and sends its windows.
///
/// A window is sent one second after its second ended, with what is still pending, and once more, final, when
/// everything in it has ended or timed out; only once if it is complete at first. After a stop nothing is
/// released any more: the last second is cut short, what is under way is waited for, and complete windows are
/// sent at once. A run whose windows nobody receives is stopped. If this future is dropped nothing more is
/// released.
///
/// `task.target` is not looked at; `task.start_at` should be in the future, as what was due before the call
/// is late. Needs a runtime with timers.
pub async fn run(
    task: WorkerTask,
    target: Arc<dyn LoadTarget>,
    windows: Sender<WorkerWindow>,
    stop: CancellationToken,
) -> DriverOutcome {
    Driver { task, target, windows, stop, timeout: TRANSACTION_TIMEOUT }.run().await
}

struct Driver {
    task: WorkerTask,
    target: Arc<dyn LoadTarget>,
    windows: Sender<WorkerWindow>,
    stop: CancellationToken,
    timeout: Duration,
}

impl Driver {
    async fn run(self) -> DriverOutcome {
        let start = instant(self.task.start_at);
        // Cancelled with the caller's token, by a closed channel, and when this future is dropped.
        let stop = self.stop.child_token();
        let _stop_when_dropped = stop.clone().drop_guard();
        let context = Arc::new(Context {
            target: self.target,
            timeout: self.timeout,
            recorder: Recorder::default(),
            created: CreatedKeys::new(),
            in_flight: AtomicU32::new(0),
        });
        let progress = Arc::new(Progress::new(self.task.seconds));
        let release = Release {
            context: Arc::clone(&context),
            progress: Arc::clone(&progress),
            runtime: Handle::current(),
            stop: stop.clone(),
            start,
            seconds: self.task.seconds,
            max_in_flight: self.task.max_in_flight,
            actions: Actions::new(&self.task),
        };
        let thread = std::thread::Builder::new()
            .name(format!("lab-release-{}", self.task.worker))
            .spawn(|| release.run());
        let Ok(thread) = thread else {
            return DriverOutcome::without_thread(self.task.worker);
        };
        let publisher = Publisher {
            context,
            progress,
            windows: self.windows,
            stop: stop.clone(),
            start,
            worker: self.task.worker,
            reads: Schedule::new(self.task.read_pattern, self.task.rate_scale),
            writes: Schedule::new(self.task.write_pattern, self.task.rate_scale),
            lag: LagFacts::default(),
        };
        let lag = publisher.run().await;
        // It has released its last, so that this waits for nothing.
        let facts = thread.join().ok();
        DriverOutcome::new(self.task.worker, stop.is_cancelled(), &lag, facts)
    }
}

/// That moment on the monotonic clock.
fn instant(timestamp: Timestamp) -> Instant {
    let (now, wait) = (Instant::now(), timestamp.duration_since(Timestamp::now()));
    if wait.is_negative() {
        now.checked_sub(wait.unsigned_abs()).unwrap_or(now)
    } else {
        now + wait.unsigned_abs()
    }
}

#[cfg(test)]
mod tests;
