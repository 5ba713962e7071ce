//! Checkouts by the storage trait alone, without HTTP, on any backend:
//!
//!     cargo run --release --example cart -- cassandra://127.0.0.1:9042/bench CLIENTS ORDERS ITEMS [BED]
//!
//! Puts a test bed of that many items and of BED users and orders (else ORDERS), checks ORDERS of them
//! out with that many clients, and audits. One item is the hot case.

#![expect(clippy::unwrap_used, reason = "a measurement ends where something fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use storefront::cart::batch;
use storefront::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use storefront::config::database::Database;
use storefront::config::{Reader, Sources};
use storefront::db::storage::CartStore;
use storefront::db::{Schema, connect};
use storefront::telemetry::metrics::Metrics;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| arguments[n].parse::<u64>().unwrap();
    let (clients, orders, items) = (number(1), number(2), number(3));
    let metrics = Arc::new(Metrics::new());
    let cart = connect(&database(&arguments[0]), Schema::Migrate, &metrics).await.unwrap().cart;
    let bed = if arguments.len() > 4 { number(4) } else { orders };
    put(&cart, bed, items).await;
    let begun = Instant::now();
    let mut times = checkouts(&cart, clients, orders).await;
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{clients} clients, {items} items: {:.0} checkouts/s, p50 {:.1} ms, p99 {:.1} ms",
        orders as f64 / seconds,
        at(0.5),
        at(0.99)
    );
    while metrics.cart_unfinished.get() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("all settled after {:.2} s", begun.elapsed().as_secs_f64() - seconds);
    let audit = cart.audit().await.unwrap();
    println!(
        "{} paid, {} different, {:.1} s",
        audit.paid_orders,
        audit.different,
        begun.elapsed().as_secs_f64()
    );
}

fn database(url: &str) -> Database {
    let flags = BTreeMap::from([("database_url", url.to_owned())]);
    let mut reader = Reader::of(Sources { flags, ..Sources::default() });
    let database = Database::read(&mut reader);
    reader.finish(database).unwrap()
}

/// A bed in which everything can be sold.
async fn put(cart: &Arc<dyn CartStore>, orders: u64, items: u64) {
    let (one, much) = (Amount::ONE, Amount::new(1 << 40).unwrap());
    let timed = |what: &'static str, begun: Instant| {
        println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
    };
    let begun = Instant::now();
    for numbers in batch::chunks(orders) {
        cart.put_users(numbers.map(UserId::numbered).collect(), much).await.unwrap();
    }
    timed("users", begun);
    let begun = Instant::now();
    for numbers in batch::chunks(items) {
        let item = Item { stock: much, price: one };
        cart.put_items(numbers.map(ItemId::numbered).collect(), item).await.unwrap();
    }
    timed("items", begun);
    let (begun, rng) = (Instant::now(), &mut StdRng::seed_from_u64(1));
    for numbers in batch::chunks(orders) {
        let chunk: Vec<Order> = numbers.map(|n| batch::order(n, items, orders, one, rng)).collect();
        cart.put_orders(chunk).await.unwrap();
    }
    timed("orders", begun);
}

async fn checkouts(cart: &Arc<dyn CartStore>, clients: u64, orders: u64) -> Vec<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let clients = (0..clients).map(|_| {
        let (cart, next) = (Arc::clone(cart), Arc::clone(&next));
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= orders {
                    return times;
                }
                let begun = Instant::now();
                cart.checkout(OrderId::numbered(number)).await.unwrap().unwrap();
                times.push(begun.elapsed());
            }
        })
    });
    futures::future::try_join_all(clients).await.unwrap().concat()
}
