//! The rows that a database has at the start of a lease.
//!
//! They are a function of their numbers, so that a call that was interrupted can be repeated, and each lease
//! begins with the same ones.

use std::ops::Range;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use storefront_seed::Generator;
use tokio::task::JoinError;

use super::model::{StartingState, Target};
use super::target::connect;
use super::target::partition::Partitions;
use crate::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Begin, CartResult, Chunk, Contents, ErrorKind, FixtureStore, Load, LoadMode,
    LoadStore, NewLoad, StorageError,
};
use crate::db::{MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// Of the games.
const SEED: u64 = 1;
/// Of each item; more than any run can sell.
const STOCK: u64 = 1_000_000_000;
const PRICE: u64 = 100;
/// Of each user; more than all of the stock costs.
const CREDIT: u64 = 1_000_000_000_000;
/// Items, users or orders in one call.
const FIXTURES: u32 = 2_000;
/// Calls at once.
const CONCURRENCY: usize = 4;
/// Chunks of games that are made while others are written.
const PREPARED_CHUNKS: usize = 2;
/// How long one call may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(90);

/// Brings the schema of a new, empty database up to date and fills it. Called again after an interruption it
/// completes what is missing. Returns the number of rows.
///
/// Game `k` is the generator's game of its id ([`Partitions::id_of`]). Order `n` is of one item: number
/// `n % items + 1`, of user `n % users + 1`; each file of a partitioned stand-in has all items and users.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the database was used before by anything else; and those of the store.
pub async fn fill(target: &Target, rows: &StartingState) -> Result<u64, StorageError> {
    let partitions = Partitions::of(target.layout);
    let mut sum = 0;
    for (file, url) in (0..).zip(partitions.urls(&target.url)) {
        let stores = open(&url, MigrationPolicy::Migrate).await?;
        let games = partitions.rows_of(file, rows.games);
        load_games(stores.loads.as_ref(), games).await?;
        let fixtures = stores.fixtures.as_ref();
        put(numbers(1..rows.items + 1), |numbers| {
            fixtures.put_items(context(), numbers.iter().copied().map(item).collect(), stock())
        })
        .await?;
        put(numbers(1..rows.users + 1), |numbers| {
            let users = numbers.iter().copied().map(user).collect();
            fixtures.put_users(context(), users, amount(CREDIT))
        })
        .await?;
        let orders = orders_of(partitions, file, 1..rows.orders + 1);
        put_orders(fixtures, rows, orders).await?;
        sum += u64::from(games) + u64::from(rows.items) + u64::from(rows.users);
    }
    Ok(sum + u64::from(rows.orders))
}

/// Adds prepared orders of these numbers to a database that [`fill`] has filled with `rows`: for runs that
/// check out more than that has.
///
/// # Errors
/// Those of the store.
pub async fn add_orders(
    target: &Target,
    rows: &StartingState,
    orders: Range<u32>,
) -> Result<(), StorageError> {
    let partitions = Partitions::of(target.layout);
    for (file, url) in (0..).zip(partitions.urls(&target.url)) {
        let stores = open(&url, MigrationPolicy::Require).await?;
        let orders = orders_of(partitions, file, orders.clone());
        put_orders(stores.fixtures.as_ref(), rows, orders).await?;
    }
    Ok(())
}

/// With metrics of its own: nobody asks for those of a database that is being filled.
async fn open(url: &str, policy: MigrationPolicy) -> Result<Stores, StorageError> {
    connect(url, None, policy, &Registry::default(), "").await
}

/// Loads games with the ids from 1.
async fn load_games(loads: &dyn LoadStore, games: u32) -> Result<(), StorageError> {
    let wanted = NewLoad { seed: SEED, rows: games.into(), mode: LoadMode::Fresh };
    let load = match loads.contents().await? {
        Contents::Empty if games > 0 => match loads.begin(wanted).await? {
            Begin::Started(load) if load.pending.first().is_some_and(|ids| ids.start == 1) => load,
            _ => return Err(not_new()),
        },
        Contents::Interrupted(load) if (load.seed, load.rows) == (SEED, games.into()) => load,
        Contents::Interrupted(_) => return Err(not_new()),
        // A call before this one has ended the load.
        Contents::Empty | Contents::Demo | Contents::Games => return Ok(()),
    };
    let written = write_games(loads, &load).await?;
    if load.written + written != load.rows {
        return Err(not_new());
    }
    loads.finish(&load).await
}

/// Writes what is pending of a load, and returns the number of rows.
async fn write_games(loads: &dyn LoadStore, load: &Load) -> Result<u64, StorageError> {
    let params = loads.load_params();
    let chunk = i64::try_from(params.chunk).unwrap_or(i64::MAX).max(1);
    let mut ranges = Vec::new();
    for range in &load.pending {
        let starts = range.clone().step_by(params.chunk.max(1));
        ranges.extend(starts.map(|start| start..range.end.min(start.saturating_add(chunk))));
    }
    stream::iter(ranges)
        .map(|range| tokio::task::spawn_blocking(move || games(range)))
        .buffered(PREPARED_CHUNKS)
        .map(|chunk| write_chunk(loads, load, chunk))
        .buffer_unordered(params.in_flight.max(1))
        .try_fold(0, |sum, rows| std::future::ready(Ok(sum + rows)))
        .await
}

async fn write_chunk(
    loads: &dyn LoadStore,
    load: &Load,
    chunk: Result<Chunk, JoinError>,
) -> Result<u64, StorageError> {
    match chunk {
        Ok(chunk) => loads.write(load, chunk).await,
        Err(e) => Err(StorageError::with_source(ErrorKind::Internal, "cannot make games", e)),
    }
}

fn games(range: Range<i64>) -> Chunk {
    let generator = Generator::new(SEED);
    let ids = range.clone().filter_map(|id| i32::try_from(id).ok());
    Chunk { range, games: ids.map(|id| generator.game(id).into()).collect() }
}

fn not_new() -> StorageError {
    let message = "the lab's database has other games than it was filled with: reset it";
    StorageError::new(ErrorKind::Invalid, message)
}

/// Those of the orders that are in that file.
fn orders_of(partitions: Partitions, file: u32, orders: Range<u32>) -> Vec<u32> {
    orders.filter(|number| partitions.file_of(*number) == file).collect()
}

async fn put_orders(
    fixtures: &dyn FixtureStore,
    rows: &StartingState,
    numbers: Vec<u32>,
) -> Result<(), StorageError> {
    put(numbers, |numbers| {
        let orders = numbers.iter().map(|number| order(rows, *number)).collect();
        fixtures.put_orders(context(), orders)
    })
    .await
}

/// Hands numbers to `write`, some at a time. The futures are boxed by the trait: the compiler cannot tell that
/// those of async closures may go to another thread.
async fn put<'a>(
    numbers: Vec<u32>,
    write: impl Fn(&[u32]) -> BoxFuture<'a, CartResult>,
) -> Result<(), StorageError> {
    let writes = numbers.chunks(FIXTURES as usize).map(write);
    let mut outcomes = stream::iter(writes).buffer_unordered(CONCURRENCY);
    while let Some(outcome) = outcomes.next().await {
        outcome?.map_err(|refusal| {
            StorageError::with_source(ErrorKind::Internal, "the lab's rows are refused", refusal)
        })?;
    }
    Ok(())
}

