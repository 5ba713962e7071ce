//! Clients that write all the time, and a record of what was acknowledged to them.
//!
//! Here: what a client learns from an answer, the clients, and the comparison of what they were told
//! with what a server shows ([`Acknowledged::verify`]). [`games`] creates, changes and removes games,
//! [`cart`] does every operation of orders, stock and payment. Not here: how a request is sent, and
//! which answers are allowed at all; each test has its own [`Sender`].

mod cart;
mod games;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::{Method, Response};
use serde_json::Value;

use self::cart::{CartClient, ExpectedCart};
use self::games::GameClient;
use crate::process::Server;
use crate::wait::eventually;

/// What a client knows after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done: the place of what was created, else the body.
    Done(String),
    /// A 4xx: nothing has changed; the status.
    Refused(u16),
    /// It may have been done or not, now or a little later, wholly in either case.
    Unknown,
}

/// Sends writes.
pub trait Sender: Send + Sync + 'static {
    /// Sends one; fails if the answer is not allowed at all.
    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = Outcome> + Send;
}

/// Sends to a server. A broken connection is an unknown outcome, as is a 503, which must say when to come
/// back.
#[derive(Clone)]
pub struct Direct(pub Arc<Server>);

impl Sender for Direct {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Outcome {
        match self.0.send(method, path, body.as_ref()).await {
            Ok(answer) => outcome(answer).await,
            Err(_) => Outcome::Unknown,
        }
    }
}

/// What an answer tells; it must be one that clients can handle.
pub async fn outcome(answer: Response) -> Outcome {
    match answer.status().as_u16() {
        201 => Outcome::Done(answer.headers()["location"].to_str().expect("a path").to_owned()),
        200 => answer.text().await.map_or(Outcome::Unknown, Outcome::Done),
        status @ 400..500 => Outcome::Refused(status),
        status => {
            assert_eq!(status, 503, "{}", answer.url());
            let again = answer.headers()["retry-after"].to_str().expect("a number");
            assert!(again.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{again}");
            Outcome::Unknown
        }
    }
}

/// Every kind of write that the clients do.
pub const KINDS: [&str; 15] = [
    "create",
    "change",
    "remove",
    "create_user",
    "add_funds",
    "pay",
    "create_item",
    "add_stock",
    "subtract_stock",
    "create_order",
    "add_item",
    "remove_item",
    "remove_order",
    "checkout",
    "cancel",
];

/// What the clients of a test have done so far, while they go on.
#[derive(Debug, Default)]
pub struct Progress {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    kinds: Mutex<BTreeMap<&'static str, u64>>,
}

impl Progress {
    /// Tells all clients to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Writes that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Writes whose outcome is unknown.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// The kinds of which none was acknowledged.
    pub fn missing(&self) -> Vec<&'static str> {
        let kinds = self.kinds.lock().expect("no client panicked here");
        KINDS.into_iter().filter(|kind| !kinds.contains_key(kind)).collect()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts the outcome of a write.
    async fn count(&self, kind: &'static str, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                *self.kinds.lock().expect("no client panicked here").entry(kind).or_default() += 1;
            }
            Outcome::Refused(_) => {}
            Outcome::Unknown => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                // A short pause, so that retries during a fault do not fill the test's time.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

/// Client number `number` of a test: even ones write games, odd ones do operations on a cart. Works until
/// it is told to stop.
pub async fn client(
    sender: &impl Sender,
    progress: &Progress,
    number: u64,
    seed: u64,
) -> Acknowledged {
    let rng = StdRng::seed_from_u64(seed ^ number);
    if number.is_multiple_of(2) {
        GameClient::new(number, rng).run(sender, progress).await
    } else {
        CartClient::new(rng).run(sender, progress).await
    }
}

/// What was acknowledged. Each client has games and carts of its own, so it knows their states.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// The names that a game may have, by its place; `None` is a removed one.
    games: BTreeMap<String, Vec<Option<String>>>,
    carts: Vec<ExpectedCart>,
}

impl Acknowledged {
    /// Adds what another client knows.
    pub fn add(&mut self, other: Self) {
        for (path, possible) in other.games {
            let before = self.games.insert(path.clone(), possible);
            assert_eq!(before, None, "{path} was given twice");
        }
        self.carts.extend(other.carts);
    }

    /// Every game and every cart must be as its client was told.
    pub async fn verify(&self, server: &Server) {
        self.verify_games(server).await;
        for cart in &self.carts {
            // On Cassandra what a fault has interrupted is finished a little later.
            let what = format!("{cart:?}");
            eventually(&what, async || cart.is_as_expected(server).await).await;
        }
        println!("{} games and {} carts are as acknowledged", self.games.len(), self.carts.len());
    }

    /// The same for the games alone.
    pub async fn verify_games(&self, server: &Server) {
        for (path, possible) in &self.games {
            let found = games::name(server, path).await;
            assert!(possible.contains(&found), "{path} is {found:?}, not one of {possible:?}");
        }
    }
}
