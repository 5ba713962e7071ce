//! The audit on a real Cassandra: attempts that stopped after any step, with and without their entry
//! in the pending index, and a partition of many records.

use futures::TryStreamExt;
use scylla::statement::batch::{Batch, BatchType};
use uuid::{Builder, Uuid};

use super::Auditor;
use super::judge::{Suspects, judge};
use super::records::Slice;
use super::scan::Scan;
use crate::db::cassandra::cart::AccountKey;
use crate::db::cassandra::cart::crash_tests::{Bought, MUCH, World, cancel, checkout};
use crate::db::cassandra::cart::saga::account_batch::AccountRequest;
use crate::db::cassandra::cart::saga::balance::AccountOp;
use crate::db::cassandra::cart::saga::saga_state::SagaOutcome;
use crate::db::storage::{ActContext, Audit, Difference};

impl World {
    async fn audit(&self) -> Audit {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        auditor.audit(&self.living).await.unwrap()
    }

    async fn repair(&self) -> Vec<String> {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        let audit = auditor.repair(&self.living).await.unwrap();
        assert_eq!(audit.differences, []);
        audit.repaired.unwrap()
    }

    /// Repairs what a first audit finds, while attempts are still in progress.
    async fn repair_once(&self) -> Vec<String> {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        auditor.repair(&self.living).await.unwrap().repaired.unwrap()
    }

    /// How many orphans there are among the parts of an order that were suspected.
    async fn orphans(&self, bought: &Bought, attempt_id: Uuid) -> usize {
        let scan = Scan::open(&self.cluster).await.unwrap();
        let items = bought.items.iter().cloned().map(AccountKey::Item);
        let suspects = Suspects {
            accounts: items.chain([AccountKey::User(bought.user.clone())]).collect(),
            orders: vec![(bought.order.clone(), attempt_id)],
        };
        judge(&scan, &self.living.runner, suspects).await.unwrap().orphans.len()
    }

    /// Runs so many steps of a checkout, or of the cancel of a paid order; whether it ended.
    async fn stop_after(&self, steps: usize, cancels: bool) -> (Bought, bool) {
        let bought = self.order([MUCH, MUCH]).await;
        let ended = if cancels {
            self.living
                .checkout(ActContext::new(), None, bought.order.clone())
                .await
                .unwrap()
                .unwrap();
            while !self.living.runner.pending.entries().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            self.run(&bought, steps, cancel).await
        } else {
            self.run(&bought, steps, checkout).await
        };
        (bought, ended.is_some())
    }

    /// Makes recovery forget all attempts.
    async fn forget_all(&self) {
        let pending = &self.living.runner.pending;
        for attempt_id in pending.entries().await.unwrap().into_keys() {
            pending.remove(attempt_id).await.unwrap();
        }
    }

