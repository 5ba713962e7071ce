//! Simulated users, many at once: each does one operation after another, with or without a pause.
//!
//! Part of the load harness, not of the product. Without `--orders` each user creates an order, adds
//! an item, checks it out, reads it, and begins again. With `--orders` all of them only check out
//! those orders, each order once. With `--pause` a latency runs from when the operation was due, so
//! the delay that a slow answer causes for the user's next operations counts too.

mod client;
mod latencies;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use client::{Connection, Server};
use hyper::Method;
use latencies::Latencies;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a user waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
#[command(about = "Simulated users, each one operation after another; prints one JSON object")]
struct Args {
    /// Server to load, on this machine only: http://127.0.0.1:PORT
    #[arg(long, value_name = "URL")]
    base: String,
    /// How many, each with its own connection. They are users 0 to U-1 of the store.
    #[arg(long, value_name = "U", default_value_t = 1_000)]
    users: u32,
    /// Time from one operation of a user to the next.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pause: f64,
    /// Length of the run; it ends earlier if the orders are used up.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Only check out these orders: FIRST..LAST, both included.
    #[arg(long, value_name = "0..N")]
    orders: Option<Orders>,
    /// Items in the store: 0 to N-1.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    items: u32,
    /// Seed of the random items.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Orders(RangeInclusive<u64>);

impl FromStr for Orders {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (first, last) = text.split_once("..")?;
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let found = parse().filter(|range: &RangeInclusive<u64>| !range.is_empty());
        found.map(Self).ok_or("orders are FIRST..LAST, such as 0..99999")
    }
}

/// An operation of a user, and the order it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Create,
    AddItem(String),
    Checkout(String),
    Find(String),
}

impl Operation {
    const fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::AddItem(_) => "addItem",
            Self::Checkout(_) => "checkout",
            Self::Find(_) => "find",
        }
    }

    fn request(&self, user: u32, item: u32) -> (Method, String) {
        match self {
            Self::Create => (Method::POST, format!("/orders/create/{user}")),
            Self::AddItem(order) => (Method::POST, format!("/orders/addItem/{order}/{item}/1")),
            Self::Checkout(order) => (Method::POST, format!("/orders/checkout/{order}")),
            Self::Find(order) => (Method::GET, format!("/orders/find/{order}")),
        }
    }

    /// Whether the route documents the status as a refusal: a business outcome, not a failure.
    fn refuses(&self, status: u16) -> bool {
        match self {
            Self::Create => status == 400,
            Self::AddItem(_) => matches!(status, 400 | 404 | 409),
            Self::Checkout(_) => matches!(status, 404 | 409),
            Self::Find(_) => status == 404,
        }
    }

    /// The operation that follows; without an order, another one is created.
    fn then(self, created: Option<String>) -> Self {
        match self {
            Self::Create => created.map_or(Self::Create, Self::AddItem),
            Self::AddItem(order) => Self::Checkout(order),
            Self::Checkout(order) => Self::Find(order),
            Self::Find(_) => Self::Create,
        }
    }
}

fn main() -> anyhow::Result<()> {
    println!("{}", run(&Args::parse())?);
    Ok(())
}

fn run(args: &Args) -> anyhow::Result<Value> {
    ensure!((1..=10_000).contains(&args.users), "--users must be from 1 to 10000");
    ensure!(
        (0.0..=10.0).contains(&args.pause),
        "--pause must be from 0 to 10: servers close later"
    );
    ensure!((0.1..=86_400.0).contains(&args.seconds), "--seconds must be from 0.1 to 86400");
    ensure!(args.items > 0, "--items begin at 1");
    rlimit::increase_nofile_limit(u64::from(args.users) + 64)?;
    let server = Server::at(&args.base)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..args.users {
            let mut connection = Connection::to(&server);
            let opened = connection.open().await;
            opened.map_err(anyhow::Error::msg).context("the server takes no more connections")?;
            connections.push(connection);
        }
        let shared = Arc::new(Simulation::new(args));
        let users = (0..).zip(connections);
        let users: Vec<_> = users
            .map(|(number, connection)| tokio::spawn(Arc::clone(&shared).user(number, connection)))
            .collect();
        for user in users {
            user.await?;
        }
        Ok(shared.report(args, &server))
    })
}

/// State shared by all users.
struct Simulation {
    start: Instant,
    end: Instant,
    pause: Duration,
    users: u32,
    items: u32,
    seed: u64,
    orders: Option<Orders>,
    /// The next order of `orders` to check out.
    next: AtomicU64,
    tally: Mutex<Tally>,
}

