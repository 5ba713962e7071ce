//! Open-loop HTTP load: requests fall due by the clock, whether or not the server keeps up.
//!
//! Part of the load harness, not of the product. Every latency runs from the moment a request was
//! DUE, so that a server (or this client) that stalls for a second is charged for everything that
//! fell due meanwhile, not only for the one request that was in flight.
//!
//! A separate thread releases the requests that are due, once a millisecond; `--connections` tasks on
//! one runtime thread take the released numbers in order and send them. Request number i is due at
//! i / rate, rounded up to the next tick, so no list of pending requests is kept anywhere.

mod client;
mod latencies;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use client::{Connection, Server};
use hyper::Method;
use latencies::Latencies;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TICK: Duration = Duration::from_millis(1);
const POST_BODY: &str = include_str!("bodies/post.json");
const PUT_BODY: &str = include_str!("bodies/put.json");

#[derive(Debug, Parser)]
#[command(about = "Offers a fixed rate of requests and prints one JSON object")]
struct Args {
    /// Server to load, on this machine only: http://127.0.0.1:PORT
    #[arg(long, value_name = "URL")]
    base: String,
    /// Route under load: get and put use random ids, delete each id once in ascending order.
    #[arg(long, value_enum, default_value_t = Route::Get)]
    route: Route,
    /// Requests a second.
    #[arg(long, value_name = "R")]
    rate: f64,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Length of the warm-up at the same rate, which is not counted.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    warmup: f64,
    /// How long to wait at the end for requests that are still in flight.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    grace: f64,
    /// Persistent connections, which is also the limit of requests in flight.
    #[arg(long, value_name = "C", default_value_t = 64)]
    connections: u32,
    /// Ids that exist in the store: FIRST..LAST, both included.
    #[arg(long, value_name = "1..N", default_value = "1..300000")]
    ids: Ids,
    /// Seed of the random ids.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Route {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ids(RangeInclusive<u32>);

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (first, last) = text.split_once("..")?;
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        match parse() {
            Some((first, last)) if 0 < first && first <= last => Ok(Self(first..=last)),
            _ => Err("ids are FIRST..LAST with 1 <= FIRST <= LAST, such as 1..300000".to_owned()),
        }
    }
}

fn main() -> anyhow::Result<()> {
    println!("{}", run(&Args::parse())?);
    Ok(())
}

fn run(args: &Args) -> anyhow::Result<serde_json::Value> {
    let server = Server::at(&args.base)?;
    let schedule = Schedule::new(args)?;
    let last = schedule.due(schedule.total);
    let load = Arc::new(Load::new(args, server, schedule)?);

    // One thread is enough for tens of thousands a second, and leaves the rest to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for number in 0..args.connections {
            tokio::spawn(Arc::clone(&load).worker(u64::from(number) ^ args.seed.rotate_left(32)));
        }
        let clock = Arc::clone(&load);
        std::thread::spawn(move || clock.release_when_due());
        let end = load.start + last + Duration::from_secs_f64(args.grace);
        // Running out of time is no error: what is still owed then counts as dropped.
        let _ = tokio::time::timeout_at(end.into(), load.finished.notified()).await;
    });
    Ok(load.report(args))
}

/// When each request is due, as a distance from the start: a function of its number.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    rate: f64,
    /// Requests before the measured ones.
    warmup: u64,
    total: u64,
}

impl Schedule {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let fits = |value: f64, least: f64, most: f64| value >= least && value <= most;
        ensure!(fits(args.rate, 0.01, 1e6), "--rate must be from 0.01 to 1000000");
        ensure!(fits(args.seconds, 0.1, 86_400.0), "--seconds must be from 0.1 to 86400");
        ensure!(fits(args.warmup, 0.0, 3_600.0), "--warmup must be from 0 to 3600");
        ensure!(fits(args.grace, 0.0, 600.0), "--grace must be from 0 to 600");
        ensure!((1..=10_000).contains(&args.connections), "--connections must be 1 to 10000");
        let count = |seconds: f64| (args.rate * seconds).round() as u64;
        let (warmup, measured) = (count(args.warmup), count(args.seconds));
        ensure!(measured > 0, "no request falls due in --seconds at this --rate: raise either");
        Ok(Self { rate: args.rate, warmup, total: warmup + measured })
    }

    fn due(&self, number: u64) -> Duration {
        let ticks = (number as f64 / self.rate / TICK.as_secs_f64() - 1e-6).ceil().max(0.0);
        TICK.mul_f64(ticks)
    }

    /// How many requests are due at this distance from the start.
    fn released_by(&self, elapsed: Duration) -> u64 {
        let ticks = elapsed.as_nanos() / TICK.as_nanos();
        let exact = ticks as f64 * TICK.as_secs_f64() * self.rate;
        ((exact + 1e-6).floor() as u64 + 1).min(self.total)
    }
}

/// State shared by the workers: the numbers to send and the counts of answers.
struct Load {
    server: Arc<Server>,
    route: Route,
    ids: Ids,
    schedule: Schedule,
    start: Instant,
    /// One permit for each request that is due and that no worker has taken yet.
    due: Semaphore,
    next: AtomicU64,
    tally: Mutex<Tally>,
    finished: Notify,
}

