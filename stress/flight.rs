//! What the drivers without HTTP share: so many questions in flight for so long, and the JSON line
//! in the words of the other load clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Sizes of a flight.
#[derive(Debug, Clone, Args)]
pub(crate) struct Flight {
    /// Games in the store: 1 to N.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    pub(crate) rows: i32,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Questions under way at once.
    #[arg(long, value_name = "W", default_value_t = 64)]
    pub(crate) in_flight: u32,
    /// Connections to the database, each with its share of the questions.
    #[arg(long, value_name = "C", default_value_t = 1)]
    pub(crate) connections: usize,
    /// Seed of the random ids.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// One question to the database.
pub(crate) trait Ask: Send + Sync + 'static {
    fn ask(&self, id: i32) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The id that comes next.
pub(crate) trait Next: Fn(&mut SmallRng) -> i32 + Send + Sync + 'static {}

impl<F: Fn(&mut SmallRng) -> i32 + Send + Sync + 'static> Next for F {}

struct Tally {
    latency_us: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    last_answer: Duration,
}

impl Flight {
    /// Asks until the time is over, and waits for the answers that are still owed then.
    ///
    /// `next` says which id is asked for next.
    pub(crate) async fn run(&self, ask: impl Ask, next: impl Next) -> anyhow::Result<Value> {
        ensure!((0.1..=86_400.0).contains(&self.seconds), "--seconds must be from 0.1 to 86400");
        ensure!((1..=65_536).contains(&self.in_flight), "--in-flight must be from 1 to 65536");
        ensure!(self.rows > 0 && self.connections > 0, "--rows and --connections begin at 1");
        let tally = Arc::new(Mutex::new(Tally {
            latency_us: Histogram::new_with_bounds(1, 86_400_000_000, 3)?,
            errors: BTreeMap::new(),
            last_answer: Duration::ZERO,
        }));
        let (ask, next, start) = (Arc::new(ask), Arc::new(next), Instant::now());
        let end = start + Duration::from_secs_f64(self.seconds);
        let tasks: Vec<_> = (0..u64::from(self.in_flight))
            .map(|number| {
                let (ask, next, tally) = (Arc::clone(&ask), Arc::clone(&next), Arc::clone(&tally));
                let rng = SmallRng::seed_from_u64(number ^ self.seed.rotate_left(32));
                tokio::spawn(asker(ask, next, tally, rng, start..end))
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.report(&tally))
    }

    /// Random ids of those in the store.
    pub(crate) fn random(&self) -> impl Next {
        let rows = self.rows;
        move |rng: &mut SmallRng| rng.random_range(1..=rows)
    }

    fn report(&self, tally: &Tally) -> Value {
        let (ok, errors) = (tally.latency_us.len(), tally.errors.values().sum::<u64>());
        let seconds = tally.last_answer.as_secs_f64().max(self.seconds);
        let at = |quantile: f64| tally.latency_us.value_at_quantile(quantile) as f64 / 1e3;
        json!({
            "client": "driver", "seconds": seconds, "connections": self.connections,
            "in_flight": self.in_flight, "achieved": ok as f64 / seconds,
            "sent": ok + errors, "ok": ok, "dropped": 0, "errors": tally.errors,
            "mean_ms": tally.latency_us.mean() / 1e3, "p50_ms": at(0.5), "p95_ms": at(0.95),
            "p99_ms": at(0.99), "max_ms": tally.latency_us.max() as f64 / 1e3,
        })
    }
}

async fn asker(
    ask: Arc<impl Ask>,
    next: Arc<impl Next>,
    tally: Arc<Mutex<Tally>>,
    mut rng: SmallRng,
    span: std::ops::Range<Instant>,
) {
    while Instant::now() < span.end {
        let began = Instant::now();
        let outcome = ask.ask(next(&mut rng)).await;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                tally.latency_us.saturating_record(micros);
                tally.last_answer = span.start.elapsed();
            }
            Err(error) => *tally.errors.entry(error.to_string()).or_default() += 1,
        }
    }
}
