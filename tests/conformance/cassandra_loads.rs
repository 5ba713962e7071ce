//! Bulk loads write plainly, clients by LWT: what happens where both want one id.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use storefront::db::MigrationPolicy;
use storefront::db::storage::{
    Begin, Chunk, Contents, Create, ErrorKind, Load, LoadMode, LoadStore, NewLoad, Remove, Update,
};
use storefront::overview::model::{Changes, GameId, Overview};
use storefront_seed::Generator;

use crate::world::{World, act, at_once, game, shared};
use testkit::cassandra::{Keyspace, open};

fn generated(id: i64) -> Overview {
    Generator::new(42).game(id as i32).into()
}

fn chunk(range: Range<i64>) -> Chunk {
    Chunk { games: range.clone().map(generated).collect(), range }
}

async fn begin(loads: &dyn LoadStore, rows: u64, mode: LoadMode) -> Load {
    match loads.begin(NewLoad { seed: 42, rows, mode }).await.unwrap() {
        Begin::Started(load) => load,
        other => panic!("{other:?}"),
    }
}

/// The removal is younger than the load's row and would hide it.
#[tokio::test]
async fn an_id_that_was_created_and_removed_is_free() {
    let world = World::on("cassandra").await;
    let (store, loads) = (world.stores.overviews.as_ref(), world.stores.loads.as_ref());
    for id in [3, 7] {
        store.create(act(), game(Some(id))).await.unwrap();
        assert_eq!(store.remove(act(), GameId(id)).await.unwrap(), Remove::Removed);
    }
    let load = begin(loads, 10, LoadMode::Append).await;
    assert_eq!(loads.write(&load, chunk(1..11)).await.unwrap(), 10);
    assert_eq!(store.find(GameId(3), None).await.unwrap(), Some(generated(3)));
    assert_eq!(world.stores.inspection.digest().await.unwrap().rows, 10);
}

