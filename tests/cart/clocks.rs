//! Leases on Cassandra while clocks are wrong, and owners that are late. A server is killed, or stopped
//! for longer than its lease, in the middle of many checkouts; another server must end them, whatever
//! its clock shows. (A file has one clock, and PostgreSQL ends a transaction by itself.)
//!
//! Afterwards exactly the stock is sold, `storefront audit` agrees, and nothing stays reserved.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use testkit::clock;
use testkit::database::OwnDatabase;
use testkit::process::{Server, output, stderr, stdout, storefront};
use testkit::wait::until;

const USERS: usize = 8;
const CREDIT: u64 = 1_000_000;
/// Pieces of the item that all orders want, and how many orders there are.
const STOCK: u64 = 24;
const ORDERS: usize = 48;
const HOUR: i64 = 3_600;
/// What recovery may take, with much room for a busy machine: a lease is 15 s, what is left of an
/// attempt is found within 30 s.
const RECOVERY_LIMIT: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_whose_clock_was_an_hour_ahead_is_recovered() {
    killed_owner(HOUR).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_whose_clock_was_an_hour_behind_is_recovered() {
    killed_owner(-HOUR).await;
}

/// The owner's clock is so many seconds ahead; it is killed after some answers.
async fn killed_owner(ahead: i64) {
    let answers = testkit::random::rng().random_range(1..8);
    let database = OwnDatabase::on("cassandra").await;
    let survivor = start(&database, 0);
    let owner = start(&database, ahead);
    let difference = clock_of(&owner).await - clock_of(&survivor).await;
    assert!((difference - ahead).abs() < 60, "the clocks differ by {difference} s");
    let shop = Shop::open(&survivor).await;
    let checkouts = Checkouts::start(&owner, &shop.orders);
    checkouts.wait_for(answers).await;
    drop(owner);
    let killed = Instant::now();
    let answers = checkouts.answers().await;
    assert!(audit(&database)["unfinished"].as_u64() > Some(0), "nothing was left half done");
    let paid = shop.finish(&survivor).await;
    assert!(killed.elapsed() < RECOVERY_LIMIT, "{ahead} s: after {:?}", killed.elapsed());
    shop.verify(&database, &survivor, &answers, &paid).await;
    println!("{ahead} s ahead: recovered {:?} after the crash", killed.elapsed());
}

/// It goes on, under load, when another server has ended its attempts.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_stopped_for_longer_than_its_lease_does_no_harm() {
    let answers = testkit::random::rng().random_range(1..8);
    let database = OwnDatabase::on("cassandra").await;
    let survivor = start(&database, 0);
    let owner = start(&database, 0);
    let shop = Shop::open(&survivor).await;
    let checkouts = Checkouts::start(&owner, &shop.orders);
    checkouts.wait_for(answers).await;
    owner.signal("STOP");
    assert!(audit(&database)["unfinished"].as_u64() > Some(0), "nothing was left half done");
    let stop = AtomicBool::new(false);
    let work = async {
        let paid = shop.finish(&survivor).await;
        owner.signal("CONT");
        let answers = checkouts.answers().await;
        stop.store(true, Ordering::Relaxed);
        (answers, paid)
    };
    let ((answers, paid), bought) = tokio::join!(work, buy_until(&survivor, &stop));
    assert!(bought > 0, "there was no load");
    shop.verify(&database, &survivor, &answers, &paid).await;
}

/// A server whose clock is so many seconds ahead.
fn start(database: &OwnDatabase, ahead: i64) -> Server {
    let mut command = storefront(database.folder());
    command.args(["serve", "--database-url", database.url()]);
    if ahead != 0 {
        clock::set_ahead(&mut command, ahead);
    }
    Server::spawn(&mut command, database.folder())
}

/// The seconds since 1970 by the clock of a server.
async fn clock_of(server: &Server) -> i64 {
    let answer = server.send(Method::GET, "/healthz", None).await.expect("an answer");
    let date = answer.headers()["date"].to_str().expect("a date");
    jiff::fmt::rfc2822::parse(date).expect("a date of HTTP").timestamp().as_second()
}

/// A post that must succeed; its body.
async fn done(server: &Server, path: &str) -> String {
    let answer = server.send(Method::POST, path, None).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.expect("a whole body")
}

async fn status_of_post(server: &Server, path: &str) -> u16 {
    let answer = server.send(Method::POST, path, None).await.expect("an answer");
    answer.status().as_u16()
}

async fn number(server: &Server, path: &str, key: &str) -> u64 {
    let json: Value = serde_json::from_str(&server.get(path).await).expect("JSON");
    json[key].as_u64().unwrap_or_else(|| panic!("{key} in {json}"))
}

async fn new_order(server: &Server, user: usize, item: usize) -> String {
    let made = done(server, &format!("/orders/create/{user}")).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let order = made["order_id"].as_str().expect("an id").to_owned();
    done(server, &format!("/orders/addItem/{order}/{item}/1")).await;
    order
}

