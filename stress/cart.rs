//! Checkouts by the storage trait alone, without HTTP, on any backend. Part of the load harness:
//!
//!     cargo run --release --example cart -- --url embedded:bench.db --bed 1000 --rows 100000
//!
//! Checks out orders by number, each once, with so many under way at once, and waits until what was
//! answered is settled too. One item is the hot case.

mod flight;
mod latencies;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use flight::{Ask, Flight};
use rand::SeedableRng;
use rand::rngs::StdRng;
use storefront::cart::fixtures;
use storefront::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use storefront::config::database::{Database, Url};
use storefront::config::{SettingsLoader, Sources};
use storefront::db::storage::{ActContext, OrderStore};
use storefront::db::{MigrationPolicy, Stores, connect};
use storefront::telemetry::metrics::Metrics;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Checkouts by the storage trait alone, without HTTP; prints one JSON object")]
struct Args {
    /// As `storefront --database-url` takes it
    #[arg(long)]
    url: String,
    /// Put a test bed first: so many items, and as many users and orders as `--rows` says.
    #[arg(long, value_name = "ITEMS")]
    bed: Option<u64>,
    /// Audit the store at the end.
    #[arg(long)]
    audit: bool,
    #[command(flatten)]
    flight: Flight,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let metrics = Arc::new(Metrics::new());
    let stores = connect(&database(&args.url)?, MigrationPolicy::Migrate, &metrics).await?;
    if let Some(items) = args.bed {
        put(&stores, u64::from(args.flight.rows.cast_unsigned()), items).await?;
    }
    // Of a bed, the first order is 0.
    let flight = Flight { first: args.flight.first.or(Some(0)), ..args.flight };
    let mut report = flight.run(Checkout(Arc::clone(&stores.orders))).await?;
    let begun = Instant::now();
    while metrics.cart_unfinished.get() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    report["settled_seconds"] = begun.elapsed().as_secs_f64().into();
    if args.audit {
        let audit = stores.store.audit.audit().await?;
        report["paid_orders"] = audit.paid_orders.into();
        report["different"] = audit.different.into();
    }
    println!("{report}");
    Ok(())
}

fn database(url: &str) -> anyhow::Result<Database> {
    let flags = BTreeMap::from([("database_url", url.to_owned())]);
    let mut loader = SettingsLoader::of(Sources { flags, ..Sources::default() });
    let database = Database::read(&mut loader);
    let database = loader.finish(database)?;
    let local = matches!(database.url, Url::Embedded(_)) || url.contains("127.0.0.");
    ensure!(local, "load goes to 127.0.0.1 only");
    Ok(database)
}

/// A bed in which everything can be sold.
async fn put(store: &Stores, orders: u64, items: u64) -> anyhow::Result<()> {
    let (one, much) = (Amount::ONE, Amount::new(1 << 40).context("an amount")?);
    for numbers in fixtures::chunks(orders) {
        store
            .fixtures
            .put_users(ActContext::new(), numbers.map(UserId::numbered).collect(), much)
            .await?;
    }
    for numbers in fixtures::chunks(items) {
        let item = Item { stock: much, price: one };
        store
            .fixtures
            .put_items(ActContext::new(), numbers.map(ItemId::numbered).collect(), item)
            .await?;
    }
    let rng = &mut StdRng::seed_from_u64(1);
    for numbers in fixtures::chunks(orders) {
        let chunk: Vec<Order> =
            numbers.map(|n| fixtures::order(n, items, orders, one, rng)).collect();
        store.fixtures.put_orders(ActContext::new(), chunk).await?;
    }
    Ok(())
}

struct Checkout(Arc<dyn OrderStore>);

impl Ask for Checkout {
    async fn ask(&self, id: i32) -> anyhow::Result<()> {
        Ok(self
            .0
            .checkout(ActContext::new(), OrderId::numbered(u64::from(id.cast_unsigned())))
            .await??)
    }
}