    async fn submit(&self, key: &AccountKey, op_id: Uuid, op: AccountOp) {
        let request = AccountRequest { op_id, op, expected: None };
        let batchers = &self.living.runner.batchers;
        batchers.submit(key.clone(), ActContext::new(), request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_in_progress_is_no_difference() {
    let world = World::new().await;
    for cancels in [false, true] {
        for steps in 0.. {
            let (bought, ended) = world.stop_after(steps, cancels).await;
            let audit = world.audit().await;
            assert_eq!((audit.differences, audit.unsettled), (vec![], 0), "{cancels} {steps}");
            assert_eq!(audit.unfinished, 1);
            world.recover().await;
            world.is_whole(&bought, [MUCH, MUCH]).await;
            if ended {
                break;
            }
        }
    }
    world.end().await;
}

/// Without its entry recovery would never find it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_recovery_does_not_know_of_is_a_difference_until_it_is_repaired() {
    let world = World::new().await;
    let mut found = Vec::new();
    for cancels in [false, true] {
        for steps in 0.. {
            let (bought, ended) = world.stop_after(steps, cancels).await;
            world.forget_all().await;
            let audit = world.audit().await;
            let is_orphan = |d: &&Difference| !matches!(d, Difference::Sum { .. });
            assert_eq!(audit.differences.iter().filter(is_orphan).count() as u64, audit.different);
            found.push(audit.different);
            assert_eq!(world.repair().await.len() as u64, audit.different);
            world.recover().await;
            world.is_whole(&bought, [MUCH, MUCH]).await;
            assert_eq!(world.repair().await, [""; 0]);
            if ended {
                break;
            }
        }
    }
    // Of the checkout: the order, then the user and two items too, then what is not captured of the
    // paid order. Of the cancel: the order.
    assert_eq!(found, [0, 1, 2, 3, 4, 3, 0, 0, /* cancel */ 0, 0, 1, 1, 0, 0]);
    world.end().await;
}

/// An entry alone explains nothing: recovery removes it where the order has another attempt, or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_of_an_attempt_that_owns_no_order_is_released() {
    let world = World::new().await;
    let bought = world.order([MUCH, MUCH]).await;
    let (item, op_id) = (AccountKey::Item(bought.items[0].clone()), Uuid::now_v7());
    for is_listed in [false, true] {
        let op_id = if is_listed { Uuid::now_v7() } else { op_id };
        world.submit(&item, op_id, AccountOp::Reserve(MUCH)).await;
        if is_listed {
            world.living.runner.pending.restore(op_id, &bought.order).await.unwrap();
        }
        let leaked = Difference::Reservation {
            of: format!("stock of item {}", item.id()),
            amount: MUCH,
            attempt_id: op_id.to_string(),
            order: None,
            state: None,
        };
        assert_eq!(world.audit().await.differences, [leaked]);
        let repaired = world.repair().await;
        assert_eq!(repaired.len(), 1);
        assert!(repaired[0].ends_with("which owns no order (released)"), "{repaired:?}");
        world.living.runner.pending.remove(op_id).await.unwrap();
    }
    assert!(!world.is_whole(&bought, [MUCH, MUCH]).await);
    world.end().await;
}

/// What a first reading has suspected is read again. It was wrong about an attempt that is in the index,
/// and about one that has ended since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_suspected_is_confirmed_before_it_is_reported() {
    let world = World::new().await;
    for cancels in [false, true] {
        for steps in 0.. {
            let (bought, ended) = world.stop_after(steps, cancels).await;
            let entries = world.living.runner.pending.entries().await.unwrap();
            let attempt_id = *entries.keys().next().expect("the attempt is in the index");
            assert_eq!(world.orphans(&bought, attempt_id).await, 0, "{cancels} {steps}");
            world.recover().await;
            assert_eq!(world.orphans(&bought, attempt_id).await, 0, "{cancels} {steps}: ended");
            if ended {
                break;
            }
        }
    }
    world.end().await;
}

/// Its owner may still run: it goes on, and pays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_does_not_end_an_attempt_that_owns_its_order() {
    let world = World::new().await;
    for steps in 1..5 {
        let bought = world.order([MUCH, MUCH]).await;
        let (mut attempt, mut saga) = world.attempt(&bought, checkout).await;
        let runner = &world.dying.runner;
        for _ in 0..steps {
            runner.step(&mut attempt, &mut saga).await.unwrap();
        }
        world.forget_all().await;
        assert_eq!(world.repair_once().await.len(), steps, "the order and its reservations");
        let outcome = runner.run(&mut attempt, &mut saga).await.unwrap();
        assert_eq!(outcome, SagaOutcome::Completed, "after {steps} steps");
        runner.finish(&attempt, outcome).await;
        assert!(world.is_whole(&bought, [MUCH, MUCH]).await);
    }
    world.end().await;
}

