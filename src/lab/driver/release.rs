//! The thread that releases transactions when they are due.
//!
//! A thread of its own, because a task of the runtime would wait behind the transactions, and what is due
//! must not depend on how they do. It wakes in the milliseconds in which something is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::super::keys::KeySampler;
use super::super::model::WorkerTask;
use super::super::patterns::{self, Read, Schedule, Write, due_by, due_tick};
use super::progress::Progress;
use super::recorder::SideKind;
use super::transaction::{Action, Context, Transaction};

/// A stop is noticed after this time at the latest.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(1);

/// Releases the transactions of one worker.
pub(super) struct Release {
    pub(super) context: Arc<Context>,
    pub(super) progress: Arc<Progress>,
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
    /// When second 0 begins.
    pub(super) start: Instant,
    pub(super) seconds: u16,
    pub(super) max_in_flight: u32,
    pub(super) actions: Actions,
}

/// What the thread saw of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ReleaseFacts {
    /// The longest time that it woke too late.
    pub(super) longest_delay: Duration,
    /// How long the machine was suspended.
    pub(super) suspended: Duration,
}

/// Tells that nothing is released any more, also if the thread panics.
struct EndGuard<'a>(&'a Progress);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.set_ended();
    }
}

impl Release {
    /// Runs until everything is released, or the stop.
    pub(super) fn run(mut self) -> ReleaseFacts {
        let progress = Arc::clone(&self.progress);
        let _end = EndGuard(&progress);
        let mut facts = ReleaseFacts::default();
        let asleep_before = time_suspended();
        let mut cpu = CpuMeter::new();
        for second in 0..self.seconds {
            let is_whole = self.wait_until(self.start_of(second), &mut facts)
                && self.second(second, &mut facts);
            let has_begun = is_whole || self.has_released(second);
            progress.set_done(second + u16::from(has_begun));
            if !is_whole
                || !self.wait_until(self.start_of(second) + Duration::from_secs(1), &mut facts)
            {
                break;
            }
            progress.set_cpu(second, cpu.share());
        }
        facts.suspended = time_suspended().saturating_sub(asleep_before);
        facts
    }

    fn start_of(&self, second: u16) -> Instant {
        self.start + Duration::from_secs(second.into())
    }

    fn has_released(&self, second: u16) -> bool {
        let released = |side| self.progress.sent(second, side) + self.progress.unsent(second, side);
        released(SideKind::Read) + released(SideKind::Write) > 0
    }

    /// Releases what is due in one second; `false`: stopped.
    fn second(&mut self, second: u16, facts: &mut ReleaseFacts) -> bool {
        let start = self.start_of(second);
        let counts = [self.actions.reads.due_in(second), self.actions.writes.due_in(second)];
        let mut released = [0, 0];
        while released != counts {
            let open = released.iter().zip(counts).filter(|(released, count)| **released < *count);
            let tick = open.map(|(released, count)| due_tick(*released, count)).min().unwrap_or(0);
            if !self.wait_until(start + TICK * tick, facts) {
                return false;
            }
            // If the thread woke late this is a later tick, and all that is overdue is released.
            let elapsed = start.elapsed().as_millis();
            let tick = u32::try_from(elapsed).unwrap_or(u32::MAX).max(tick);
            for (side, n) in [(SideKind::Read, 0), (SideKind::Write, 1)] {
                let due = due_by(tick, counts[n]);
                for index in released[n]..due {
                    self.one(second, side, start + TICK * due_tick(index, counts[n]));
                }
                released[n] = due;
            }
        }
        true
    }

    fn one(&mut self, second: u16, side: SideKind, due: Instant) {
        let action = self.actions.next(side, &self.context);
        if self.context.in_flight.load(Ordering::Relaxed) >= self.max_in_flight {
            self.progress.add_unsent(second, side);
        } else {
            // Counted first: a second is complete when as many have ended as were sent.
            self.progress.add_sent(second, side);
            self.runtime.spawn(Transaction::new(&self.context, action, second, due).run());
        }
    }

    /// Sleeps until then; `false`: stopped.
    fn wait_until(&self, wake: Instant, facts: &mut ReleaseFacts) -> bool {
        loop {
            if self.stop.is_cancelled() {
                return false;
            }
            let now = Instant::now();
            if now >= wake {
                facts.longest_delay = facts.longest_delay.max(now - wake);
                return true;
            }
            std::thread::sleep((wake - now).min(LONGEST_SLEEP));
        }
    }
}

/// The sequence of a worker's transactions: a function of its task, but for keys of created rows.
pub(super) struct Actions {
    reads: Schedule,
    writes: Schedule,
    games: KeySampler,
    orders: KeySampler,
    /// One of each side: how many reads come before a write depends on when the thread woke.
    read_rng: StdRng,
    write_rng: StdRng,
    worker: u8,
    workers: u8,
    read_index: u64,
    write_index: u64,
    checkout_index: u64,
}

impl Actions {
    pub(super) fn new(task: &WorkerTask) -> Self {
        // Workers draw different keys. The odd constant keeps neighbouring seeds apart.
        let seed = task.seed ^ u64::from(task.worker).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            reads: Schedule::new(task.read_pattern, task.rate_scale),
            writes: Schedule::new(task.write_pattern, task.rate_scale),
            games: KeySampler::new(task.keys, task.rows.games),
            orders: KeySampler::new(task.keys, task.rows.orders),
            read_rng: StdRng::seed_from_u64(seed),
            write_rng: StdRng::seed_from_u64(!seed),
            worker: task.worker,
            workers: task.workers,
            read_index: 0,
            write_index: 0,
            checkout_index: 0,
        }
    }

    fn next(&mut self, side: SideKind, context: &Context) -> Action {
        match side {
            SideKind::Read => self.next_read(context),
            SideKind::Write => self.next_write(context),
        }
    }

    fn next_read(&mut self, context: &Context) -> Action {
        let kind = patterns::read(self.read_index);
        self.read_index += 1;
        match kind {
            Read::Overview => {
                Action::ReadOverview(self.games.sample(&mut self.read_rng, &context.created))
            }
            // No orders are created, so the newest one stays the last prepared one.
            Read::Order => Action::ReadOrder(self.orders.sample_prepared(&mut self.read_rng)),
        }
    }

    fn next_write(&mut self, context: &Context) -> Action {
        let kind = patterns::write(self.write_index);
        self.write_index += 1;
        match kind {
            Write::Update => {
                Action::Update(self.games.sample(&mut self.write_rng, &context.created))
            }
            Write::Create => Action::Create,
            Write::Checkout => {
                let order = patterns::order_of(self.checkout_index, self.worker, self.workers);
                self.checkout_index += 1;
                Action::Checkout(u32::try_from(order).unwrap_or(u32::MAX))
            }
        }
    }
}

/// Measures the processor time of this process.
struct CpuMeter {
    at: Instant,
    used: Duration,
}

impl CpuMeter {
    fn new() -> Self {
        Self { at: Instant::now(), used: clock(ClockId::ProcessCPUTime) }
    }

    /// Share of one processor since the last call.
    fn share(&mut self) -> f64 {
        let now = Self::new();
        let share = (now.used.saturating_sub(self.used)).as_secs_f64()
            / (now.at - self.at).as_secs_f64().max(1e-6);
        *self = now;
        share
    }
}

/// How long the machine was suspended since it was started: one of the clocks runs on meanwhile.
fn time_suspended() -> Duration {
    let monotonic = clock(ClockId::Monotonic);
    clock(ClockId::Boottime).saturating_sub(monotonic)
}

fn clock(id: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(id);
    let nanoseconds = u32::try_from(tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), nanoseconds)
}
