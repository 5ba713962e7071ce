//! What the drivers without HTTP share: so many questions in flight for so long, and the JSON line
//! in the words of the other load clients.

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

/// Sizes of a flight.
#[derive(Debug, Clone, Args)]
pub(crate) struct Flight {
    /// What there is to ask for in the store: 1 to N.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    pub(crate) rows: i32,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Questions under way at once.
    #[arg(long, value_name = "W", default_value_t = 64)]
    pub(crate) in_flight: u32,
    /// Ask for each id once, from this one on, in place of random ones.
    #[arg(long, value_name = "ID")]
    pub(crate) first: Option<i32>,
    /// Seed of the random ids.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// One question to the database.
pub(crate) trait Ask: Send + Sync + 'static {
    fn ask(&self, id: i32) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Which id comes next.
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

impl Flight {
    /// Asks until the time is over, and waits for the answers that are still owed then.
    pub(crate) async fn run(&self, ask: impl Ask) -> anyhow::Result<Value> {
        ensure!((0.1..=86_400.0).contains(&self.seconds), "--seconds must be from 0.1 to 86400");
        ensure!((1..=65_536).contains(&self.in_flight), "--in-flight must be from 1 to 65536");
        ensure!(self.rows > 0, "--rows begins at 1");
        let tally = Arc::new(Mutex::new(Tally {
            latencies: Latencies::new(),
            errors: BTreeMap::new(),
            last_answer: Duration::ZERO,
        }));
        let ids = Arc::new(Ids { rows: self.rows, ascending: self.first.map(AtomicI32::new) });
        let (ask, start) = (Arc::new(ask), Instant::now());
        let end = start + Duration::from_secs_f64(self.seconds);
        let tasks: Vec<_> = (0..u64::from(self.in_flight))
            .map(|number| {
                let (ask, ids, tally) = (Arc::clone(&ask), Arc::clone(&ids), Arc::clone(&tally));
                let rng = SmallRng::seed_from_u64(number ^ self.seed.rotate_left(32));
                tokio::spawn(asker(ask, ids, tally, rng, start..end))
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
        tally.latencies.beside(json!({
            "client": "driver", "seconds": seconds, "in_flight": self.in_flight,
            "achieved": ok as f64 / seconds, "sent": ok + errors, "ok": ok, "dropped": 0,
            "errors": tally.errors, "last_id": ids.last().unwrap_or_default(),
        }))
    }
}

async fn asker(
    ask: Arc<impl Ask>,
    ids: Arc<Ids>,
    tally: Arc<Mutex<Tally>>,
    mut rng: SmallRng,
    span: std::ops::Range<Instant>,
) {
    while Instant::now() < span.end {
        let began = Instant::now();
        let outcome = ask.ask(ids.next(&mut rng)).await;
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
