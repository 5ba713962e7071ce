//! Makes the windows of a run, each when it is time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::super::patterns::Schedule;
use super::super::times::Times;
use super::super::worker_window::{WorkerWindow, this_process};
use super::progress::Progress;
use super::recorder::SideKind;
use super::transaction::Context;

/// How often it looks what has ended.
const INTERVAL: Duration = Duration::from_millis(50);
/// A window is published so long after its second began: one second after it ended.
const PUBLISHED_AFTER: Duration = Duration::from_secs(2);

/// Publishes the windows of one worker.
pub(super) struct Publisher {
    pub(super) context: Arc<Context>,
    pub(super) progress: Arc<Progress>,
    pub(super) windows: Sender<WorkerWindow>,
    pub(super) stop: CancellationToken,
    /// When second 0 begins.
    pub(super) start: Instant,
    pub(super) worker: u8,
    pub(super) reads: Schedule,
    pub(super) writes: Schedule,
    pub(super) lag: LagFacts,
}

/// How late transactions were sent.
#[derive(Debug, Default)]
pub(super) struct LagFacts {
    /// In the whole run.
    pub(super) all: Times,
    /// The second of the largest 99th percentile, and that in seconds.
    pub(super) worst: Option<(u16, f64)>,
}

/// Nobody receives windows any more.
struct Closed;

impl Publisher {
    /// Publishes until everything has ended and is final. If nobody receives the windows, it stops the run.
    pub(super) async fn run(mut self) -> LagFacts {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut next, mut open) = (0, Vec::new());
        loop {
            interval.tick().await;
            let ended_after = self.progress.ended_after();
            let published = self.publish(&mut next, &mut open).await;
            if published.is_err() {
                self.stop.cancel();
            }
            let is_all = open.is_empty() && ended_after.is_some_and(|seconds| next >= seconds);
            if is_all || (published.is_err() && ended_after.is_some()) {
                return self.lag;
            }
        }
    }

    /// Publishes the windows for which it is time. `next` is the first second that was not published yet,
    /// `open` are those whose windows were not final.
    async fn publish(&mut self, next: &mut u16, open: &mut Vec<u16>) -> Result<(), Closed> {
        let mut still_open = Vec::new();
        for second in std::mem::take(open) {
            if self.is_complete(second) {
                self.send(second, true).await?;
            } else {
                still_open.push(second);
            }
        }
        *open = still_open;
        while self.is_time_for(*next) {
            let is_final = self.is_complete(*next);
            self.send(*next, is_final).await?;
            if !is_final {
                open.push(*next);
            }
            *next += 1;
        }
        Ok(())
    }

    /// Whether a second's first window is due. After a stop a complete one waits for nothing.
    fn is_time_for(&self, second: u16) -> bool {
        let is_over = self.progress.ended_after().is_some_and(|seconds| second >= seconds);
        let due = self.start + Duration::from_secs(second.into()) + PUBLISHED_AFTER;
        !is_over
            && second < self.progress.seconds()
            && (Instant::now() >= due || (self.stop.is_cancelled() && self.is_complete(second)))
    }

    /// Whether everything that was due in a second has been released and has ended.
    fn is_complete(&self, second: u16) -> bool {
        let sent = |side| self.progress.sent(second, side);
        self.progress.is_done(second)
            && self.context.recorder.ended(second) == sent(SideKind::Read) + sent(SideKind::Write)
    }

    async fn send(&mut self, second: u16, is_final: bool) -> Result<(), Closed> {
        let window = self.window(second, is_final);
        if is_final {
            self.context.recorder.forget(second);
            self.lag.add(second, &window.lag);
        }
        self.windows.send(window).await.map_err(|_| Closed)
    }

    fn window(&self, second: u16, is_final: bool) -> WorkerWindow {
        let stats = self.context.recorder.stats(second);
        let (read, write) = (SideKind::Read, SideKind::Write);
        let unsent = |side| self.progress.unsent(second, side);
        WorkerWindow {
            worker: self.worker,
            second,
            is_final,
            read: stats.read.into_side(self.offered(second, read), unsent(read)),
            write: stats.write.into_side(self.offered(second, write), unsent(write)),
            lag: stats.lag,
            process: this_process(),
            cpu: self.progress.cpu(second),
        }
    }

    /// What was due in a second, or in its part before the stop. While the release is late it is more than
    /// what was released: the rest is pending.
    fn offered(&self, second: u16, side: SideKind) -> u64 {
        if self.progress.is_done(second) {
            return self.progress.sent(second, side) + self.progress.unsent(second, side);
        }
        match side {
            SideKind::Read => self.reads.due_in(second),
            SideKind::Write => self.writes.due_in(second),
        }
    }
}

impl LagFacts {
    fn add(&mut self, second: u16, lag: &Times) {
        self.all.merge(lag);
        let p99 = lag.quantile(0.99).unwrap_or(0.0);
        if self.worst.is_none_or(|(_, worst)| p99 > worst) {
            self.worst = Some((second, p99));
        }
    }
}