/// The row of a removed game must not come back when its chunk is written again.
#[tokio::test]
async fn a_chunk_that_is_written_again_restores_no_removed_game() {
    let world = World::on("cassandra").await;
    let other = world.another_server().await;
    let (store, loads) = (world.stores.overviews.as_ref(), world.stores.loads.as_ref());
    let load = begin(loads, 10, LoadMode::Fresh).await;
    assert_eq!(loads.write(&load, chunk(1..11)).await.unwrap(), 10);
    store.remove(act(), GameId(4)).await.unwrap();
    let changes = Changes { developer: Some("mine".into()), ..Changes::default() };
    store.update(act(), GameId(5), changes).await.unwrap();
    assert!(other.loads.write(&load, chunk(1..11)).await.is_err());
    assert_eq!(store.find(GameId(4), None).await.unwrap(), None);
    assert_eq!(store.find(GameId(5), None).await.unwrap().unwrap().developer, "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_and_a_create_of_one_id_have_one_winner() {
    const ROWS: i64 = 600;
    let world = World::on("cassandra").await;
    let other = world.another_server().await;
    let load = begin(world.stores.loads.as_ref(), ROWS as u64, LoadMode::Fresh).await;
    let (loads, store) = (Arc::clone(&world.stores.loads), shared(&other));
    let creates = (1..=ROWS as i32).step_by(4).map(|id| {
        let store = Arc::clone(&store);
        async move { (id, store.create(act(), game(Some(id))).await.unwrap()) }
    });
    let write = tokio::spawn(async move { loads.write(&load, chunk(1..ROWS + 1)).await.unwrap() });
    let created: Vec<i32> = at_once(creates)
        .await
        .into_iter()
        .filter_map(|(id, outcome)| (outcome != Create::Taken).then_some(id))
        .collect();
    let written = write.await.unwrap();
    assert_eq!(written + created.len() as u64, ROWS as u64, "each id is taken once");
    for id in 1..=ROWS as i32 {
        let found = store.find(GameId(id), None).await.unwrap().unwrap();
        assert_eq!(found == generated(i64::from(id)), !created.contains(&id), "game {id}");
    }
}

#[tokio::test]
async fn a_load_that_was_replaced_writes_no_more() {
    let world = World::on("cassandra").await;
    let other = world.another_server().await;
    let old = begin(world.stores.loads.as_ref(), 10, LoadMode::Fresh).await;
    let new = begin(other.loads.as_ref(), 4, LoadMode::Reset).await;
    let error = world.stores.loads.write(&old, chunk(1..11)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(world.stores.loads.finish(&old).await.is_err());
    assert_eq!(other.loads.write(&new, chunk(1..5)).await.unwrap(), 4);
    other.loads.finish(&new).await.unwrap();
    assert_eq!(other.inspection.digest().await.unwrap().rows, 4);
}

#[tokio::test]
async fn a_load_over_demo_games_is_the_load_alone() {
    let world = World::on("cassandra").await;
    let loads = world.stores.loads.as_ref();
    let mut digests = Vec::new();
    for mode in [LoadMode::Fresh, LoadMode::Reset] {
        if mode == LoadMode::Fresh {
            let demo = Generator::new(1);
            assert!(
                loads
                    .install_demo((1..=20).map(|id| demo.game(id).into()).collect())
                    .await
                    .unwrap()
            );
        }
        let load = begin(loads, 50, mode).await;
        for start in (1..51).step_by(10) {
            assert_eq!(loads.write(&load, chunk(start..start + 10)).await.unwrap(), 10);
        }
        loads.finish(&load).await.unwrap();
        digests.push(world.stores.inspection.digest().await.unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}

/// An acknowledged change of a demo game is kept, whatever a load does meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_over_demo_games_loses_no_change() {
    let world = World::on("cassandra").await;
    let (store, loads) = (shared(&world.stores), Arc::clone(&world.stores.loads));
    let mut first = 1;
    for _ in 0..6 {
        assert!(loads.install_demo((first..first + 20).map(generated).collect()).await.unwrap());
        let load = NewLoad { seed: 42, rows: 5, mode: LoadMode::Fresh };
        let ids = first as i32..first as i32 + 20;
        let updates = ids.map(|id| {
            let store = Arc::clone(&store);
            let changes = Changes { developer: Some("mine".into()), ..Changes::default() };
            async move { (id, store.update(act(), GameId(id), changes).await.unwrap()) }
        });
        let (begun, updated) = tokio::join!(loads.begin(load), at_once(updates));
        begun.unwrap();
        for (id, _) in updated.into_iter().filter(|(_, outcome)| *outcome == Update::Updated) {
            let found = store.find(GameId(id), None).await.unwrap().expect("the game is kept");
            assert_eq!(Overview { developer: "mine".into(), ..generated(i64::from(id)) }, found);
        }
        // Another round: empty, with ids that were never used.
        let load = begin(loads.as_ref(), 1, LoadMode::Reset).await;
        loads.write(&load, chunk(1..2)).await.unwrap();
        loads.finish(&load).await.unwrap();
        store.remove(act(), GameId(1)).await.unwrap();
        first = 2;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_install_of_demo_games_is_completed() {
    let keyspace = Keyspace::reserve().await;
    let games = || (1..=200).map(generated).collect::<Vec<_>>();
    let stores = open(keyspace.settings(), MigrationPolicy::Migrate).await.unwrap();
    for milliseconds in [5, 20, 60] {
        let (settings, games) = (keyspace.settings(), games());
        // A runtime that ends takes its tasks with it, as a crash does.
        let killed = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let loads = open(settings, MigrationPolicy::Require).await.unwrap().loads;
                let time = Duration::from_millis(milliseconds);
                let cut = tokio::time::timeout(time, loads.install_demo(games)).await;
                println!("interrupted: {}", cut.is_err());
            });
            runtime.shutdown_background();
        };
        tokio::task::spawn_blocking(killed).await.unwrap();
    }
    // What was under way to the cluster may still arrive: then another was first, and is gone.
    for _ in 0..20 {
        if stores.loads.contents().await.unwrap() == Contents::Demo {
            break;
        }
        stores.loads.install_demo(games()).await.unwrap();
    }
    assert_eq!(stores.loads.contents().await.unwrap(), Contents::Demo);
    assert_eq!(stores.inspection.digest().await.unwrap().rows, 200);
    assert_eq!(
        stores.overviews.create(act(), game(None)).await.unwrap(),
        Create::Created(GameId(201))
    );
}
