//! Which transactions are due when: a pure function of the pattern, the factor and the index.
//!
//! The numbers of a run are therefore known before it begins, and every worker can compute its own.

use super::model::{Pattern, WorkerTask};

/// Ticks in a second: transactions are released once a millisecond.
pub const TICKS: u32 = 1_000;

/// Four seconds of pattern 3.
const BURSTS: [u32; 4] = [100, 600, 300, 600];

/// When the transactions of one side of one worker are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    pattern: Pattern,
    rate_scale: f64,
}

impl Schedule {
    /// The schedule of a pattern whose rates are multiplied by `rate_scale`.
    #[must_use]
    pub const fn new(pattern: Pattern, rate_scale: f64) -> Self {
        Self { pattern, rate_scale }
    }

    /// Transactions that are due in a second. Where the rate is no whole number, seconds differ by one, so
    /// that the sum is never off by more than a half.
    #[must_use]
    pub fn due_in(&self, second: u16) -> u64 {
        self.before(u32::from(second) + 1) - self.before(second.into())
    }

    /// Transactions that are due in the first `seconds` of a run.
    #[must_use]
    pub fn due_before(&self, seconds: u16) -> u64 {
        self.before(seconds.into())
    }

    fn before(&self, seconds: u32) -> u64 {
        let unscaled = match self.pattern.get() {
            1 => 100 * seconds,
            2 => 200 * seconds,
            _ => (0..seconds % 4).map(|n| BURSTS[n as usize]).sum::<u32>() + 1_600 * (seconds / 4),
        };
        (f64::from(unscaled) * self.rate_scale).round() as u64
    }
}

/// The tick of its second in which the transaction of that index in the second is due, if `count` are due
/// in that second: evenly spread, rounded up to a tick, none later than the last tick.
#[must_use]
pub fn due_tick(index: u64, count: u64) -> u32 {
    let tick = (index * u64::from(TICKS)).div_ceil(count.max(1));
    u32::try_from(tick).unwrap_or(u32::MAX).min(TICKS - 1)
}

/// How many of the `count` transactions of a second are due at that tick or before it: those whose
/// [`due_tick`] is not greater.
#[must_use]
pub fn due_by(tick: u32, count: u64) -> u64 {
    if tick >= TICKS - 1 {
        return count;
    }
    (u64::from(tick) * count / u64::from(TICKS) + 1).min(count)
}

/// What a read finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A game's page: three of four.
    Overview,
    /// An order: one of four.
    Order,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Changes a game: two of four.
    Update,
    /// Creates a game: one of four.
    Create,
    /// Checks an order out: one of four.
    Checkout,
}

/// The read of that index in a run.
#[must_use]
pub fn read(index: u64) -> Read {
    [Read::Overview, Read::Order, Read::Overview, Read::Overview][place(index)]
}

/// The write of that index in a run.
#[must_use]
pub fn write(index: u64) -> Write {
    [Write::Update, Write::Checkout, Write::Update, Write::Create][place(index)]
}

/// Checkouts among the first `writes` of a run.
#[must_use]
pub fn checkouts(writes: u64) -> u64 {
    let whole = writes / 4;
    whole + (whole * 4..writes).filter(|n| write(*n) == Write::Checkout).count() as u64
}

