//! Messages of activities under faults: programs are killed or stopped for longer than the worker's
//! lease, the database is cut off, NATS, where it is the queue, is killed or stopped. Every message is sent under a key, and again until it is answered,
//! sometimes once more. Afterwards each was applied exactly once, wholly and in its turn, or rejected,
//! as the rows show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::http::client;
use crate::server_group::ServerGroup;
use testkit::nats::NatsServer;
use testkit::proxy::Mode;
use testkit::wait::{TIMEOUT, eventually};

const PROGRAMS: usize = 2;
const CLIENTS: usize = 10;
/// Milliseconds, some longer than the lease of a worker, which is three seconds.
const STOP_MS: std::ops::Range<u64> = 50..4_500;
const CUT_MS: std::ops::Range<u64> = 20..1_000;
/// Below the time after which a program gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The table in which every client has rows.
const SHARED: &str = "shared";

each_backend! {
    every_message_is_applied_once_under_faults
}
each_backend! { @ nats_embedded: every_message_is_applied_once_under_faults }
each_backend! { @ nats_postgres: every_message_is_applied_once_under_faults }

async fn every_message_is_applied_once_under_faults(backend: &str) {
    let minutes = testkit::random::minutes();
    // `scripts/soak activities` has ten times as many.
    let (faults, messages) = if minutes > 0 { (200, 1_000) } else { (20, 100) };
    let mut rng = testkit::random::rng();
    let group = Arc::new(ServerGroup::behind_a_proxy(backend, PROGRAMS).await);
    let ended = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let rng = StdRng::seed_from_u64(rng.random());
            let sender = Sender { group: Arc::clone(&group), http: client(), number, rng };
            let ended = Arc::clone(&ended);
            tokio::spawn(async move {
                let sent = sender.run(messages).await;
                ended.fetch_add(1, Ordering::Relaxed);
                sent
            })
        })
        .collect();
    for _ in 0..faults {
        fault(&group, &mut rng).await;
    }
    let mut sent = Vec::new();
    for client in clients {
        sent.push(client.await.expect("a client got only correct answers"));
    }
    let group = Arc::into_inner(group).expect("all clients have gone").stop_and_restart_one().await;
    let rejected = verify(&group, &sent).await;
    println!(
        "{backend}: {faults} faults, {} messages, {rejected} of them rejected, no difference",
        CLIENTS * messages
    );
}

async fn fault(group: &Arc<ServerGroup>, rng: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
    let program = rng.random_range(0..PROGRAMS);
    if let Some(nats) = group.nats().filter(|_| rng.random_range(0..3) == 0) {
        return fault_of(nats, rng).await;
    }
    let kinds = if group.proxy.is_some() { 3 } else { 2 };
    match rng.random_range(0..kinds) {
        0 => {
            let group = Arc::clone(group);
            let killed = tokio::task::spawn_blocking(move || group.kill_and_start(program, 0));
            killed.await.expect("another program starts");
        }
        1 => {
            group.stop(program);
            tokio::time::sleep(Duration::from_millis(rng.random_range(STOP_MS))).await;
            group.resume(program);
        }
        _ => {
            let proxy = group.proxy.as_ref().expect("a way by a proxy");
            proxy.set(Mode::Cut);
            tokio::time::sleep(Duration::from_millis(rng.random_range(CUT_MS))).await;
            proxy.restore();
        }
    }
}

/// Kills the queue and starts it again, or stops it for a while.
async fn fault_of(nats: &NatsServer, rng: &mut StdRng) {
    let pause = Duration::from_millis(rng.random_range(CUT_MS));
    if rng.random_range(0..2) == 0 {
        nats.kill();
        tokio::time::sleep(pause).await;
        nats.start_again().await;
    } else {
        nats.signal("STOP");
        tokio::time::sleep(pause).await;
        nats.signal("CONT");
    }
}

/// A client, which sends one message after the other.
struct Sender {
    group: Arc<ServerGroup>,
    http: Client,
    number: usize,
    rng: StdRng,
}

/// What a client has sent.
struct Sent {
    /// Its own table.
    table: String,
    /// The numbers of its rows there, and how often each is there.
    own: BTreeMap<i64, u32>,
    /// The same of the shared table.
    shared: BTreeMap<i64, u32>,
    /// The ids of its messages, and whether each must be rejected.
    ids: Vec<(String, bool)>,
}

