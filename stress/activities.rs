//! Messages of activities: how many are accepted and applied in a second, and how long they take.
//!
//! Part of the load harness, not of the product. Fills a table, then sends messages of three shapes in
//! equal parts (insert; delete; both) by many connections, each as fast as it is answered, while a single
//! client reads game pages; then waits until everything is applied; then sends messages at a fixed rate
//! that wait for their end. A delete finds up to five rows.

mod client;
mod latencies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use client::{Connection, Server};
use hyper::{Method, header};
use latencies::Latencies;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PATH: &str = "/api/activities";
/// Rows of a group, which one delete removes.
const GROUP: u64 = 5;
/// Rows in a message that fills the table: a message may have 40 KiB on Cassandra.
const FILL: u64 = 100;
/// Steps from one removed group to the next: a prime, so that each group comes once.
const STRIDE: u64 = 7_919;
/// Between two reads of a game page.
const READ_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug, Parser)]
#[command(about = "Sends messages of activities and prints one JSON object")]
struct Args {
    /// Server to load, on this machine only: http://127.0.0.1:PORT
    #[arg(long, value_name = "URL")]
    base: String,
    /// Rows of the table before the measurement.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// How long to send as fast as possible.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Connections, each with one message in flight.
    #[arg(long, value_name = "C", default_value_t = 64)]
    connections: u64,
    /// Messages a second that wait for their end, afterwards; 0 sends none.
    #[arg(long, value_name = "R", default_value_t = 500)]
    wait_rate: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.connections > 0 && args.rows >= GROUP * STRIDE, "too few connections or rows");
    let load = Arc::new(Load { server: Server::at(&args.base)?, next: AtomicU64::new(0), args });
    println!("{}", load.run().await?);
    Ok(())
}

struct Load {
    args: Args,
    server: Arc<Server>,
    /// The number of the next message.
    next: AtomicU64,
}

/// What one client measured.
struct Tally {
    latencies: Latencies,
    failed: u64,
}

impl Load {
    async fn run(self: Arc<Self>) -> anyhow::Result<Value> {
        let filled = Instant::now();
        self.fill().await?;
        self.drained().await?;
        let filled = filled.elapsed().as_secs_f64();
        let before = self.status().await?;
        let begun = Instant::now();
        let (sent, reads) = self.send_at_full_speed().await?;
        let seconds = begun.elapsed().as_secs_f64();
        let during = self.status().await?;
        self.drained().await?;
        let drained = begun.elapsed().as_secs_f64();
        let after = self.status().await?;
        let applied = |status: &Value| ended(status) - ended(&before);
        let report = json!({
            "client": "activities", "rows": self.args.rows, "connections": self.args.connections,
            "filled_seconds": filled, "filled_rows_per_second": self.args.rows as f64 / filled,
            "seconds": seconds, "accepted": sent.latencies.count(), "failed": sent.failed,
            "accepted_per_second": sent.latencies.count() as f64 / seconds,
            "applied_meanwhile_per_second": applied(&during) / seconds,
            "applied_per_second": applied(&after) / drained,
            "drained_after_seconds": drained - seconds,
            "reconnects": self.server.reconnects(),
            "accept": sent.latencies.add_to(json!({})),
            "overview_get": reads.latencies.add_to(json!({ "failed": reads.failed })),
        });
        self.with_waits(report).await
    }

    async fn with_waits(self: Arc<Self>, mut report: Value) -> anyhow::Result<Value> {
        if self.args.wait_rate > 0 {
            let waited = self.send_and_wait().await?;
            let rate = self.args.wait_rate;
            let body = json!({ "offered_per_second": rate, "failed": waited.failed });
            report["prefer_wait"] = waited.latencies.add_to(body);
        }
        Ok(report)
    }

