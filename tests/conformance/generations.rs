//! Cases of a lab's databases, the same on every backend. What differs is in
//! [`crate::generations_by_backend`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::future::join_all;
use storefront::cart::model::{ItemId, UserId};
use storefront::config::database::Database;
use storefront::db::storage::{Contents, Create, CreateGeneration, DropGeneration};
use storefront::db::{MigrationPolicy, Stores};
use testkit::database;
use testkit::generations::{OwnLab, generations};
use testkit::wait::eventually;

use crate::cart::n;
use crate::world::{act, at_once, game};

/// Statements of a holder after its lease.
const LATE: u32 = 1_000;
/// How many of them are under way at once.
const AT_ONCE: u32 = 50;

pub async fn a_generation_is_created_listed_and_dropped(lab: OwnLab) {
    let mut both = [lab.generation(), lab.generation()];
    both.sort();
    assert!(lab.store.list().await.unwrap().is_empty());
    for generation in both.iter().rev() {
        assert_eq!(lab.store.create(*generation).await.unwrap(), CreateGeneration::Created);
    }
    assert_eq!(lab.store.list().await.unwrap(), both);
    let [first, second] = both;
    let stores = lab.open(second).await;
    assert!(matches!(stores.overviews.create(act(), game(None)).await, Ok(Create::Created(_))));
    for _ in 0..2 {
        assert_eq!(lab.store.remove(first).await.unwrap(), DropGeneration::Dropped);
    }
    assert_eq!(lab.store.list().await.unwrap(), [second]);
    let gone = Database::of(&lab.store.url(first), None).unwrap();
    assert!(database::open(&gone, MigrationPolicy::Require).await.is_err());
    assert_eq!(stores.inspection.digest().await.unwrap().rows, 1);
    // Another process of the same lab sees the same.
    let again = generations(lab.url(), lab.id);
    assert_eq!(again.list().await.unwrap(), [second]);
}

pub async fn a_generation_that_is_created_again_is_empty(lab: OwnLab) {
    let generation = lab.generation();
    for _ in 0..2 {
        assert_eq!(lab.store.create(generation).await.unwrap(), CreateGeneration::Created);
        let stores = lab.open(generation).await;
        assert_eq!(stores.loads.contents().await.unwrap(), Contents::Empty);
        assert!(matches!(stores.overviews.create(act(), game(None)).await, Ok(Create::Created(_))));
    }
    assert_eq!(lab.store.list().await.unwrap(), [generation]);
}

pub async fn another_labs_generation_stays_as_it_is(lab: OwnLab) {
    let theirs = lab.another();
    let generation = lab.generation();
    theirs.store.create(generation).await.unwrap();
    let stores = theirs.open(generation).await;
    stores.overviews.create(act(), game(None)).await.unwrap();
    let before = stores.inspection.digest().await.unwrap();
    assert_eq!(lab.store.create(generation).await.unwrap(), CreateGeneration::Unmarked);
    assert_eq!(lab.store.remove(generation).await.unwrap(), DropGeneration::Unmarked);
    assert!(lab.store.list().await.unwrap().is_empty());
    assert_eq!(theirs.store.list().await.unwrap(), [generation]);
    assert_eq!(stores.inspection.digest().await.unwrap(), before);
    let opened_anew = theirs.open(generation).await;
    assert_eq!(opened_anew.inspection.digest().await.unwrap(), before);
}

pub async fn a_generation_is_dropped_while_it_is_written(lab: OwnLab) {
    let (dropped, kept) = (lab.generation(), lab.generation());
    for generation in [dropped, kept] {
        lab.store.create(generation).await.unwrap();
    }
    let (stores, others) = (lab.open(dropped).await, lab.open(kept).await);
    let (has_ended, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writer = |stores: Stores| {
        let (has_ended, written) = (Arc::clone(&has_ended), Arc::clone(&written));
        tokio::spawn(async move {
            while !has_ended.load(Ordering::Relaxed) {
                if stores.overviews.create(act(), game(None)).await.is_ok() {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    let writers: Vec<_> = std::iter::repeat_with(|| writer(stores.clone())).take(8).collect();
    eventually("writes", async || written.load(Ordering::Relaxed) > 20).await;
    assert_eq!(lab.store.remove(dropped).await.unwrap(), DropGeneration::Dropped);
    assert_eq!(lab.store.list().await.unwrap(), [kept]);
    has_ended.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(stores.overviews.create(act(), game(None)).await.is_err());
    assert!(matches!(others.overviews.create(act(), game(None)).await, Ok(Create::Created(_))));
}

pub async fn late_statements_reach_nothing(lab: OwnLab) {
    let (old, next) = (lab.generation(), lab.generation());
    lab.store.create(old).await.unwrap();
    let holder = lab.open(old).await;
    holder.overviews.create(act(), game(None)).await.unwrap();
    assert_eq!(lab.store.remove(old).await.unwrap(), DropGeneration::Dropped);
    lab.store.create(next).await.unwrap();
    let fresh = lab.open(next).await;
    let mut acknowledged = 0;
    for _ in 0..LATE / AT_ONCE {
        let tries = at_once((0..AT_ONCE).map(|number| write(holder.clone(), number))).await;
        acknowledged += tries.into_iter().filter(|is_ok| *is_ok).count();
    }
    assert_eq!(acknowledged, 0);
    assert_eq!(fresh.inspection.digest().await.unwrap().rows, 0);
    let audit = fresh.audit.audit().await.unwrap();
    assert_eq!((audit.orders, audit.items, audit.users), (0, 0, 0), "{audit:?}");
    assert_eq!(lab.store.list().await.unwrap(), [next]);
}

/// One write of a holder; whether it was acknowledged.
async fn write(stores: Stores, number: u32) -> bool {
    match number % 3 {
        0 => stores.overviews.create(act(), game(None)).await.is_ok(),
        1 => stores.stock.create_item(act(), ItemId::new(), n(1)).await.is_ok(),
        _ => stores.payments.create_user(act(), UserId::new()).await.is_ok(),
    }
}

pub async fn a_check_creates_nothing(lab: OwnLab) {
    let facts = lab.store.check().await.unwrap();
    let (product, version) = facts.name.split_once(' ').unwrap();
    assert!(["SQLite", "PostgreSQL", "Cassandra"].contains(&product), "{facts:?}");
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{facts:?}");
    assert!(facts.is_local);
    assert!(lab.store.list().await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(lab.folder()).unwrap().count(), 0);
    let another_spelling = match lab.url().strip_prefix("embedded:") {
        Some(path) => format!("embedded:{}", path.replace("/store.db", "/./store.db")),
        None => lab.url().replace("127.0.0.1", "localhost"),
    };
    assert_ne!(another_spelling, lab.url());
    let labs = [generations(&another_spelling, lab.id), lab.another().store.clone()];
    for found in join_all(labs.iter().map(|store| store.check())).await {
        assert_eq!(found.unwrap(), facts);
    }
}