/// Buys item 1 again and again; how often it was paid.
async fn buy_until(server: &Server, stop: &AtomicBool) -> usize {
    let mut bought = 0;
    while !stop.load(Ordering::Relaxed) {
        let order = new_order(server, bought % USERS, 1).await;
        match status_of_post(server, &format!("/orders/checkout/{order}")).await {
            200 => bought += 1,
            503 => {}
            other => panic!("{order}: {other}"),
        }
    }
    bought
}

fn audit(database: &OwnDatabase) -> Value {
    let mut command = storefront(database.folder());
    command.args(["audit", "--format", "json", "--database-url", database.url()]);
    let report = output(&mut command);
    serde_json::from_str(&stdout(&report)).unwrap_or_else(|e| panic!("{e}: {}", stderr(&report)))
}

/// Orders of one piece each of item 0, of which there are fewer.
struct Shop {
    orders: Vec<String>,
}

impl Shop {
    async fn open(server: &Server) -> Self {
        done(server, &format!("/payment/batch_init/{USERS}/{CREDIT}")).await;
        done(server, &format!("/stock/batch_init/2/{STOCK}/1")).await;
        done(server, &format!("/stock/add/1/{CREDIT}")).await;
        let orders = (0..ORDERS).map(|number| new_order(server, number % USERS, 0));
        Self { orders: futures::future::join_all(orders).await }
    }

    /// Checks every order out at this server, until it is paid or refused; whether it is paid.
    async fn finish(&self, server: &Server) -> Vec<bool> {
        let finish = self.orders.iter().map(|order| {
            until("an order is paid or refused", async move || {
                match status_of_post(server, &format!("/orders/checkout/{order}")).await {
                    200 => Some(true),
                    409 => Some(false),
                    503 => None,
                    other => panic!("{order}: {other}"),
                }
            })
        });
        futures::future::join_all(finish).await
    }

    /// Compares what the first server answered, what the second did and what is in the store.
    async fn verify(
        &self,
        database: &OwnDatabase,
        server: &Server,
        answers: &[Option<u16>],
        paid: &[bool],
    ) {
        let report = until("every attempt has ended", async || {
            let report = audit(database);
            (report["unfinished"] == 0).then_some(report)
        })
        .await;
        assert_eq!(report["different"], 0, "{report}");
        assert_eq!(paid.iter().filter(|paid| **paid).count() as u64, STOCK);
        for ((order, answer), paid) in self.orders.iter().zip(answers).zip(paid) {
            match answer {
                Some(200) => assert!(paid, "{order}"),
                Some(409) => assert!(!paid, "{order}"),
                Some(503) | None => {}
                Some(other) => panic!("{order}: {other}"),
            }
        }
        assert_eq!(number(server, "/stock/find/0", "stock").await, 0);
        Self::verify_nothing_is_reserved(server).await;
    }

    /// A request for one more than there is would wait if anything were reserved, and be answered 503.
    async fn verify_nothing_is_reserved(server: &Server) {
        for item in 0..2 {
            let more = number(server, &format!("/stock/find/{item}"), "stock").await + 1;
            let path = format!("/stock/subtract/{item}/{more}");
            assert_eq!(status_of_post(server, &path).await, 409, "{path}");
        }
        for user in 0..USERS {
            let more = number(server, &format!("/payment/find_user/{user}"), "credit").await + 1;
            let path = format!("/payment/pay/{user}/{more}");
            assert_eq!(status_of_post(server, &path).await, 409, "{path}");
        }
    }
}

/// The checkouts of all orders at once.
struct Checkouts {
    answered: watch::Sender<usize>,
    all: Vec<JoinHandle<Option<u16>>>,
}

impl Checkouts {
    fn start(server: &Server, orders: &[String]) -> Self {
        let answered = watch::Sender::new(0);
        let all = orders.iter().map(|order| {
            let request = server.client.post(format!("{}/orders/checkout/{order}", server.base));
            let answered = answered.clone();
            tokio::spawn(async move {
                let answer = request.send().await.ok()?;
                answered.send_modify(|count| *count += 1);
                Some(answer.status().as_u16())
            })
        });
        Self { all: all.collect(), answered }
    }

    /// Returns at once when there are so many answers: at that moment their attempts are not ended,
    /// because an answer leaves before its reservations are captured.
    async fn wait_for(&self, answers: usize) {
        let mut answered = self.answered.subscribe();
        answered.wait_for(|count| *count >= answers).await.expect("the sender is in this test");
    }

    /// The status of each answer; `None`: the connection broke.
    async fn answers(self) -> Vec<Option<u16>> {
        futures::future::join_all(self.all).await.into_iter().map(|ended| ended.unwrap()).collect()
    }
}
