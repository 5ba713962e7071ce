//! Cases of `LoadStore`.

use std::ops::Range;

use crate::world::act;
use storefront::db::Stores;
use storefront::db::storage::{
    Begin, Chunk, Contents, Create, Digest, Load, LoadMode, LoadStore, NewLoad, Remove, Update,
};
use storefront::overview::model::{Changes, GameId, Overview};
use storefront_seed::Generator;

use crate::world::{World, game};

const SEED: u64 = 42;

fn chunk(range: Range<i64>) -> Chunk {
    let games = range.clone().map(|id| generated(id as i32)).collect();
    Chunk { range, games }
}

fn generated(id: i32) -> Overview {
    Generator::new(SEED).game(id).into()
}

async fn begin(loads: &dyn LoadStore, rows: u64, mode: LoadMode) -> Begin {
    loads.begin(NewLoad { seed: SEED, rows, mode }).await.unwrap()
}

async fn started(loads: &dyn LoadStore, rows: u64, mode: LoadMode) -> Load {
    match begin(loads, rows, mode).await {
        Begin::Started(load) => load,
        other => panic!("{other:?}"),
    }
}

/// Writes what is pending, in pieces.
async fn write_all(loads: &dyn LoadStore, load: &Load, size: usize) -> u64 {
    let mut rows = 0;
    for range in &load.pending {
        for start in range.clone().step_by(size) {
            let piece = start..range.end.min(start + size as i64);
            rows += loads.write(load, chunk(piece)).await.unwrap();
        }
    }
    rows
}

/// All that is pending, in one range.
fn one(range: Range<i64>) -> Vec<Range<i64>> {
    Vec::from_iter([range])
}

/// A whole load.
async fn load(loads: &dyn LoadStore, rows: u64, mode: LoadMode) {
    let load = started(loads, rows, mode).await;
    assert_eq!(write_all(loads, &load, 10).await, rows);
    loads.finish(&load).await.unwrap();
}

async fn create(stores: &Stores, id: Option<i32>) -> Create {
    stores.overviews.create(act(), game(id)).await.unwrap()
}

async fn digest(stores: &Stores) -> Digest {
    stores.inspection.digest().await.unwrap()
}

pub async fn a_load_fills_an_empty_store(world: World) {
    let loads = world.stores.loads.as_ref();
    assert!(loads.load_params().chunk > 0 && loads.load_params().in_flight > 0);
    assert_eq!(loads.contents().await.unwrap(), Contents::Empty);
    assert_eq!(digest(&world.stores).await, Digest::default());
    load(loads, 25, LoadMode::Fresh).await;
    assert_eq!(loads.contents().await.unwrap(), Contents::Games);
    for id in [1, 25] {
        let found = world.stores.overviews.find(GameId(id), None).await.unwrap();
        assert_eq!(found, Some(generated(id)));
    }
    assert_eq!(world.stores.overviews.find(GameId(26), None).await.unwrap(), None);
    assert_eq!(digest(&world.stores).await.rows, 25);
    assert!(world.stores.inspection.bytes().await.unwrap() > 0);
}

pub async fn a_store_with_games_refuses_a_fresh_load(world: World) {
    create(&world.stores, None).await;
    let before = digest(&world.stores).await;
    let begun = begin(world.stores.loads.as_ref(), 5, LoadMode::Fresh).await;
    assert_eq!(begun, Begin::NotEmpty);
    assert_eq!(digest(&world.stores).await, before);
    load(world.stores.loads.as_ref(), 5, LoadMode::Append).await;
    assert_eq!(digest(&world.stores).await.rows, 6);
}

pub async fn demo_games_are_replaced_without_asking(world: World) {
    let (stores, loads) = (&world.stores, world.stores.loads.as_ref());
    assert!(loads.install_demo((1..=20).map(generated).collect()).await.unwrap());
    assert_eq!(loads.contents().await.unwrap(), Contents::Demo);
    assert_eq!(digest(stores).await.rows, 20);
    load(loads, 5, LoadMode::Fresh).await;
    assert_eq!(digest(stores).await.rows, 5);
    assert_eq!(loads.contents().await.unwrap(), Contents::Games);
}

