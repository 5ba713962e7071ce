//! The lab fills a database and loads it, by the same traits as the server.

use jiff::{SignedDuration, Timestamp};
use storefront::lab::driver;
use storefront::lab::model::{
    JobId, KeyDistribution, Layout, Pattern, StartingState, Target, WorkerTask,
};
use storefront::lab::starting_state;
use storefront::lab::target::{self, FailureKind};
use storefront::lab::windows::WindowMerger;
use storefront::telemetry::Registry;
use testkit::audit::settled_audit;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::world::World;

const ROWS: StartingState = StartingState { games: 120, items: 10, users: 20, orders: 80 };

fn lab_target(world: &World) -> Target {
    Target { url: world.url().to_owned(), replica_url: None, layout: Layout::One }
}

pub async fn a_filled_database_takes_every_transaction_of_the_lab(world: World) {
    let target = lab_target(&world);
    assert_eq!(starting_state::fill(&target, &ROWS).await.unwrap(), 120 + 10 + 20 + 80);
    let digest = world.stores.inspection.digest().await.unwrap();
    assert_eq!(digest.rows, 120);
    starting_state::fill(&target, &ROWS).await.unwrap();
    assert_eq!(world.stores.inspection.digest().await.unwrap(), digest);

    let loaded = target::open(&target, &Registry::default()).await.unwrap();
    for key in [1, 60, 120] {
        assert_eq!(loaded.read_overview(key).await, Ok(()));
        assert_eq!(loaded.update(key).await, Ok(()));
    }
    assert_eq!(loaded.update(121).await, Err(FailureKind::Missing));
    let created = loaded.create().await.unwrap();
    assert!(created > 120, "{created}");
    assert_eq!(loaded.read_overview(created).await, Ok(()));
    for number in [1, 80] {
        assert_eq!(loaded.read_order(number).await, Ok(()));
        assert_eq!(loaded.checkout(number).await, Ok(()));
    }
    assert_eq!(loaded.checkout(81).await, Err(FailureKind::Missing));
    starting_state::add_orders(&target, &ROWS, 81..91).await.unwrap();
    assert_eq!(loaded.checkout(81).await, Ok(()));
    assert!(settled_audit(world.stores.audit.as_ref()).await.differences.is_empty());
}

pub async fn a_run_of_the_lab_offers_its_pattern(world: World) {
    let target = lab_target(&world);
    starting_state::fill(&target, &ROWS).await.unwrap();
    let loaded = target::open(&target, &Registry::default()).await.unwrap();
    let task = WorkerTask {
        job: JobId::new(),
        worker: 0,
        workers: 1,
        target: Some(target),
        rows: ROWS,
        read_pattern: Pattern::ALL[0],
        write_pattern: Pattern::ALL[0],
        seconds: 2,
        rate_scale: 1.0,
        keys: KeyDistribution::Latest,
        seed: 1,
        start_at: Timestamp::now() + SignedDuration::from_millis(20),
        max_in_flight: 1_000,
    };
    let mut merger = WindowMerger::new(task.start_at, 1);
    let (sender, mut windows) = mpsc::channel(1);
    let run = tokio::spawn(driver::run(task, loaded, sender, CancellationToken::new()));
    let mut ok = 0;
    while let Some(window) = windows.recv().await {
        let Some(merged) = merger.add(window).filter(|merged| merged.window.is_final) else {
            continue;
        };
        let (read, write) = (merged.window.read, merged.window.write);
        assert_eq!((read.offered, write.offered, read.pending, write.pending), (100, 100, 0, 0));
        // A busy machine may let some time out, but no row is missing and nothing is a defect.
        for kind in read.errors.keys().chain(write.errors.keys()) {
            assert!(["timeout", "unavailable"].contains(&kind.as_str()), "{kind}");
        }
        ok += read.ok + write.ok;
    }
    assert!(ok > 0);
    assert!(!run.await.unwrap().stopped);
    assert!(merger.finish().is_empty());
}
