//! The driver against targets whose behaviour is known.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::watch;

use super::super::model::{JobId, KeyDistribution, Pattern, StartingState};
use super::super::patterns;
use super::super::target::FailureKind;
use super::super::target::dry::DryTarget;
use super::super::worker_window::WorkerSide;
use super::*;

const START_DELAY: SignedDuration = SignedDuration::from_millis(20);

fn task(seconds: u16) -> WorkerTask {
    WorkerTask {
        job: JobId::new(),
        worker: 0,
        workers: 1,
        target: None,
        rows: StartingState { games: 1_000, items: 10, users: 10, orders: 500 },
        read_pattern: Pattern::ALL[0],
        write_pattern: Pattern::ALL[0],
        seconds,
        rate_scale: 1.0,
        keys: KeyDistribution::Uniform,
        seed: 1,
        start_at: Timestamp::now() + START_DELAY,
        max_in_flight: 10_000,
    }
}

/// A run in the background.
struct Run {
    windows: Receiver<WorkerWindow>,
    stop: CancellationToken,
    outcome: tokio::task::JoinHandle<DriverOutcome>,
}

impl Run {
    fn start(task: WorkerTask, target: impl LoadTarget, timeout: Duration) -> Self {
        let (sender, windows) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let target = Arc::new(target);
        let driver = Driver { task, target, windows: sender, stop: stop.clone(), timeout };
        Self { windows, stop, outcome: tokio::spawn(driver.run()) }
    }

    async fn next(&mut self) -> WorkerWindow {
        self.windows.recv().await.unwrap()
    }

    /// All windows that are still to come, and how it ended.
    async fn end(mut self) -> (Vec<WorkerWindow>, DriverOutcome) {
        let mut windows = Vec::new();
        while let Some(window) = self.windows.recv().await {
            windows.push(window);
        }
        (windows, self.outcome.await.unwrap())
    }

    /// The final window of each second.
    async fn finals(self) -> Vec<WorkerWindow> {
        let (windows, _) = self.end().await;
        let finals: Vec<_> = windows.into_iter().filter(|window| window.is_final).collect();
        for window in &finals {
            for side in [&window.read, &window.write] {
                assert_eq!(side.pending, 0);
                assert_eq!(side.times.count(), side.ok + side.failed());
            }
        }
        finals
    }
}

async fn run(task: WorkerTask, target: impl LoadTarget) -> Vec<WorkerWindow> {
    Run::start(task, target, Duration::from_secs(30)).finals().await
}

/// What every transaction does.
#[async_trait]
trait Behaviour: Send + Sync + 'static {
    async fn act(&self) -> Result<(), FailureKind>;
}

struct All<B>(B);

#[async_trait]
impl<B: Behaviour> LoadTarget for All<B> {
    async fn read_overview(&self, _key: u32) -> Result<(), FailureKind> {
        self.0.act().await
    }

    async fn read_order(&self, _number: u32) -> Result<(), FailureKind> {
        self.0.act().await
    }

    async fn update(&self, _key: u32) -> Result<(), FailureKind> {
        self.0.act().await
    }

    async fn create(&self) -> Result<u32, FailureKind> {
        self.0.act().await.map(|()| 1)
    }