struct Tally {
    /// Of those that succeeded.
    latencies: Latencies,
    sent: u64,
    errors: BTreeMap<String, u64>,
    /// Answers and errors, including those of the warm-up.
    settled: u64,
    last_answer: Duration,
    latest_release: Duration,
}

impl Load {
    fn new(args: &Args, server: Arc<Server>, schedule: Schedule) -> anyhow::Result<Self> {
        let ids = args.ids.clone();
        if args.route == Route::Delete {
            let rows = u64::from(ids.0.end() - ids.0.start()) + 1;
            ensure!(
                rows >= schedule.total,
                "{} deletes fall due but --ids has {rows} rows: lower --rate or --seconds",
                schedule.total
            );
        }
        let tally = Tally {
            latencies: Latencies::new(),
            sent: 0,
            errors: BTreeMap::new(),
            settled: 0,
            last_answer: Duration::ZERO,
            latest_release: Duration::ZERO,
        };
        Ok(Self {
            server,
            route: args.route,
            ids,
            schedule,
            // In the future, so that the connections are open before the first request is due.
            start: Instant::now() + Duration::from_millis(100),
            due: Semaphore::new(0),
            next: AtomicU64::new(0),
            tally: Mutex::new(tally),
            finished: Notify::new(),
        })
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock: sleeps from tick to tick and releases the requests that have become due.
    fn release_when_due(&self) {
        let mut released = 0;
        while released < self.schedule.total {
            let wake = self.start + self.schedule.due(released);
            std::thread::sleep(wake.saturating_duration_since(Instant::now()));
            let late = wake.elapsed();
            let due = self.schedule.released_by(self.start.elapsed());
            self.due.add_permits((due - released) as usize);
            released = due;
            let mut tally = self.tally();
            tally.latest_release = tally.latest_release.max(late);
        }
    }

    /// One connection: takes the next number that is due, sends it, waits for the answer.
    async fn worker(self: Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut connection = Connection::to(&self.server);
        // A failure here is reported by the first request, which opens the connection again.
        let _ = connection.open().await;
        while let Ok(permit) = self.due.acquire().await {
            permit.forget();
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let id = match self.route {
                Route::Delete => self.ids.0.start() + number as u32,
                _ => rng.random_range(self.ids.0.clone()),
            };
            let outcome = self.exchange(&mut connection, number, id).await;
            self.settle(number, outcome);
        }
    }

    /// Sends one request and reads its whole answer. The result is the status, or a word for the
    /// error.
    async fn exchange(
        &self,
        connection: &mut Connection,
        number: u64,
        id: u32,
    ) -> Result<u16, &'static str> {
        connection.open().await?;
        if number >= self.schedule.warmup {
            self.tally().sent += 1;
        }
        let (method, path, body) = match self.route {
            Route::Get => (Method::GET, format!("/api/overview/{id}"), ""),
            Route::Delete => (Method::DELETE, format!("/api/overview/{id}"), ""),
            Route::Put => (Method::PUT, format!("/api/overview/{id}"), PUT_BODY),
            Route::Post => (Method::POST, "/api/overview".to_owned(), POST_BODY),
        };
        connection.exchange(method, &path, body).await.map(|(status, _)| status)
    }

    fn settle(&self, number: u64, outcome: Result<u16, &'static str>) {
        let now = self.start.elapsed();
        let late = now.saturating_sub(self.schedule.due(number));
        let mut tally = self.tally();
        tally.settled += 1;
        if number >= self.schedule.warmup {
            match outcome {
                Ok(200..=299) => {
                    tally.last_answer = now;
                    tally.latencies.record(late);
                }
                Ok(status) => *tally.errors.entry(status.to_string()).or_default() += 1,
                Err(what) => *tally.errors.entry(what.to_owned()).or_default() += 1,
            }
        }
        if tally.settled == self.schedule.total {
            self.finished.notify_one();
        }
    }

    fn report(&self, args: &Args) -> serde_json::Value {
        let tally = self.tally();
        let due = self.schedule.total - self.schedule.warmup;
        let errors: u64 = tally.errors.values().sum();
        let measured_from = self.schedule.due(self.schedule.warmup);
        let seconds = tally.last_answer.saturating_sub(measured_from).as_secs_f64();
        let ok = tally.latencies.count();
        tally.latencies.add_to(json!({
            "client": "openloop", "route": format!("{:?}", args.route).to_lowercase(),
            "seconds": args.seconds, "connections": args.connections, "seed": args.seed,
            "offered": self.schedule.rate, "achieved": ok as f64 / seconds.max(args.seconds),
            "due": due, "unmeasured": self.schedule.warmup, "sent": tally.sent, "ok": ok,
            "dropped": due - ok - errors, "errors": tally.errors,
            "reconnects": self.server.reconnects(),
            "client_late_max_ms": tally.latest_release.as_secs_f64() * 1e3,
        }))
    }
}