fn numbers(range: Range<u32>) -> Vec<u32> {
    range.collect()
}

fn order(rows: &StartingState, number: u32) -> Order {
    let place = |count: u32| number % count.max(1) + 1;
    Order {
        id: OrderId::numbered(number.into()),
        user: user(place(rows.users)),
        paid: false,
        lines: vec![Line {
            item: item(place(rows.items)),
            quantity: Amount::ONE,
            cost: amount(PRICE),
        }],
    }
}

fn item(number: u32) -> ItemId {
    ItemId::numbered(number.into())
}

fn user(number: u32) -> UserId {
    UserId::numbered(number.into())
}

fn stock() -> Item {
    Item { stock: amount(STOCK), price: amount(PRICE) }
}

fn amount(value: u64) -> Amount {
    Amount::new(value).unwrap_or(Amount::MAX)
}

fn context() -> ActContext {
    ActContext::new().with_timeout(TIMEOUT)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::model::Layout;
    use super::super::target::{self, FailureKind, LoadTarget};
    use super::*;

    const ROWS: StartingState = StartingState { games: 50, items: 7, users: 5, orders: 40 };

    fn new_target(layout: Layout) -> (TempDir, Target) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}/store.db", folder.path().display());
        (folder, Target { url, replica_url: None, layout })
    }

    async fn loaded(target: &Target) -> std::sync::Arc<dyn LoadTarget> {
        target::open(target, &Registry::default()).await.unwrap()
    }

    #[tokio::test]
    async fn every_layout_has_its_rows_and_takes_every_transaction() {
        for layout in [Layout::One, Layout::SeparateReads, Layout::Partitioned] {
            let (_folder, target) = new_target(layout);
            let files = u64::from(Partitions::of(layout).count());
            assert_eq!(fill(&target, &ROWS).await.unwrap(), 50 + files * (7 + 5) + 40);
            let loaded = loaded(&target).await;
            for key in 1..=50 {
                assert_eq!(loaded.read_overview(key).await, Ok(()), "{layout:?} {key}");
                assert_eq!(loaded.update(key).await, Ok(()));
            }
            assert_eq!(loaded.read_overview(51 + 3).await, Err(FailureKind::Missing));
            assert_eq!(loaded.update(51 + 3).await, Err(FailureKind::Missing));
            for number in 1..=40 {
                assert_eq!(loaded.read_order(number).await, Ok(()));
                assert_eq!(loaded.checkout(number).await, Ok(()));
            }
            assert_eq!(loaded.read_order(41).await, Err(FailureKind::Missing));
            assert_eq!(loaded.checkout(41).await, Err(FailureKind::Missing));
            let mut created = std::collections::BTreeSet::new();
            for _ in 0..9 {
                let key = loaded.create().await.unwrap();
                assert!(key > 50 && created.insert(key), "{layout:?} {key}");
                assert_eq!(loaded.read_overview(key).await, Ok(()));
            }
        }
    }

    #[tokio::test]
    async fn each_file_has_a_part_of_the_rows() {
        let (_folder, target) = new_target(Layout::Partitioned);
        fill(&target, &ROWS).await.unwrap();
        for (file, url) in (0..).zip(Partitions::of(Layout::Partitioned).urls(&target.url)) {
            let stores = open(&url, MigrationPolicy::Require).await.unwrap();
            let digest = stores.inspection.digest().await.unwrap();
            assert_eq!(digest.rows, u64::from([16_u8, 17, 17][file as usize]));
            let found = stores.orders.find_order(&OrderId::numbered(7)).await.unwrap();
            assert_eq!(found.is_some(), file == 7 % 3);
        }
    }

    #[tokio::test]
    async fn an_interrupted_call_is_completed_and_a_repeat_changes_nothing() {
        let (_folder, target) = new_target(Layout::One);
        let stores = open(&target.url, MigrationPolicy::Migrate).await.unwrap();
        let new = NewLoad { seed: SEED, rows: 50, mode: LoadMode::Fresh };
        assert!(matches!(stores.loads.begin(new).await.unwrap(), Begin::Started(_)));
        fill(&target, &ROWS).await.unwrap();
        let digest = stores.inspection.digest().await.unwrap();
        let (_other_folder, other) = new_target(Layout::One);
        fill(&other, &ROWS).await.unwrap();
        let others = open(&other.url, MigrationPolicy::Require).await.unwrap();
        assert_eq!(others.inspection.digest().await.unwrap(), digest);
        fill(&target, &ROWS).await.unwrap();
        assert_eq!(stores.inspection.digest().await.unwrap(), digest);
        let order = stores.orders.find_order(&OrderId::numbered(40)).await.unwrap().unwrap();
        assert_eq!((order.user, order.lines[0].item.clone()), (user(1), item(6)));
    }

    #[tokio::test]
    async fn a_database_with_another_load_is_refused() {
        let (_folder, target) = new_target(Layout::One);
        let stores = open(&target.url, MigrationPolicy::Migrate).await.unwrap();
        let new = NewLoad { seed: SEED, rows: 49, mode: LoadMode::Fresh };
        assert!(matches!(stores.loads.begin(new).await.unwrap(), Begin::Started(_)));
        assert_eq!(fill(&target, &ROWS).await.unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn further_orders_can_be_added() {
        let (_folder, target) = new_target(Layout::Partitioned);
        fill(&target, &ROWS).await.unwrap();
        add_orders(&target, &ROWS, 41..61).await.unwrap();
        let loaded = loaded(&target).await;
        for number in 41..61 {
            assert_eq!(loaded.checkout(number).await, Ok(()));
        }
        assert_eq!(loaded.checkout(61).await, Err(FailureKind::Missing));
    }

    #[tokio::test]
    async fn what_is_not_filled_is_not_opened() {
        let (_folder, target) = new_target(Layout::One);
        assert!(target::open(&target, &Registry::default()).await.is_err());
        let url = "mysql://u:secret@h/d".to_owned();
        let error = target::open(&Target { url, ..target }, &Registry::default()).await;
        let error = error.err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
