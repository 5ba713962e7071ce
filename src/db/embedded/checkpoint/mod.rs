//! Copying the log into the database's file (a checkpoint), on a thread and a connection of its own.
//!
//! A PASSIVE checkpoint does not block the writer. But a log begins from its start again only if all
//! of it is copied when a transaction begins, which under constant writes never happens by itself.
//! So when the log is long and little is left to copy, the writer is held between two groups, for the
//! milliseconds that the rest takes. When the writer is faster than the checkpoint, it is slowed
//! down. A reader that stays open keeps the pages it may read from being copied: then nothing is held
//! and nothing slowed down, and a log line says so.
//!
//! In this module: the thread. What it shares with the writer is in [`log_state`], the sync of the
//! file in [`file_sync`].

mod file_sync;
mod log_state;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rusqlite::Connection;

pub(super) use self::log_state::LogState;
use self::log_state::{Copied, Limits};
use super::error::internal;
use crate::db::storage::{ErrorKind, StorageError};
use crate::telemetry::{Registry, Supervisor};

/// A page has 4 KiB: 64 MB, all that the log keeps on disk, are a little more than `restart`.
const LIMITS: Limits =
    Limits { copy: 4_000, restart: 16_000, few: 400, slow: 24_000, slowest: 65_536 };
/// How long the last checkpoint, with the writer held, waits for readers and other processes.
const BUSY_TIMEOUT: Duration = Duration::from_millis(5);
/// Until the next look, while a reader or another process's checkpoint blocks this one.
const BLOCKED_PAUSE: Duration = Duration::from_millis(250);
/// After a checkpoint failed, as on a full disk.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// A reader that blocks for so long is warned of,
const WARN_AFTER: Duration = Duration::from_secs(10);
/// and again after that long. So often is a failure logged, too.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct CheckpointMetrics {
    pages: Gauge,
    blocked: Gauge,
    time: Histogram,
    failures: Counter,
    held: Histogram,
}

impl CheckpointMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let blocked = "Pages that cannot be copied out of the log because a read is open";
        let held = "Time that a group waited for a checkpoint, of groups that did";
        Self {
            pages: registry.gauge("wal_pages", "Pages in the write-ahead log"),
            blocked: registry.gauge("wal_blocked_pages", blocked),
            time: registry.seconds("checkpoint", "Time of a checkpoint, sync included"),
            failures: registry.counter("checkpoint_failures", "Checkpoints that failed"),
            held: registry.seconds("writer_held", held),
        }
    }
}

/// The thread. Dropping it waits for its end.
#[derive(Debug)]
pub(super) struct Checkpointer {
    log: Arc<LogState>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Takes the checkpoints over from the writer's connection. The other connection is for the
    /// thread.
    pub(super) fn start(
        writer: &mut Connection,
        own: Connection,
        path: &Path,
        metrics: CheckpointMetrics,
        supervisor: Supervisor,
    ) -> Result<Self, StorageError> {
        Self::with_limits(writer, own, path, metrics, supervisor, LIMITS)
    }

    fn with_limits(
        writer: &mut Connection,
        own: Connection,
        path: &Path,
        metrics: CheckpointMetrics,
        supervisor: Supervisor,
        limits: Limits,
    ) -> Result<Self, StorageError> {
        own.busy_timeout(BUSY_TIMEOUT).map_err(internal)?;
        let log = Arc::new(LogState::new(limits, metrics.clone()));
        let shared = Arc::clone(&log);
        // The hook takes the place of SQLite's own, which copies within the commit.
        writer
            .wal_hook(Some(move |_: &mut _, pages: i32| {
                shared.committed(pages.unsigned_abs());
                Ok(())
            }))
            .map_err(internal)?;
        let file = file_sync::open(path)
            .inspect_err(|error| tracing::debug!(%error, "cannot sync the database file early"))
            .ok();
        let mut work = Thread {
            connection: own,
            file,
            log: Arc::clone(&log),
            metrics,
            warned: Warned::default(),
        };
        let thread = std::thread::Builder::new()
            .name("storefront-checkpoint".to_owned())
            .spawn(move || supervisor.supervise_blocking("checkpoint", || work.run()))
            .map_err(|e| {
                StorageError::with_source(ErrorKind::Unavailable, "cannot start a thread", e)
            })?;
        Ok(Self { log, thread: Some(thread) })
    }

    /// What the writer shares with it.
    pub(super) fn log(&self) -> Arc<LogState> {
        Arc::clone(&self.log)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.log.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been logged by the panic hook.
            drop(thread.join());
        }
    }
}

struct Thread {
    connection: Connection,
    /// `None` where the file cannot be written.
    file: Option<Arc<File>>,
    log: Arc<LogState>,
    metrics: CheckpointMetrics,
    warned: Warned,
}

