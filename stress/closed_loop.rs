//! The closed loop shared by the clients without HTTP: a number of operations in flight for a time,
//! and the result as a JSON line in the format of the other load clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::latencies::Latencies;

/// Size and length of the load.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClosedLoop {
    /// Ids in the store: 1 to N.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    pub(crate) rows: i32,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Operations in flight at once.
    #[arg(long, value_name = "W", default_value_t = 64)]
    pub(crate) in_flight: u32,
    /// Use each id once, in ascending order from this one, instead of random ids.
    #[arg(long, value_name = "ID")]
    pub(crate) first: Option<i32>,
    /// Seed of the random ids.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// One operation on the database.
pub(crate) trait Operation: Send + Sync + 'static {
    fn run(&self, id: i32) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The sequence of ids.
struct Ids {
    rows: i32,
    ascending: Option<AtomicI32>,
}

impl Ids {
    fn next(&self, rng: &mut SmallRng) -> i32 {
        match &self.ascending {
            Some(next) => next.fetch_add(1, Ordering::Relaxed),
            None => rng.random_range(1..=self.rows),
        }
    }

    fn last(&self) -> Option<i32> {
        self.ascending.as_ref().map(|next| next.load(Ordering::Relaxed) - 1)
    }
}

struct Tally {
    latencies: Latencies,
    errors: BTreeMap<String, u64>,
    last_answer: Duration,
}

impl ClosedLoop {
    /// Runs operations until the time is over, then waits for those that are still in flight.
    pub(crate) async fn run(&self, operation: impl Operation) -> anyhow::Result<Value> {
        ensure!((0.1..=86_400.0).contains(&self.seconds), "--seconds must be from 0.1 to 86400");
        ensure!((1..=65_536).contains(&self.in_flight), "--in-flight must be from 1 to 65536");
        ensure!(self.rows > 0, "--rows begins at 1");
        let tally = Arc::new(Mutex::new(Tally {
            latencies: Latencies::new(),
            errors: BTreeMap::new(),
            last_answer: Duration::ZERO,
        }));
        let ids = Arc::new(Ids { rows: self.rows, ascending: self.first.map(AtomicI32::new) });
        let (operation, start) = (Arc::new(operation), Instant::now());
        let end = start + Duration::from_secs_f64(self.seconds);
        let tasks: Vec<_> = (0..u64::from(self.in_flight))
            .map(|number| {
                let operation = Arc::clone(&operation);
                let (ids, tally) = (Arc::clone(&ids), Arc::clone(&tally));
                let rng = SmallRng::seed_from_u64(number ^ self.seed.rotate_left(32));
                tokio::spawn(worker(operation, ids, tally, rng, start..end))
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.report(&tally, &ids))
    }

    fn report(&self, tally: &Tally, ids: &Ids) -> Value {
        let (ok, errors) = (tally.latencies.count(), tally.errors.values().sum::<u64>());
        let seconds = tally.last_answer.as_secs_f64().max(self.seconds);
        tally.latencies.add_to(json!({
            "client": "driver", "seconds": seconds, "in_flight": self.in_flight,
            "achieved": ok as f64 / seconds, "sent": ok + errors, "ok": ok, "dropped": 0,
            "errors": tally.errors, "last_id": ids.last().unwrap_or_default(),
        }))
    }
}

async fn worker(
    operation: Arc<impl Operation>,
    ids: Arc<Ids>,
    tally: Arc<Mutex<Tally>>,
    mut rng: SmallRng,
    span: std::ops::Range<Instant>,
) {
    while Instant::now() < span.end {
        let began = Instant::now();
        let outcome = operation.run(ids.next(&mut rng)).await;
        let latency = began.elapsed();
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                tally.latencies.record(latency);
                tally.last_answer = span.start.elapsed();
            }
            Err(error) => *tally.errors.entry(error.to_string()).or_default() += 1,
        }
    }
}