/// An item with many records of which one is a reservation that no attempt owns.
async fn leaked_among(put_records: impl AsyncFnOnce(&World, &AccountKey)) -> (World, AccountKey) {
    let world = World::new().await;
    let bought = world.order([MUCH, MUCH]).await;
    let item = AccountKey::Item(bought.items[0].clone());
    put_records(&world, &item).await;
    world.submit(&item, Uuid::now_v7(), AccountOp::Reserve(2)).await;
    (world, item)
}

async fn the_leak_is_found(world: World, auditor: Auditor) {
    let audit = auditor.audit(&world.living).await.unwrap();
    assert!(
        matches!(&audit.differences[..], [Difference::Reservation { amount: 2, .. }]),
        "{:?}",
        audit.differences
    );
    world.repair().await;
    world.end().await;
}

/// As many records as a popular item has after some hours are read in small answers, none of which
/// holds more than a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_of_many_records_is_read_page_by_page() {
    const RECORDS: usize = 30_000;
    const PAGE: usize = 500;
    let put_records = async |world: &_, item: &_| put_ended_records(world, item, RECORDS).await;
    let (world, item) = leaked_among(put_records).await;
    let scan = Scan::with_pages_of(&world.cluster, PAGE as i32).await.unwrap();
    let pages = scan.records(&item, Slice::ALL).map_ok(|page| page.rows.len());
    let pages: Vec<usize> = pages.try_collect().await.unwrap();
    assert_eq!(pages.iter().sum::<usize>(), RECORDS + 1);
    assert!(pages.len() >= RECORDS / PAGE && pages.iter().all(|rows| *rows <= PAGE), "{pages:?}");
    the_leak_is_found(world, Auditor { scan }).await;
}

/// Records of ended operations expire, and a node refuses to read over more than 100,000 deleted
/// cells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_behind_many_expired_records_is_found() {
    const RECORDS: u64 = 60_000;
    let put_records = async |world: &_, item: &_| delete_records(world, item, RECORDS).await;
    let (world, _) = leaked_among(put_records).await;
    let auditor = Auditor::open(&world.cluster).await.unwrap();
    the_leak_is_found(world, auditor).await;
}

/// Leaves two deleted cells for each record of so many, one a millisecond.
async fn delete_records(world: &World, key: &AccountKey, count: u64) {
    const BATCH: u64 = 250;
    const BEGUN: u64 = 1_700_000_000_000;
    let text = "DELETE state, amount FROM $.cart_accounts WHERE kind = ? AND id = ? AND op_id = ?";
    let session = world.cluster.session();
    let statement = session.prepare(world.cluster.text(text)).await.unwrap();
    for from in (BEGUN..BEGUN + count).step_by(BATCH as usize) {
        let mut batch = Batch::new(BatchType::Unlogged);
        let id = |millis| Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid();
        let values: Vec<_> =
            (from..from + BATCH).map(|millis| (key.kind(), key.id(), id(millis))).collect();
        values.iter().for_each(|_| batch.append_statement(statement.clone()));
        session.batch(&batch, values).await.unwrap();
    }
}

async fn put_ended_records(world: &World, key: &AccountKey, count: usize) {
    const BATCH: usize = 250;
    let text = "INSERT INTO $.cart_accounts (kind, id, op_id, state, amount) \
                VALUES (?, ?, ?, 'done', 1)";
    let session = world.cluster.session();
    let statement = session.prepare(world.cluster.text(text)).await.unwrap();
    for _ in 0..count / BATCH {
        let mut batch = Batch::new(BatchType::Unlogged);
        let values: Vec<_> =
            std::iter::repeat_with(|| (key.kind(), key.id(), Uuid::now_v7())).take(BATCH).collect();
        values.iter().for_each(|_| batch.append_statement(statement.clone()));
        session.batch(&batch, values).await.unwrap();
    }
}

/// A read that filters goes through a whole partition, or table, for one answer.
#[test]
fn no_statement_filters() {
    let needle = concat!("ALLOW ", "FILTERING");
    let mut folders =
        vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/cassandra"))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains(needle), "{}", path.display());
            }
        }
    }
    assert!(files > 20, "{files} files");
}
