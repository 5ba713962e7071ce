//! Restarting long-lived tasks and threads that panic.
//!
//! Every task and thread that lives as long as the server runs under this: one that panicked would
//! otherwise be missing until the next restart of the program. The panic hook has logged why.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use prometheus_client::metrics::counter::Counter;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What has run for so long begins with the first pause again.
const STABLE: Duration = Duration::from_secs(60);

/// Knows which supervised tasks are down; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many tasks of each name wait for their restart.
    down: Mutex<BTreeMap<&'static str, u32>>,
    restarts: Counter,
}

impl Supervisor {
    /// Runs a task to its end, and again after a pause when it panics.
    pub async fn supervise(self, name: &'static str, mut work: impl AsyncFnMut()) {
        let mut pauses = Pauses::default();
        loop {
            let begun = Instant::now();
            if AssertUnwindSafe(work()).catch_unwind().await.is_ok() {
                return;
            }
            let (_down, pause) = (self.down(name), pauses.next(begun.elapsed()));
            tracing::error!(task = name, pause_ms = pause.as_millis(), "restarting after a panic");
            tokio::time::sleep(pause).await;
        }
    }

    /// The same for a thread.
    pub fn supervise_blocking(&self, name: &'static str, mut work: impl FnMut()) {
        let mut pauses = Pauses::default();
        loop {
            let begun = Instant::now();
            if catch_unwind(AssertUnwindSafe(&mut work)).is_ok() {
                return;
            }
            let (_down, pause) = (self.down(name), pauses.next(begun.elapsed()));
            tracing::error!(task = name, pause_ms = pause.as_millis(), "restarting after a panic");
            std::thread::sleep(pause);
        }
    }

    /// The names of what panicked and waits for its restart, if anything does: the server is not
    /// ready meanwhile.
    #[must_use]
    pub fn tasks_down(&self) -> Option<String> {
        let down = self.0.lock();
        (!down.is_empty()).then(|| down.keys().copied().collect::<Vec<_>>().join(", "))
    }

    /// How often anything was restarted.
    pub(super) fn restarts(&self) -> Counter {
        self.0.restarts.clone()
    }

    fn down(&self, name: &'static str) -> Down<'_> {
        self.0.restarts.inc();
        *self.0.lock().entry(name).or_default() += 1;
        Down { shared: &self.0, name }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u32>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that waits for its restart, until this is dropped.
struct Down<'a> {
    shared: &'a Shared,
    name: &'static str,
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let mut down = self.shared.lock();
        if let Some(count) = down.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                down.remove(self.name);
            }
        }
    }
}

/// Pauses that double from restart to restart: what panics at once must not use up a processor.
struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pauses {
    /// The pause after a run of that long.
    fn next(&mut self, ran: Duration) -> Duration {
        let pause = if ran >= STABLE { FIRST_PAUSE } else { self.0 };
        self.0 = (2 * pause).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_restarted_with_its_state() {
        let supervisor = Supervisor::default();
        let (numbers, mut received) = mpsc::channel(10);
        let (seen, mut sums) = mpsc::channel(10);
        let mut sum = 0;
        let task = tokio::spawn(supervisor.clone().supervise("sums", async move || {
            while let Some(number) = received.recv().await {
                assert_ne!(number, 0, "a defect");
                sum += number;
                seen.send(sum).await.unwrap();
            }
        }));
        numbers.send(1).await.unwrap();
        assert_eq!(sums.recv().await, Some(1));
        numbers.send(0).await.unwrap();
        numbers.send(2).await.unwrap();
        assert_eq!(sums.recv().await, Some(3), "its sum and its queue are still there");
        assert_eq!((supervisor.tasks_down(), supervisor.restarts().get()), (None, 1));
        drop(numbers);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_restarted() {
        let supervisor = Supervisor::default();
        let (runs, mut begun) = mpsc::channel(10);
        let (go_on, may_end) = oneshot::channel();
        let shared = supervisor.clone();
        let mut may_end = Some(may_end);
        let thread = std::thread::spawn(move || {
            shared.supervise_blocking("thread", || {
                runs.blocking_send(shared.tasks_down()).unwrap();
                // The first run takes it, the second finds nothing and ends.
                if let Some(may_end) = may_end.take() {
                    may_end.blocking_recv().unwrap();
                    panic!("a defect");
                }
            });
        });
        assert_eq!(begun.recv().await, Some(None));
        go_on.send(()).unwrap();
        assert_eq!(begun.recv().await, Some(None), "it is up again");
        thread.join().unwrap();
        assert_eq!(supervisor.restarts().get(), 1);
    }

    #[test]
    fn what_is_down_is_named_until_it_runs_again() {
        let supervisor = Supervisor::default();
        let (one, other, same) =
            (supervisor.down("one"), supervisor.down("other"), supervisor.down("one"));
        assert_eq!(supervisor.tasks_down().as_deref(), Some("one, other"));
        drop((one, other));
        assert_eq!(supervisor.tasks_down().as_deref(), Some("one"));
        drop(same);
        assert_eq!(supervisor.tasks_down(), None);
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew_after_a_long_run() {
        let mut pauses = Pauses::default();
        let short = Duration::from_secs(1);
        let all: Vec<_> = (0..9).map(|_| pauses.next(short).as_millis()).collect();
        assert_eq!(all, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(pauses.next(STABLE).as_millis(), 100);
        assert_eq!(pauses.next(short).as_millis(), 200);
    }
}