/// What was logged when, so that it is not logged too often.
#[derive(Debug, Default)]
struct Warned {
    blocked_since: Option<Instant>,
    of_reader: Option<Instant>,
    of_failure: Option<Instant>,
}

/// Whether a line of that kind may be logged now.
fn is_due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= WARN_INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

impl Thread {
    /// Copies until the writer has ended; called again after a panic.
    fn run(&mut self) {
        let mut pause = Duration::ZERO;
        while self.log.wait_for_work(pause) {
            pause = self.checkpoint().unwrap_or_else(|error| self.failed(error.as_ref()));
        }
    }

    /// Copies what can be copied. Returns how long to wait until the next time.
    fn checkpoint(&mut self) -> Result<Duration, Box<dyn std::error::Error>> {
        let begun = Instant::now();
        let generation = self.log.generation();
        let Some(outcome) = self.pragma("PASSIVE")? else { return Ok(BLOCKED_PAUSE) };
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        let elapsed = begun.elapsed();
        self.metrics.time.observe(elapsed.as_secs_f64());
        // What was committed since the checkpoint began is not in its own figures: what is missing there is
        // what a reader blocks.
        let blocked = outcome.log.saturating_sub(outcome.copied);
        let (advanced, now) = self.log.copied(generation, outcome);
        if blocked >= self.log.limits.copy {
            self.blocked(blocked, now.log);
            return Ok(BLOCKED_PAUSE);
        }
        self.warned.blocked_since = None;
        self.metrics.blocked.set(0);
        self.log.slow_down(self.page_time(elapsed, advanced, now));
        let is_restart = now.log >= self.log.limits.restart && now.log > now.copied;
        if is_restart && now.log - now.copied <= self.log.limits.few {
            return self.restart();
        }
        Ok(if advanced == 0 { BLOCKED_PAUSE } else { Duration::ZERO })
    }

    /// Copies the rest with the writer held, so that its next transaction begins the log from its
    /// start.
    fn restart(&self) -> Result<Duration, Box<dyn std::error::Error>> {
        let Some(hold) = self.log.hold() else { return Ok(BLOCKED_PAUSE) };
        let begun = Instant::now();
        let generation = self.log.generation();
        let outcome = self.pragma("RESTART")?;
        drop(hold);
        self.metrics.time.observe(begun.elapsed().as_secs_f64());
        let Some(outcome) = outcome else { return Ok(BLOCKED_PAUSE) };
        self.log.copied(generation, outcome);
        self.log.slow_down(Duration::ZERO);
        Ok(Duration::ZERO)
    }

    /// `None` if another process copies, or if a reader or another writer blocked a RESTART.
    fn pragma(&self, mode: &str) -> rusqlite::Result<Option<Copied>> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        self.connection.query_row(&sql, (), |row| {
            let (is_busy, log, copied): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let pages = |pages: i64| u32::try_from(pages).unwrap_or(0);
            Ok((!is_busy).then(|| Copied { log: pages(log), copied: pages(copied) }))
        })
    }

    /// What a written page has to take: as long as it took to copy one here if the log is long, up to
    /// twice that. Otherwise the log would not end.
    fn page_time(&self, elapsed: Duration, advanced: u32, now: Copied) -> Duration {
        let limits = &self.log.limits;
        if now.log < limits.slow || advanced == 0 {
            return Duration::ZERO;
        }
        let range = f64::from(limits.slowest.saturating_sub(limits.slow).max(1));
        let slower = (f64::from(now.log - limits.slow) / range).min(1.0);
        (elapsed / advanced).mul_f64(1.0 + slower)
    }

    /// A reader is not the writer's fault: it goes on at full speed, and the log grows.
    fn blocked(&mut self, pages: u32, log: u32) {
        self.log.slow_down(Duration::ZERO);
        self.metrics.blocked.set(pages.into());
        let since = *self.warned.blocked_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= WARN_AFTER && is_due(&mut self.warned.of_reader) {
            tracing::warn!(
                log_bytes = u64::from(log) * 4096,
                blocked_bytes = u64::from(pages) * 4096,
                blocked_s = since.elapsed().as_secs(),
                "a read that stays open, as of a backup or another program, keeps the write-ahead \
                 log from being copied into the database file: the log grows until that read ends"
            );
        }
    }

    /// The log keeps what could not be copied, so nothing is lost.
    fn failed(&mut self, error: &dyn std::error::Error) -> Duration {
        self.metrics.failures.inc();
        self.log.slow_down(Duration::ZERO);
        if is_due(&mut self.warned.of_failure) {
            tracing::error!(%error, "checkpoint failed: the write-ahead log grows until one succeeds");
        }
        FAILURE_PAUSE
    }
}
