//! Users of a shop, many at once: each does one thing after another, with a pause or without.
//!
//! Part of the load harness, not of the product. Without `--orders` each user makes an order, puts
//! an item into it, checks it out, looks at it, and begins again. With `--orders` all of them check
//! those orders out, each order once. With `--pause` a latency runs from the moment the user was
//! due to act, so that whoever was kept waiting is late for the next act too, and that counts.

mod client;
mod latencies;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::ExitCode;
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
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
#[command(about = "Users of a shop, each one act after another; prints one JSON object")]
struct Args {
    /// Server to load, on this machine only: http://127.0.0.1:PORT
    #[arg(long, value_name = "URL")]
    base: String,
    /// Each has a connection of its own. They are users 0 to U-1 of the store.
    #[arg(long, value_name = "U", default_value_t = 1_000)]
    users: u32,
    /// From one act of a user to the next.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pause: f64,
    /// How long users act; it ends sooner where the orders are used up.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Check these orders out and do nothing else: FIRST..LAST, both included.
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

/// What a user does next, and with which order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Create,
    AddItem(String),
    Checkout(String),
    Find(String),
}

impl Act {
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

    /// What a user of the whole shop does after it; without an order, another is made.
    fn then(self, created: Option<String>) -> Self {
        match self {
            Self::Create => created.map_or(Self::Create, Self::AddItem),
            Self::AddItem(order) => Self::Checkout(order),
            Self::Checkout(order) => Self::Find(order),
            Self::Find(_) => Self::Create,
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("shoppers: {error:#}");
            ExitCode::FAILURE
        }
    }
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
            let stood = connection.stand().await;
            stood.map_err(anyhow::Error::msg).context("the server takes no more connections")?;
            connections.push(connection);
        }
        let shop = Arc::new(Shop::open(args));
        let users = (0..).zip(connections);
        let users: Vec<_> = users
            .map(|(number, connection)| tokio::spawn(Arc::clone(&shop).user(number, connection)))
            .collect();
        for user in users {
            user.await?;
        }
        Ok(shop.report(args, &server))
    })
}

/// What all users share.
struct Shop {
    start: Instant,
    end: Instant,
    pause: Duration,
    users: u32,
    items: u32,
    seed: u64,
    orders: Option<Orders>,
    /// The order of `orders` that is checked out next.
    next: AtomicU64,
    tally: Mutex<Tally>,
}

struct Tally {
    /// Of all that were answered by 2xx or a refusal, and of each act.
    answered: Latencies,
    acts: BTreeMap<&'static str, Latencies>,
    sent: u64,
    ok: u64,
    refused: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    /// Users whose first act has come to an end, and when the last of them had.
    begun: u32,
    first_wave: Duration,
    last_answer: Duration,
}

impl Shop {
    fn open(args: &Args) -> Self {
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

    /// One user, until the shop closes or there is nothing left to check out.
    async fn user(self: Arc<Self>, number: u32, mut connection: Connection) {
        let mut rng = SmallRng::seed_from_u64(u64::from(number) ^ self.seed.rotate_left(32));
        // With a pause they come one after the other, not all at once.
        let mut due = self.start + self.pause.mul_f64(f64::from(number) / f64::from(self.users));
        let mut act = Act::Create;
        let mut first = true;
        while due < self.end {
            if self.orders.is_some() {
                let Some(order) = self.next_order() else { break };
                act = Act::Checkout(order);
            }
            sleep_until(due).await;
            let request = act.request(number, rng.random_range(0..self.items));
            self.tally().sent += 1;
            let outcome = exchange(&mut connection, request).await;
            self.settle(&act, due, &outcome, std::mem::take(&mut first));
            act = act.then(created(&outcome));
            due = if self.pause.is_zero() { Instant::now() } else { due + self.pause };
        }
    }

    fn next_order(&self) -> Option<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let orders = self.orders.as_ref()?;
        orders.0.contains(&number).then(|| number.to_string())
    }

    fn settle(&self, act: &Act, due: Instant, outcome: &Outcome, first: bool) {
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
            Ok((status, _)) if act.refuses(*status) => {
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
        tally.acts.entry(act.name()).or_insert_with(Latencies::new).record(latency);
    }

    fn report(&self, args: &Args, server: &Server) -> Value {
        let tally = self.tally();
        let seconds = tally.last_answer.as_secs_f64();
        let acts = tally.acts.iter().map(|(name, latencies)| {
            ((*name).to_owned(), latencies.beside(json!({ "answered": latencies.count() })))
        });
        let all_begun = tally.begun == args.users;
        tally.answered.beside(json!({
            "client": "shoppers", "users": args.users, "pause": args.pause, "seconds": seconds,
            "seed": args.seed, "achieved": tally.ok as f64 / seconds.max(1e-6),
            "sent": tally.sent, "ok": tally.ok, "dropped": 0, "refused": tally.refused,
            "errors": tally.errors, "reconnects": server.reconnects(),
            "first_wave_seconds": all_begun.then_some(tally.first_wave.as_secs_f64()),
            "acts": acts.collect::<serde_json::Map<_, _>>(),
        }))
    }
}

/// Status and body, or a word for what went wrong.
type Outcome = Result<(u16, Bytes), &'static str>;

async fn exchange(connection: &mut Connection, (method, path): (Method, String)) -> Outcome {
    let answer = async {
        connection.stand().await?;
        connection.exchange(method, &path, "").await
    };
    timeout(PATIENCE, answer).await.unwrap_or(Err("timeout"))
}

/// The id in the answer to a create.
fn created(outcome: &Outcome) -> Option<String> {
    let (_, body) = outcome.as_ref().ok().filter(|(status, _)| *status == 200)?;
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["order_id"].as_str().map(str::to_owned)
}