struct Tally {
    /// Latencies of all operations that were answered by 2xx or a refusal, and of each kind.
    answered: Latencies,
    acts: BTreeMap<&'static str, Latencies>,
    sent: u64,
    ok: u64,
    refused: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    /// How many users have finished their first operation, and when the last of them did.
    begun: u32,
    first_wave: Duration,
    last_answer: Duration,
}

impl Simulation {
    fn new(args: &Args) -> Self {
        let tally = Tally {
            answered: Latencies::new(),
            acts: BTreeMap::new(),
            sent: 0,
            ok: 0,
            refused: BTreeMap::new(),
            errors: BTreeMap::new(),
            begun: 0,
            first_wave: Duration::ZERO,
            last_answer: Duration::ZERO,
        };
        let start = Instant::now();
        Self {
            start,
            end: start + Duration::from_secs_f64(args.seconds),
            pause: Duration::from_secs_f64(args.pause),
            users: args.users,
            items: args.items,
            seed: args.seed,
            orders: args.orders.clone(),
            next: AtomicU64::new(args.orders.as_ref().map_or(0, |orders| *orders.0.start())),
            tally: Mutex::new(tally),
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One user, until the time is over or no order is left to check out.
    async fn user(self: Arc<Self>, number: u32, mut connection: Connection) {
        let mut rng = SmallRng::seed_from_u64(u64::from(number) ^ self.seed.rotate_left(32));
        // With a pause the users start one after the other, spread over one pause.
        let mut due = self.start + self.pause.mul_f64(f64::from(number) / f64::from(self.users));
        let mut operation = Operation::Create;
        let mut first = true;
        while due < self.end {
            if self.orders.is_some() {
                let Some(order) = self.next_order() else { break };
                operation = Operation::Checkout(order);
            }
            sleep_until(due).await;
            let request = operation.request(number, rng.random_range(0..self.items));
            self.tally().sent += 1;
            let outcome = exchange(&mut connection, request).await;
            self.settle(&operation, due, &outcome, std::mem::take(&mut first));
            operation = operation.then(created(&outcome));
            due = if self.pause.is_zero() { Instant::now() } else { due + self.pause };
        }
    }

    fn next_order(&self) -> Option<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let orders = self.orders.as_ref()?;
        orders.0.contains(&number).then(|| number.to_string())
    }

    fn settle(&self, operation: &Operation, due: Instant, outcome: &Outcome, first: bool) {
        let (now, latency) = (self.start.elapsed(), due.elapsed());
        let mut tally = self.tally();
        tally.last_answer = now;
        if first {
            tally.begun += 1;
            tally.first_wave = now;
        }
        let failed = match outcome {
            Ok((200..=299, _)) => {
                tally.ok += 1;
                None
            }
            Ok((status, _)) if operation.refuses(*status) => {
                *tally.refused.entry(*status).or_default() += 1;
                None
            }
            Ok((status, _)) => Some(status.to_string()),
            Err(what) => Some((*what).to_owned()),
        };
        if let Some(what) = failed {
            *tally.errors.entry(what).or_default() += 1;
            return;
        }
        tally.answered.record(latency);
        tally.acts.entry(operation.name()).or_insert_with(Latencies::new).record(latency);
    }

    fn report(&self, args: &Args, server: &Server) -> Value {
        let tally = self.tally();
        let seconds = tally.last_answer.as_secs_f64();
        let acts = tally.acts.iter().map(|(name, latencies)| {
            ((*name).to_owned(), latencies.add_to(json!({ "answered": latencies.count() })))
        });
        let all_begun = tally.begun == args.users;
        tally.answered.add_to(json!({
            "client": "user_simulation", "users": args.users, "pause": args.pause, "seconds": seconds,
            "seed": args.seed, "achieved": tally.ok as f64 / seconds.max(1e-6),
            "sent": tally.sent, "ok": tally.ok, "dropped": 0, "refused": tally.refused,
            "errors": tally.errors, "reconnects": server.reconnects(),
            "first_wave_seconds": all_begun.then_some(tally.first_wave.as_secs_f64()),
            "acts": acts.collect::<serde_json::Map<_, _>>(),
        }))
    }
}

/// Status and body, or a word for the error.
type Outcome = Result<(u16, Bytes), &'static str>;

async fn exchange(connection: &mut Connection, (method, path): (Method, String)) -> Outcome {
    let answer = async {
        connection.open().await?;
        connection.exchange(method, &path, "").await
    };
    timeout(TIMEOUT, answer).await.unwrap_or(Err("timeout"))
}

/// The id in the answer to a create.
fn created(outcome: &Outcome) -> Option<String> {
    let (_, body) = outcome.as_ref().ok().filter(|(status, _)| *status == 200)?;
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["order_id"].as_str().map(str::to_owned)
}
