//! Contention: many orders of one item each, all checked out at once, for too few things.
//!
//! Part of the load harness, not of the product. Creates users and items, then orders of randomly
//! drawn users, checks all of them out at the same moment, each over its own connection, and prints
//! the answers together with what the store shows afterwards. It does not compare the two:
//! stress/harness/contention.py does.

mod client;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Parser;
use client::{Connection, Server};
use hyper::Method;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::timeout;

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests in flight at once, except for the checkouts.
const AT_ONCE: u32 = 32;

#[derive(Debug, Parser)]
#[command(about = "Checks many orders out at once and prints the outcome as one JSON object")]
struct Args {
    /// Servers on one store, on this machine only, used round robin. http://127.0.0.1:PORT
    #[arg(long, value_name = "URL", required = true)]
    base: Vec<String>,
    /// Different items, at price 1 each; the things are spread over them evenly.
    #[arg(long, value_name = "N", default_value_t = 1)]
    items: u32,
    /// Total stock of all items.
    #[arg(long, value_name = "N", default_value_t = 100)]
    things: u32,
    /// Users, each with credit 1.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    users: u32,
    /// Orders, each of one item, checked out at once.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    orders: u32,
    /// Seed by which the users of the orders are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// An order that is to be checked out.
struct Wanted {
    id: String,
    user: u32,
    item: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.items > 0 && args.things % args.items == 0, "--items must divide --things");
    ensure!((1..=10_000).contains(&args.orders) && args.users > 0, "--orders: from 1 to 10000");
    rlimit::increase_nofile_limit(u64::from(args.orders) + 256)?;
    let servers = args.base.iter().map(|base| Server::at(base)).collect::<anyhow::Result<_>>()?;
    println!("{}", Contention { args, servers }.run().await?);
    Ok(())
}

struct Contention {
    args: Args,
    servers: Vec<Arc<Server>>,
}

impl Contention {
    async fn run(self) -> anyhow::Result<Value> {
        let (users, items, each) =
            (self.args.users, self.args.items, self.args.things / self.args.items);
        done(&self.servers[0], format!("/payment/batch_init/{users}/1")).await?;
        done(&self.servers[0], format!("/stock/batch_init/{items}/{each}/1")).await?;
        let wanted = self.make().await?;
        let (answers, seconds) = self.check_out(&wanted).await?;
        let stock = self.shown(items, |item| format!("/stock/find/{item}"), "stock").await?;
        let credit =
            self.shown(users, |user| format!("/payment/find_user/{user}"), "credit").await?;
        let orders = wanted.iter().zip(answers);
        let orders: Vec<_> =
            orders.map(|(wanted, answer)| json!([wanted.user, wanted.item, answer])).collect();
        Ok(json!({
            "client": "contention", "seed": self.args.seed, "seconds": seconds, "stock_each": each,
            "orders": orders, "stock": stock, "credit": credit,
            "reconnects": self.servers.iter().map(|server| server.reconnects()).sum::<u64>(),
        }))
    }

    fn server(&self, number: u32) -> &Arc<Server> {
        &self.servers[number as usize % self.servers.len()]
    }

    /// Creates the orders, none of them paid.
    async fn make(&self) -> anyhow::Result<Vec<Wanted>> {
        let mut rng = StdRng::seed_from_u64(self.args.seed);
        let drawn: Vec<u32> =
            (0..self.args.orders).map(|_| rng.random_range(0..self.args.users)).collect();
        let items = self.args.items;
        self.concurrently(self.args.orders, move |server, number| {
            let (user, item) = (drawn[number as usize], number % items);
            async move {
                let answer = done(&server, format!("/orders/create/{user}")).await?;
                let id = answer["order_id"].as_str().context("an order without an id")?.to_owned();
                done(&server, format!("/orders/addItem/{id}/{item}/1")).await?;
                Ok(Wanted { id, user, item })
            }
        })
        .await
    }

    /// Each checkout's status, or a word for the error; and the seconds from the first request to
    /// the last answer.
    async fn check_out(&self, wanted: &[Wanted]) -> anyhow::Result<(Vec<Value>, f64)> {
        let start = Arc::new(Barrier::new(wanted.len() + 1));
        let mut buying = Vec::new();
        for (number, wanted) in (0..).zip(wanted) {
            let mut connection = Connection::to(self.server(number));
            let opened = connection.open().await;
            opened.map_err(anyhow::Error::msg).context("the server takes no more connections")?;
            let (start, path) = (Arc::clone(&start), format!("/orders/checkout/{}", wanted.id));
            buying.push(tokio::spawn(async move {
                start.wait().await;
                let answer = timeout(TIMEOUT, connection.exchange(Method::POST, &path, "")).await;
                match answer.unwrap_or(Err("timeout")) {
                    Ok((status, _)) => Value::from(status),
                    Err(what) => Value::from(what),
                }
            }));
        }
        start.wait().await;
        let begun = Instant::now();
        let answers = futures::future::try_join_all(buying).await?;
        Ok((answers, begun.elapsed().as_secs_f64()))
    }

    /// A number that the store shows for each user or item.
    async fn shown(
        &self,
        count: u32,
        path: impl Fn(u32) -> String,
        key: &'static str,
    ) -> anyhow::Result<Vec<u64>> {
        self.concurrently(count, move |server, number| {
            let path = path(number);
            async move {
                let answer = asked(&server, Method::GET, &path).await?;
                answer[key].as_u64().with_context(|| format!("{path}: no {key}"))
            }
        })
        .await
    }

    /// Runs a future for each number, at most `AT_ONCE` at a time.
    async fn concurrently<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        count: u32,
        of: impl Fn(Arc<Server>, u32) -> F,
    ) -> anyhow::Result<Vec<T>> {
        let mut found = Vec::new();
        for begin in (0..count).step_by(AT_ONCE as usize) {
            let some = (begin..count.min(begin + AT_ONCE))
                .map(|number| of(Arc::clone(self.server(number)), number));
            found.extend(futures::future::try_join_all(some).await?);
        }
        Ok(found)
    }
}

/// The answer to a post that must succeed.
async fn done(server: &Arc<Server>, path: String) -> anyhow::Result<Value> {
    asked(server, Method::POST, &path).await
}

/// The answer to a request that must succeed; JSON, or else null.
async fn asked(server: &Arc<Server>, method: Method, path: &str) -> anyhow::Result<Value> {
    let mut connection = Connection::to(server);
    let answer = async {
        connection.open().await?;
        connection.exchange(method, path, "").await
    };
    let answer: Result<(u16, Bytes), _> = timeout(TIMEOUT, answer).await.unwrap_or(Err("timeout"));
    match answer {
        Ok((200, body)) => Ok(serde_json::from_slice(&body).unwrap_or_default()),
        Ok((status, body)) => bail!("{path}: {status} {}", String::from_utf8_lossy(&body)),
        Err(what) => bail!("{path}: {what}"),
    }
}