impl Sender {
    async fn run(mut self, messages: usize) -> Sent {
        let table = format!("client {}", self.number);
        let mut sent =
            Sent { table, own: BTreeMap::new(), shared: BTreeMap::new(), ids: Vec::new() };
        for n in 0..messages as i64 {
            let is_bad = n % 5 == 3;
            let message = self.message(&mut sent, n, is_bad);
            let key = format!("{}-{n}", self.number);
            let id = self.send(&message, &key).await;
            if self.rng.random_range(0..10) == 0 {
                assert_eq!(self.send(&message, &key).await, id, "a repeat is the same message");
            }
            sent.ids.push((id, is_bad));
        }
        sent
    }

    /// A message that depends on the one before, and what it leaves.
    fn message(&self, sent: &mut Sent, n: i64, is_bad: bool) -> Value {
        let own = n + 1_000_000 * self.number as i64;
        let column = format!("column {}", n % 7);
        let mut activities = vec![
            insert(&sent.table, &[("n", n), (column.as_str(), n)]),
            insert(SHARED, &[("n", own)]),
        ];
        if n % 5 == 2 {
            activities.push(delete(&sent.table, n - 1));
            activities.push(delete(SHARED, own - 1));
        }
        if is_bad {
            activities.push(delete("missing", n));
        } else {
            sent.own.insert(n, 1);
            sent.shared.insert(own, 1);
            if n % 5 == 2 {
                sent.own.remove(&(n - 1));
                sent.shared.remove(&(own - 1));
            }
        }
        json!({ "activities": activities })
    }

    /// Sends a message until it is accepted; its id.
    async fn send(&self, message: &Value, key: &str) -> String {
        let begun = Instant::now();
        loop {
            let request = self
                .http
                .post(self.group.next("/api/activities"))
                .timeout(ANSWER_TIMEOUT)
                .header("content-type", "application/json")
                .header("idempotency-key", key)
                .body(message.to_string());
            if let Ok(answer) = request.send().await {
                let status = answer.status();
                if let (StatusCode::OK, Ok(body)) = (status, answer.bytes().await) {
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    return body["id"].as_str().expect("an id").to_owned();
                }
                assert!(
                    matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE),
                    "{status}\n{}",
                    self.group.failures()
                );
            }
            assert!(begun.elapsed() < TIMEOUT, "not accepted\n{}", self.group.failures());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn insert(table: &str, cells: &[(&str, i64)]) -> Value {
    let names: Vec<_> = cells.iter().map(|cell| cell.0).collect();
    let values: Vec<_> = cells.iter().map(|cell| cell.1).collect();
    let types = vec!["INTEGER"; cells.len()];
    json!({ "operation": "insert", "table": table, "col_names": names, "col_types": types, "col_values": values })
}

fn delete(table: &str, n: i64) -> Value {
    let value = json!({ "col_names": ["n"], "col_types": ["INTEGER"], "col_values": [n] });
    json!({ "operation": "delete", "table": table, "value_to_delete": value })
}

/// Compares the store with what was sent; how many messages were rejected.
async fn verify(group: &ServerGroup, sent: &[Sent]) -> usize {
    let http = client();
    let get = async |path: &str| -> Value {
        let answer = http.get(group.next(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}\n{}", group.failures());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    eventually("everything queued is applied", async || {
        get("/api/activities?state=queued&limit=1").await["activities"] == json!([])
    })
    .await;
    let mut rejected = 0;
    for (id, is_bad) in sent.iter().flat_map(|sent| &sent.ids) {
        let found = get(&format!("/api/activities/{id}")).await;
        let expected = if *is_bad { "rejected" } else { "applied" };
        assert_eq!(found["state"], expected, "{found}");
        rejected += usize::from(*is_bad);
    }
    let rows = async |table: &str| {
        let (mut found, mut after) = (BTreeMap::new(), String::new());
        loop {
            let path = format!(
                "/api/activities/rows?limit=100&table={}{after}",
                table.replace(' ', "%20")
            );
            let page = get(&path).await;
            for row in page["rows"].as_array().unwrap() {
                *found.entry(row["n"].as_i64().unwrap()).or_insert(0) += 1;
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    };
    let mut shared = BTreeMap::new();
    for sent in sent {
        assert_eq!(rows(&sent.table).await, sent.own, "{}", sent.table);
        shared.extend(sent.shared.clone());
    }
    assert_eq!(rows(SHARED).await, shared);
    let tables = get("/api/activities/tables").await;
    for table in tables.as_array().unwrap() {
        let sent = sent.iter().find(|sent| table["table"] == sent.table);
        let expected = sent.map_or(shared.len(), |sent| sent.own.len());
        assert_eq!(table["rows"], expected, "{table}");
    }
    rejected
}