pub async fn demo_games_are_games_after_a_create(world: World) {
    let demo = stocked(&world).await;
    assert_eq!(create(&world.stores, None).await, Create::Created(GameId(21)));
    kept(&world, demo).await;
}

pub async fn demo_games_are_games_after_an_update(world: World) {
    let demo = stocked(&world).await;
    let changes = Changes { developer: Some("x".into()), ..Changes::default() };
    let updated = world.stores.overviews.update(act(), GameId(1), changes).await.unwrap();
    assert_eq!(updated, Update::Updated);
    kept(&world, demo).await;
}

pub async fn demo_games_are_games_after_a_removal(world: World) {
    let demo = stocked(&world).await;
    assert_eq!(world.stores.overviews.remove(act(), GameId(2)).await.unwrap(), Remove::Removed);
    kept(&world, demo).await;
}

/// Stocks the store with demo games; their digest.
async fn stocked(world: &World) -> Digest {
    assert!(world.stores.loads.install_demo((1..=20).map(generated).collect()).await.unwrap());
    digest(&world.stores).await
}

/// The store's games count as games, and have changed since they were `demo`.
async fn kept(world: &World, demo: Digest) {
    let loads = world.stores.loads.as_ref();
    assert_eq!(loads.contents().await.unwrap(), Contents::Games);
    assert_eq!(begin(loads, 5, LoadMode::Fresh).await, Begin::NotEmpty);
    assert!(!loads.install_demo((1..=20).map(generated).collect()).await.unwrap());
    assert_ne!(digest(&world.stores).await, demo);
}

pub async fn demo_games_never_get_ids_that_were_used(world: World) {
    let (stores, loads) = (&world.stores, world.stores.loads.as_ref());
    assert_eq!(create(stores, None).await, Create::Created(GameId(1)));
    stores.overviews.remove(act(), GameId(1)).await.unwrap();
    assert_eq!(loads.contents().await.unwrap(), Contents::Empty);
    assert!(!loads.install_demo((1..=20).map(generated).collect()).await.unwrap());
    assert_eq!(digest(stores).await.rows, 0);
    assert_eq!(create(stores, None).await, Create::Created(GameId(2)));
}

pub async fn a_second_load_waits_for_the_first(world: World) {
    let other = world.another_server().await;
    let load = started(world.stores.loads.as_ref(), 10, LoadMode::Fresh).await;
    for mode in [LoadMode::Fresh, LoadMode::Append] {
        assert_eq!(begin(other.loads.as_ref(), 3, mode).await, Begin::Interrupted(load.clone()));
    }
    assert_eq!(other.loads.contents().await.unwrap(), Contents::Interrupted(load));
}

pub async fn an_interrupted_load_ends_as_if_it_had_not_been(world: World) {
    let loads = world.stores.loads.as_ref();
    load(loads, 95, LoadMode::Fresh).await;
    let whole = digest(&world.stores).await;

    let begun = started(loads, 95, LoadMode::Reset).await;
    let mut rows = loads.write(&begun, chunk(1..31)).await.unwrap();
    // The loader dies here; another process looks what there is to do.
    let other = world.another_server().await;
    let Contents::Interrupted(found) = other.loads.contents().await.unwrap() else {
        panic!("the load is open");
    };
    assert_eq!((found.seed, found.rows, found.written), (SEED, 95, rows));
    rows += write_all(other.loads.as_ref(), &found, 20).await;
    other.loads.finish(&found).await.unwrap();
    assert_eq!(rows, 95);
    assert_eq!(digest(&world.stores).await, whole);
}