    async fn checkout(&self, _number: u32) -> Result<(), FailureKind> {
        self.0.act().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_offered_is_the_plan_and_a_complete_window_is_sent_once() {
    let task = WorkerTask {
        read_pattern: Pattern::ALL[2],
        write_pattern: Pattern::ALL[1],
        rate_scale: 3.3,
        ..task(2)
    };
    let (reads, writes) = (
        Schedule::new(task.read_pattern, task.rate_scale),
        Schedule::new(task.write_pattern, task.rate_scale),
    );
    let run = Run::start(task, DryTarget::new(1_000), Duration::from_secs(30));
    let (windows, outcome) = run.end().await;
    let finals: Vec<_> = windows.iter().filter(|window| window.is_final).collect();
    assert_eq!(finals.iter().map(|window| window.second).collect::<Vec<_>>(), [0, 1]);
    for window in finals {
        assert_eq!(window.read.offered(), reads.due_in(window.second));
        assert_eq!(window.write.offered(), writes.due_in(window.second));
        assert_eq!(window.read.ok, window.read.offered());
        assert_eq!(window.lag.count(), window.read.ok + window.write.ok);
        assert!(window.cpu > 0.0);
    }
    assert!(!outcome.stopped);
    assert_eq!(outcome.worker, 0);
}

/// Answers come only after a moment.
struct Stalled(tokio::time::Instant);

#[async_trait]
impl Behaviour for Stalled {
    async fn act(&self) -> Result<(), FailureKind> {
        tokio::time::sleep_until(self.0).await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_is_charged_to_all_that_fell_due_meanwhile() {
    let task = task(1);
    let end = instant(task.start_at) + Duration::from_secs(1);
    let windows = run(task, All(Stalled(end.into()))).await;
    let read = &windows[0].read;
    assert_eq!(read.ok, 100);
    // Due evenly over the second: the first waited for all of it, half of them for at least a half.
    assert!(read.times.quantile(1.0).unwrap() > 0.98, "{:?}", read.times.quantile(1.0));
    assert!(read.times.quantile(0.51).unwrap() > 0.48, "{:?}", read.times.quantile(0.51));
    assert!(read.micros > 100 * 490_000, "{}", read.micros);
}

/// No answer ever comes.
#[derive(Default)]
struct Silent {
    under_way: AtomicUsize,
    most: Arc<AtomicUsize>,
}

struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Behaviour for Silent {
    async fn act(&self) -> Result<(), FailureKind> {
        let count = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let _ends_when_dropped = UnderWay(&self.under_way);
        self.most.fetch_max(count, Ordering::SeqCst);
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_beyond_the_bound_is_unsent_and_what_does_not_end_times_out() {
    let silent = Silent::default();
    let most = Arc::clone(&silent.most);
    let task = WorkerTask { max_in_flight: 5, ..task(1) };
    let windows = Run::start(task, All(silent), Duration::from_millis(300)).finals().await;
    assert_eq!(most.load(Ordering::SeqCst), 5);
    let mut failed = 0;
    for side in [&windows[0].read, &windows[0].write] {
        assert_eq!((side.ok, side.offered()), (0, 100));
        assert_eq!(side.errors, BTreeMap::from([("timeout".to_owned(), side.failed())]));
        assert_eq!(side.micros, side.failed() * 300_000);
        assert!((side.times.quantile(1.0).unwrap() - 0.3).abs() < 0.001);
        failed += side.failed();
    }
    // About four times five fit into the second.
    assert!((5..100).contains(&failed), "{failed}");
}

/// An answer that says that something failed.
struct Fails(FailureKind);

#[async_trait]
impl Behaviour for Fails {
    async fn act(&self) -> Result<(), FailureKind> {
        Err(self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_row_is_a_failure() {
    let windows = run(task(1), All(Fails(FailureKind::Missing))).await;
    let errors = |side: &WorkerSide| side.errors.clone();
    let all = BTreeMap::from([("missing".to_owned(), 100)]);
    assert_eq!([errors(&windows[0].read), errors(&windows[0].write)], [all.clone(), all]);
    assert_eq!((windows[0].read.ok, windows[0].write.ok), (0, 0));
}

/// A defect.
struct Panics;

#[async_trait]
impl Behaviour for Panics {
    async fn act(&self) -> Result<(), FailureKind> {
        panic!("as the test wants it")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_panics_has_ended() {
    let windows = run(WorkerTask { rate_scale: 0.05, ..task(1) }, All(Panics)).await;
    assert_eq!(windows[0].read.errors, BTreeMap::from([("internal".to_owned(), 5)]));
}

/// Answers come once the gate is open.
struct Gated(watch::Receiver<bool>);

#[async_trait]
impl Behaviour for Gated {
    async fn act(&self) -> Result<(), FailureKind> {
        let mut open = self.0.clone();
        open.wait_for(|open| *open).await.map(drop).map_err(|_| FailureKind::Internal)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_sent_with_what_is_pending_and_again_when_that_has_ended() {
    let (open, gate) = watch::channel(false);
    let mut run = Run::start(task(1), All(Gated(gate)), Duration::from_secs(60));
    let first = run.next().await;
    assert!(!first.is_final);
    assert_eq!((first.read.pending, first.read.offered(), first.read.micros), (100, 100, 0));
    open.send(true).unwrap();
    let (windows, _) = run.end().await;
    assert_eq!(windows.len(), 1);
    assert!(windows[0].is_final);
    assert_eq!((windows[0].read.pending, windows[0].read.ok), (0, 100));
    assert!(windows[0].read.times.quantile(0.0).unwrap() > 0.9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_release_and_finalises_what_is_under_way() {
    let (open, gate) = watch::channel(false);
    let mut run = Run::start(task(300), All(Gated(gate)), Duration::from_secs(60));
    let first = run.next().await;
    assert_eq!((first.second, first.is_final), (0, false));
    run.stop.cancel();
    open.send(true).unwrap();
    let (windows, outcome) = run.end().await;
    assert!(outcome.stopped);
    let finals: BTreeMap<u16, &WorkerWindow> =
        windows.iter().filter(|window| window.is_final).map(|w| (w.second, w)).collect();
    assert_eq!(finals[&0].read.ok, 100);
    // Stopped in second 2 or later; in 1 if the release was late.
    let (last, cut) = finals.last_key_value().unwrap();
    assert!((1..300).contains(last), "{last}");
    assert!(cut.read.ok <= 100 && cut.read.pending == 0);
    assert_eq!(finals.len(), usize::from(*last) + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_windows_nobody_receives_is_stopped() {
    let Run { windows, outcome, stop } =
        Run::start(task(300), DryTarget::new(1_000), Duration::from_secs(60));
    drop(windows);
    assert!(outcome.await.unwrap().stopped);
    assert!(!stop.is_cancelled(), "other workers may go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_begins_too_late_is_not_valid() {
    let start_at = Timestamp::now() - SignedDuration::from_secs(3);
    let run =
        Run::start(WorkerTask { start_at, ..task(1) }, DryTarget::new(1), Duration::from_secs(60));
    let (windows, outcome) = run.end().await;
    assert_eq!(windows.last().unwrap().read.offered(), 100);
    let why = outcome.invalid.as_ref().unwrap();
    assert!(why.contains("Worker 0 was started or woken"), "{why}");
    assert!(outcome.worst_lag_p99 > 2.0, "{outcome:?}");
}

/// Notes what is asked.
#[derive(Default)]
struct Notes {
    overviews: Mutex<Vec<u32>>,
    checkouts: Mutex<Vec<u32>>,
    created: AtomicUsize,
}

const FIRST_CREATED: u32 = 1_000_000;

#[async_trait]
impl LoadTarget for Arc<Notes> {
    async fn read_overview(&self, key: u32) -> Result<(), FailureKind> {
        self.overviews.lock().unwrap().push(key);
        Ok(())
    }

    async fn read_order(&self, number: u32) -> Result<(), FailureKind> {
        assert!((1..=500).contains(&number));
        Ok(())
    }

    async fn update(&self, _key: u32) -> Result<(), FailureKind> {
        Ok(())
    }

    async fn create(&self) -> Result<u32, FailureKind> {
        let created = self.created.fetch_add(1, Ordering::SeqCst);
        Ok(FIRST_CREATED + u32::try_from(created).unwrap())
    }

    async fn checkout(&self, number: u32) -> Result<(), FailureKind> {
        self.checkouts.lock().unwrap().push(number);
        Ok(())
    }
}

impl Notes {
    async fn of(task: WorkerTask) -> Arc<Self> {
        let notes = Arc::new(Self::default());
        run(task, Arc::clone(&notes)).await;
        notes
    }

    fn overviews(&self) -> Vec<u32> {
        let mut keys = self.overviews.lock().unwrap().clone();
        keys.sort_unstable();
        keys
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_worker_has_its_own_orders_and_keys_and_a_seed_repeats_them() {
    let task = |worker| WorkerTask { worker, workers: 3, ..task(1) };
    let (zero, two, again) =
        tokio::join!(Notes::of(task(0)), Notes::of(task(2)), Notes::of(task(2)));
    for (notes, worker) in [(&zero, 0), (&two, 2), (&again, 2)] {
        let mut orders = notes.checkouts.lock().unwrap().clone();
        orders.sort_unstable();
        let first = if worker == 0 { 3 } else { worker };
        assert_eq!(orders, (0..25).map(|n| first + 3 * n).collect::<Vec<_>>());
    }
    assert_eq!(two.overviews(), again.overviews());
    assert_ne!(two.overviews(), zero.overviews());
    let needed = patterns::orders_needed(&task(0));
    assert_eq!(needed, 75);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_rows_are_those_that_the_run_creates() {
    let task = WorkerTask {
        keys: KeyDistribution::Latest,
        write_pattern: Pattern::ALL[1],
        rate_scale: 2.0,
        ..task(2)
    };
    let notes = Notes::of(task).await;
    let overviews = notes.overviews();
    let created = overviews.iter().filter(|key| **key >= FIRST_CREATED).count();
    // 200 were created in the run; ages have a mean of 100.
    assert!(created * 4 > overviews.len(), "{created} of {}", overviews.len());
    assert!(overviews.iter().all(|key| (1..=1_000).contains(key) || *key >= FIRST_CREATED));
}
