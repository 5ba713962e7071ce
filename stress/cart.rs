//! Checkouts by the storage trait alone, without HTTP, on any backend. Part of the load harness:
//!
//!     cargo run --release --example cart -- --url embedded:bench.db --fixtures 1000 --rows 100000
//!
//! Checks out orders by number, each once, with a number of checkouts in flight, and then waits
//! until all of them are settled. With one item all checkouts contend for it.

mod closed_loop;
mod latencies;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use closed_loop::{ClosedLoop, Operation};
use rand::SeedableRng;
use rand::rngs::StdRng;
use storefront::cart::fixtures;
use storefront::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use storefront::config::database::{Database, Url};
use storefront::config::{SettingsLoader, Sources};
use storefront::db::storage::{ActContext, FixtureStore, OrderStore};
use storefront::db::{MigrationPolicy, connect};
use storefront::telemetry::Registry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Checkouts by the storage trait alone, without HTTP; prints one JSON object")]
struct Args {
    /// As `storefront --database-url` takes it
    #[arg(long)]
    url: String,
    /// Create fixtures first: so many items, and as many users and orders as `--rows` says.
    #[arg(long, value_name = "ITEMS")]
    fixtures: Option<u64>,
    /// Audit the store at the end.
    #[arg(long)]
    audit: bool,
    #[command(flatten)]
    load: ClosedLoop,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let registry = Registry::default();
    let stores = connect(&database(&args.url)?, MigrationPolicy::Migrate, &registry).await?;
    if let Some(items) = args.fixtures {
        create_fixtures(&stores.fixtures, u64::from(args.load.rows.cast_unsigned()), items).await?;
    }
    // The first order of the fixtures is 0.
    let load = ClosedLoop { first: args.load.first.or(Some(0)), ..args.load };
    let mut report = load.run(Checkout(Arc::clone(&stores.orders))).await?;
    let begun = Instant::now();
    let under_way = |line: &str| {
        line.starts_with("storefront_cart_unfinished_attempts ") && !line.ends_with(" 0")
    };
    while registry.render().lines().any(under_way) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    report["settled_seconds"] = begun.elapsed().as_secs_f64().into();
    if args.audit {
        let audit = stores.audit.audit().await?;
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

/// Fixtures with enough stock and credit for every order.
async fn create_fixtures(
    store: &Arc<dyn FixtureStore>,
    orders: u64,
    items: u64,
) -> anyhow::Result<()> {
    let context = || fixtures::context(&ActContext::new());
    let (one, much) = (Amount::ONE, Amount::new(1 << 40).context("an amount")?);
    for numbers in fixtures::chunks(orders) {
        store.put_users(context(), numbers.map(UserId::numbered).collect(), much).await??;
    }
    for numbers in fixtures::chunks(items) {
        let item = Item { stock: much, price: one };
        store.put_items(context(), numbers.map(ItemId::numbered).collect(), item).await??;
    }
    let rng = &mut StdRng::seed_from_u64(1);
    for numbers in fixtures::chunks(orders) {
        let chunk: Vec<Order> =
            numbers.map(|n| fixtures::order(n, items, orders, one, rng)).collect();
        store.put_orders(context(), chunk).await??;
    }
    Ok(())
}

struct Checkout(Arc<dyn OrderStore>);

impl Operation for Checkout {
    async fn run(&self, id: i32) -> anyhow::Result<()> {
        let order = OrderId::numbered(u64::from(id.cast_unsigned()));
        Ok(self.0.checkout(ActContext::new(), order).await??)
    }
}