pub async fn ids_are_reserved_before_the_first_row(world: World) {
    let loads = world.stores.loads.as_ref();
    let load = started(loads, 100, LoadMode::Fresh).await;
    assert_eq!(load.pending, one(1..101));
    assert_eq!(create(&world.stores, None).await, Create::Created(GameId(101)));
    assert_eq!(write_all(loads, &load, 50).await, 100);
}

pub async fn taken_ids_are_replaced_by_further_ones(world: World) {
    let loads = world.stores.loads.as_ref();
    for id in [3, 5] {
        create(&world.stores, Some(id)).await;
    }
    let load = started(loads, 10, LoadMode::Append).await;
    assert_eq!(write_all(loads, &load, 4).await, 8);
    let range = loads.extend(&load, 2).await.unwrap();
    assert_eq!(range, 11..13);
    let Contents::Interrupted(found) = loads.contents().await.unwrap() else { panic!("open") };
    assert_eq!((found.written, found.pending), (8, one(11..13)));
    assert_eq!(loads.write(&load, chunk(range)).await.unwrap(), 2);
    loads.finish(&load).await.unwrap();
    assert_eq!(digest(&world.stores).await.rows, 12);
    let kept = world.stores.overviews.find(GameId(3), None).await.unwrap().unwrap();
    assert_eq!(kept.game_name, game(None).game_name);
}

pub async fn a_chunk_counts_once(world: World) {
    let loads = world.stores.loads.as_ref();
    let load = started(loads, 20, LoadMode::Fresh).await;
    assert_eq!(loads.write(&load, chunk(1..11)).await.unwrap(), 10);
    // A second loader with the same idea: refused, or no row the second time.
    assert_eq!(loads.write(&load, chunk(1..11)).await.unwrap_or(0), 0);
    let Contents::Interrupted(found) = loads.contents().await.unwrap() else { panic!("open") };
    assert_eq!((found.written, found.pending), (10, one(11..21)));
}

pub async fn a_reset_empties_the_store_and_resets_its_counter(world: World) {
    let loads = world.stores.loads.as_ref();
    for _ in 0..3 {
        create(&world.stores, None).await;
    }
    let _open = started(loads, 10, LoadMode::Append).await;
    load(loads, 4, LoadMode::Reset).await;
    assert_eq!(digest(&world.stores).await.rows, 4);
    assert_eq!(world.stores.overviews.find(GameId(1), None).await.unwrap(), Some(generated(1)));
    assert_eq!(create(&world.stores, None).await, Create::Created(GameId(5)));
}

pub async fn more_rows_than_ids_are_refused(world: World) {
    let loads = world.stores.loads.as_ref();
    create(&world.stores, None).await;
    for rows in [i32::MAX as u64, u64::MAX] {
        assert_eq!(begin(loads, rows, LoadMode::Append).await, Begin::Exhausted);
    }
    assert_eq!(begin(loads, i32::MAX as u64 + 1, LoadMode::Reset).await, Begin::Exhausted);
    assert_eq!(loads.contents().await.unwrap(), Contents::Games);
    assert_eq!(create(&world.stores, None).await, Create::Created(GameId(2)));
}

pub async fn the_digest_does_not_depend_on_the_order(world: World) {
    let loads = world.stores.loads.as_ref();
    load(loads, 30, LoadMode::Fresh).await;
    let whole = digest(&world.stores).await;
    for _ in 0..2 {
        world.stores.overviews.remove(act(), GameId(7)).await.unwrap();
        assert_ne!(digest(&world.stores).await, whole);
        let Overview { game_name, description, release_date, developer, publisher, tags, .. } =
            generated(7);
        let again = storefront::overview::model::NewOverview {
            game_id: Some(GameId(7)),
            game_name,
            description,
            release_date,
            developer,
            publisher,
            tags,
        };
        world.stores.overviews.create(act(), again).await.unwrap();
        assert_eq!(digest(&world.stores).await, whole);
    }
}