    /// Messages of many rows, one after the other on a few connections.
    async fn fill(self: &Arc<Self>) -> anyhow::Result<()> {
        let (next, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..4 {
            let (load, next) = (Arc::clone(self), Arc::clone(&next));
            tasks.spawn(async move {
                let mut connection = Connection::to(&load.server);
                loop {
                    let begin = next.fetch_add(FILL, Ordering::Relaxed);
                    if begin >= load.args.rows {
                        return Ok(());
                    }
                    let rows = begin..load.args.rows.min(begin + FILL);
                    let body = message(rows.map(insert).collect());
                    loop {
                        match load.post(&mut connection, &body, false).await? {
                            200 => break,
                            503 => sleep(Duration::from_millis(50)).await,
                            other => anyhow::bail!("a message is answered {other}"),
                        }
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            let done: anyhow::Result<()> = done?;
            done?;
        }
        Ok(())
    }

    async fn send_at_full_speed(self: &Arc<Self>) -> anyhow::Result<(Tally, Tally)> {
        let end = Instant::now() + Duration::from_secs_f64(self.args.seconds);
        let reading = tokio::spawn(Arc::clone(self).read_until(end));
        let mut tasks = JoinSet::new();
        for _ in 0..self.args.connections {
            let load = Arc::clone(self);
            tasks.spawn(async move {
                let mut connection = Connection::to(&load.server);
                let mut answers = Vec::new();
                while Instant::now() < end {
                    let body = load.next_message();
                    let sent = Instant::now();
                    let status = load.post(&mut connection, &body, false).await?;
                    answers.push((status, sent.elapsed()));
                }
                anyhow::Ok(answers)
            });
        }
        let mut tally = Tally { latencies: Latencies::new(), failed: 0 };
        while let Some(answers) = tasks.join_next().await {
            answers??.into_iter().for_each(|(status, time)| tally.add(status, time));
        }
        Ok((tally, reading.await??))
    }

    /// Reads game pages, each due at its time, until the end.
    async fn read_until(self: Arc<Self>, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally { latencies: Latencies::new(), failed: 0 };
        let mut connection = Connection::to(&self.server);
        let mut due = Instant::now();
        while due < end {
            sleep(due.saturating_duration_since(Instant::now())).await;
            connection.open().await.map_err(anyhow::Error::msg)?;
            let answer = connection.exchange(Method::GET, "/api/overview/1", "").await;
            tally.add(answer.map_or(0, |(status, _)| status), due.elapsed());
            due += READ_INTERVAL;
        }
        Ok(tally)
    }

    /// Messages that are due at a fixed rate, each waiting for its end.
    async fn send_and_wait(self: &Arc<Self>) -> anyhow::Result<Tally> {
        let interval = Duration::from_secs(1) / u32::try_from(self.args.wait_rate)?;
        let count = (self.args.wait_rate as f64 * self.args.seconds) as u64;
        let (begun, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..self.args.connections {
            let (load, next) = (Arc::clone(self), Arc::clone(&next));
            tasks.spawn(async move {
                let mut connection = Connection::to(&load.server);
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(answers);
                    }
                    let due = begun + interval * u32::try_from(number)?;
                    sleep(due.saturating_duration_since(Instant::now())).await;
                    let body = load.next_message();
                    let status = load.post(&mut connection, &body, true).await?;
                    answers.push((status, due.elapsed()));
                }
            });
        }
        let mut tally = Tally { latencies: Latencies::new(), failed: 0 };
        while let Some(answers) = tasks.join_next().await {
            answers??.into_iter().for_each(|(status, time)| tally.add(status, time));
        }
        Ok(tally)
    }

    /// The status of the answer to a message.
    async fn post(
        &self,
        connection: &mut Connection,
        body: &str,
        waits: bool,
    ) -> anyhow::Result<u16> {
        connection.open().await.map_err(anyhow::Error::msg)?;
        let mut request = connection.request(Method::POST, PATH, Bytes::from(body.to_owned()));
        if waits {
            let prefer = header::HeaderValue::from_static("wait=10");
            request.headers_mut().insert("prefer", prefer);
        }
        Ok(connection.send(request).await.map_or(0, |(status, _)| status))
    }

    /// One of the three shapes.
    fn next_message(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let groups = self.args.rows / GROUP;
        let (row, group) = (self.args.rows + number, number * STRIDE % groups);
        message(match number % 3 {
            0 => vec![insert(row)],
            1 => vec![delete(group)],
            _ => vec![insert(row), delete(group)],
        })
    }

    async fn status(&self) -> anyhow::Result<Value> {
        let mut connection = Connection::to(&self.server);
        connection.open().await.map_err(anyhow::Error::msg)?;
        let answer = connection.exchange(Method::GET, "/api/activities/status", "").await;
        let (status, body) = answer.map_err(anyhow::Error::msg)?;
        ensure!(status == 200, "the server has no activities: {status}");
        serde_json::from_slice(&body).context("the status is JSON")
    }

    /// Waits until nothing is queued. The status is up to a quarter of a second old.
    async fn drained(&self) -> anyhow::Result<()> {
        let mut empty = 0;
        while empty < 2 {
            let queued = self.status().await?["queued"]["messages"].as_u64();
            empty = if queued == Some(0) { empty + 1 } else { 0 };
            sleep(Duration::from_millis(if empty > 0 { 300 } else { 20 })).await;
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, status: u16, time: Duration) {
        if status == 200 {
            self.latencies.record(time);
        } else {
            self.failed += 1;
        }
    }
}

/// Messages that the server has applied or rejected.
fn ended(status: &Value) -> f64 {
    let count = |name: &str| status[name].as_u64().unwrap_or_default() as f64;
    count("applied") + count("rejected")
}

fn message(activities: Vec<Value>) -> String {
    json!({ "activities": activities }).to_string()
}

fn insert(row: u64) -> Value {
    json!({
        "operation": "insert", "table": "visits",
        "col_names": ["row", "visitor", "page", "seconds", "price"],
        "col_types": ["INTEGER", "INTEGER", "VARCHAR(200)", "DOUBLE", "DECIMAL(10,2)"],
        "col_values": [row, row / GROUP, format!("/games/{row}?from=catalogue"), 0.5, "19.99"],
    })
}

fn delete(group: u64) -> Value {
    json!({
        "operation": "delete", "table": "visits",
        "value_to_delete": {
            "col_names": ["visitor"], "col_types": ["INTEGER"], "col_values": [group],
        },
    })
}