/// Place in a cycle of four. Each four begin at another place, so that no kind is always due in the same
/// milliseconds of a second.
fn place(index: u64) -> usize {
    // The golden ratio's bits: consecutive products differ in their top bits (Fibonacci hashing).
    let shift = (index / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
    (index.wrapping_add(shift) % 4) as usize
}

/// The prepared order that a worker's checkout of that index takes: the workers of a job share the
/// orders out by their remainder, so that none is checked out twice.
#[must_use]
pub fn order_of(checkout: u64, worker: u8, workers: u8) -> u64 {
    let (worker, workers) = (u64::from(worker), u64::from(workers.max(1)));
    let first = if worker == 0 { workers } else { worker };
    first + checkout * workers
}

/// Prepared orders that a job needs, so that each of its checkouts finds one.
#[must_use]
pub fn orders_needed(task: &WorkerTask) -> u64 {
    let writes = Schedule::new(task.write_pattern, task.rate_scale).due_before(task.seconds);
    checkouts(writes) * u64::from(task.workers.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns() -> impl Strategy<Value = Pattern> {
        proptest::sample::select(&Pattern::ALL[..])
    }

    #[test]
    fn the_rates_are_those_of_the_contract() {
        let rates = |n: usize| {
            let schedule = Schedule::new(Pattern::ALL[n - 1], 1.0);
            (0..8).map(|second| schedule.due_in(second)).collect::<Vec<_>>()
        };
        assert_eq!(rates(1), [100; 8]);
        assert_eq!(rates(2), [200; 8]);
        assert_eq!(rates(3), [100, 600, 300, 600, 100, 600, 300, 600]);
    }

    #[test]
    fn transactions_of_a_second_are_evenly_spread() {
        let ticks = |count: u64| (0..count).map(|n| due_tick(n, count)).collect::<Vec<_>>();
        assert_eq!(ticks(4), [0, 250, 500, 750]);
        assert_eq!(ticks(3), [0, 334, 667]);
        assert_eq!(ticks(100), (0..1_000).step_by(10).collect::<Vec<_>>());
        assert_eq!(ticks(2_000)[1_997..], [999, 999, 999]);
    }

    #[test]
    fn each_four_have_the_shares_of_the_contract_in_changing_order() {
        let mut orders = std::collections::HashSet::new();
        for block in 0..1_000_u64 {
            let writes: Vec<Write> = (block * 4..block * 4 + 4).map(write).collect();
            let count = |kind| writes.iter().filter(|write| **write == kind).count();
            let counts = [Write::Update, Write::Create, Write::Checkout].map(count);
            assert_eq!(counts, [2, 1, 1]);
            let reads = (block * 4..block * 4 + 4).map(read);
            assert_eq!(reads.filter(|kind| *kind == Read::Order).count(), 1);
            orders.insert(format!("{writes:?}"));
        }
        assert_eq!(orders.len(), 4);
    }

    proptest! {
        #[test]
        fn sums_do_not_drift(pattern in patterns(), scale in 0.001..50.0_f64, seconds in 1..2_000_u16) {
            let schedule = Schedule::new(pattern, scale);
            let sum: u64 = (0..seconds).map(|second| schedule.due_in(second)).sum();
            prop_assert_eq!(sum, schedule.due_before(seconds));
            let unscaled = Schedule::new(pattern, 1.0).due_before(seconds);
            prop_assert!((sum as f64 - unscaled as f64 * scale).abs() <= 0.5 + 1e-6);
        }

        #[test]
        fn what_is_released_by_a_tick_is_what_is_due_by_it(count in 0..5_000_u64, tick in 0..TICKS) {
            let due = (0..count).filter(|n| due_tick(*n, count) <= tick).count() as u64;
            prop_assert_eq!(due_by(tick, count), due);
            prop_assert_eq!(due_by(TICKS - 1, count), count);
        }

        #[test]
        fn the_number_of_checkouts_is_known_ahead(writes in 0..10_000_u64) {
            let counted = (0..writes).filter(|n| write(*n) == Write::Checkout).count() as u64;
            prop_assert_eq!(checkouts(writes), counted);
        }

        #[test]
        fn no_two_workers_take_the_same_order(workers in 1..6_u8, checkouts in 1..200_u64) {
            let mut taken: Vec<u64> = (0..workers)
                .flat_map(|worker| (0..checkouts).map(move |n| order_of(n, worker, workers)))
                .collect();
            taken.sort_unstable();
            prop_assert_eq!(taken, (1..=checkouts * u64::from(workers)).collect::<Vec<_>>());
        }
    }
}
