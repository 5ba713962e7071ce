//! Cases of `OverviewStore`.

use std::collections::HashSet;
use std::sync::Arc;

use crate::world::act;
use futures::FutureExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use storefront::db::storage::{
    Begin, Create, Cursor, LoadMode, NewLoad, OverviewStore, Remove, Update,
};
use storefront::overview::model::{Changes, GameId, Overview};

use crate::world::{World, at_once, game, shared, stored};

async fn create(store: &dyn OverviewStore, id: Option<i32>) -> Create {
    store.create(act(), game(id)).await.unwrap()
}

async fn assigned(store: &dyn OverviewStore) -> i32 {
    match create(store, None).await {
        Create::Created(id) => id.0,
        other => panic!("{other:?}"),
    }
}

async fn find(store: &dyn OverviewStore, id: i32) -> Option<Overview> {
    store.find(GameId(id), None).await.unwrap()
}

pub async fn a_created_game_is_found_as_it_was_given(world: World) {
    let store = &world.stores.overviews;
    for id in [5, -5, 0] {
        assert_eq!(create(store.as_ref(), Some(id)).await, Create::Created(GameId(id)));
        assert_eq!(find(store.as_ref(), id).await, Some(stored(game(None), GameId(id))));
    }
    let bare = storefront::overview::model::NewOverview { tags: vec![], ..game(Some(6)) };
    store.create(act(), bare.clone()).await.unwrap();
    assert_eq!(find(store.as_ref(), 6).await, Some(stored(bare, GameId(6))));
}

pub async fn a_missing_game_is_none(world: World) {
    assert_eq!(find(world.stores.overviews.as_ref(), 1).await, None);
    world.stores.overviews.ping().await.unwrap();
}

pub async fn an_explicit_id_is_taken_once(world: World) {
    let store = &world.stores.overviews;
    create(store.as_ref(), Some(7)).await;
    let mut second = game(Some(7));
    second.developer = "another".to_owned();
    assert_eq!(store.create(act(), second).await.unwrap(), Create::Taken);
    assert_eq!(find(store.as_ref(), 7).await, Some(stored(game(None), GameId(7))));
}

pub async fn one_of_many_creates_of_an_id_wins(world: World) {
    let other = world.another_server().await;
    let stores = [shared(&world.stores), shared(&other)];
    let outcomes = at_once((0..40).map(|n| {
        let store = Arc::clone(&stores[n % 2]);
        async move {
            let mut wanted = game(Some(9));
            wanted.developer = n.to_string();
            (n, store.create(act(), wanted).await.unwrap())
        }
    }))
    .await;
    let winners: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| *outcome != Create::Taken).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let found = find(stores[0].as_ref(), 9).await.unwrap();
    assert_eq!(found.developer, winners[0].0.to_string());
}

pub async fn explicit_ids_do_not_move_the_counter(world: World) {
    let store = world.stores.overviews.as_ref();
    assert_eq!(assigned(store).await, 1);
    for id in [50, i32::MAX, -1] {
        create(store, Some(id)).await;
    }
    assert_eq!(assigned(store).await, 2);
}

pub async fn assigned_ids_ascend_and_are_never_used_again(world: World) {
    let store = world.stores.overviews.as_ref();
    let (first, second) = (assigned(store).await, assigned(store).await);
    assert!(first < second);
    store.remove(act(), GameId(second)).await.unwrap();
    assert!(assigned(store).await > second);
}

pub async fn a_taken_id_is_skipped(world: World) {
    let store = world.stores.overviews.as_ref();
    let next = assigned(store).await + 1;
    create(store, Some(next)).await;
    create(store, Some(next + 1)).await;
    assert_eq!(assigned(store).await, next + 2);
    assert_eq!(find(store, next).await, Some(stored(game(None), GameId(next))));
}

pub async fn a_long_run_of_taken_ids_is_skipped(world: World) {
    let store = world.stores.overviews.as_ref();
    let load = NewLoad { seed: 1, rows: 5_000, mode: LoadMode::Append };
    let Begin::Started(load) = world.stores.loads.begin(load).await.unwrap() else { panic!() };
    // The load's rows are games under the ids that the counter would assign after it.
    let taken = 5_001..=9_000;
    for id in taken.clone() {
        if id % 50 == 0 || id < 5_400 {
            create(store, Some(id)).await;
        }
    }
    let id = assigned(store).await;
    assert!(id > 5_399 && !(taken.contains(&id) && id % 50 == 0), "{id}");
    assert!(assigned(store).await > id);
    drop(load);
}

pub async fn the_outermost_ids_can_be_used(world: World) {
    let store = world.stores.overviews.as_ref();
    for id in [i32::MIN, i32::MAX] {
        assert_eq!(create(store, Some(id)).await, Create::Created(GameId(id)));
        assert!(find(store, id).await.is_some());
    }
    let page = store.page(None, 10, None).await.unwrap();
    assert_eq!(page.games.len(), 2);
    assert_eq!(assigned(store).await, 1);
}

pub async fn after_the_last_id_the_counter_is_exhausted(world: World) {
    let all_but_one = NewLoad { seed: 1, rows: i32::MAX as u64 - 1, mode: LoadMode::Append };
    let begun = world.stores.loads.begin(all_but_one).await.unwrap();
    assert!(matches!(begun, Begin::Started(_)), "{begun:?}");
    let store = world.stores.overviews.as_ref();
    assert_eq!(assigned(store).await, i32::MAX);
    for _ in 0..2 {
        assert_eq!(create(store, None).await, Create::Exhausted);
    }
    assert_eq!(create(store, Some(3)).await, Create::Created(GameId(3)));
}

/// A change, and the same to the expected game.
type Step = (Changes, fn(&mut Overview));

pub async fn an_update_changes_what_is_given_and_no_more(world: World) {
    let store = world.stores.overviews.as_ref();
    create(store, Some(1)).await;
    let mut expected = stored(game(None), GameId(1));
    let new = || Some("new".to_owned());
    let steps: [Step; 7] = [
        (Changes { game_name: new(), ..Changes::default() }, |g| g.game_name = "new".into()),
        (Changes { description: new(), ..Changes::default() }, |g| g.description = "new".into()),
        (Changes { release_date: new(), ..Changes::default() }, |g| g.release_date = "new".into()),
        (Changes { developer: new(), ..Changes::default() }, |g| g.developer = "new".into()),
        (Changes { publisher: new(), ..Changes::default() }, |g| g.publisher = "new".into()),
        (Changes { tags: Some(vec![]), ..Changes::default() }, |g| g.tags = vec![]),
        (
            Changes {
                tags: Some(vec!["t".into()]),
                developer: Some(String::new()),
                ..Changes::default()
            },
            |g| {
                g.tags = vec!["t".into()];
                g.developer = String::new();
            },
        ),
    ];
    for (changes, apply) in steps {
        assert_eq!(store.update(act(), GameId(1), changes).await.unwrap(), Update::Updated);
        apply(&mut expected);
        assert_eq!(find(store, 1).await.as_ref(), Some(&expected));
    }
    assert_eq!(store.update(act(), GameId(1), Changes::default()).await.unwrap(), Update::Updated);
    assert_eq!(find(store, 1).await, Some(expected));
}

pub async fn an_update_of_a_missing_game_changes_nothing(world: World) {
    let store = world.stores.overviews.as_ref();
    let changes = Changes { developer: Some("x".into()), ..Changes::default() };
    for changes in [changes, Changes::default()] {
        assert_eq!(store.update(act(), GameId(4), changes).await.unwrap(), Update::Missing);
        assert_eq!(find(store, 4).await, None);
    }
}

pub async fn a_game_is_removed_once(world: World) {
    let store = world.stores.overviews.as_ref();
    create(store, Some(1)).await;
    create(store, Some(2)).await;
    assert_eq!(store.remove(act(), GameId(1)).await.unwrap(), Remove::Removed);
    assert_eq!(store.remove(act(), GameId(1)).await.unwrap(), Remove::Missing);
    assert_eq!(find(store, 1).await, None);
    assert!(find(store, 2).await.is_some());
    assert_eq!(create(store, Some(1)).await, Create::Created(GameId(1)));
}

pub async fn pages_show_each_game_once(world: World) {
    let store = world.stores.overviews.as_ref();
    let before: HashSet<i32> = (0..60).map(|n| n * 7 - 100).collect();
    for id in &before {
        create(store, Some(*id)).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    for round in 0.. {
        let page = store.page(cursor, 7, None).await.unwrap();
        assert!(page.games.len() <= 7);
        seen.extend(page.games.iter().map(|game| game.game_id.0));
        // Games created meanwhile, before and behind the cursor, may be seen or not.
        create(store, Some(-1_000 - round)).await;
        create(store, Some(round * 7 - 99)).await;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let distinct: HashSet<i32> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "a game was seen twice");
    assert!(before.is_subset(&distinct));
}

pub async fn a_page_ends_where_the_games_end(world: World) {
    let store = world.stores.overviews.as_ref();
    assert_eq!(store.page(None, 5, None).await.unwrap().next, None);
    for id in 1..=5 {
        create(store, Some(id)).await;
    }
    let page = store.page(None, 5, None).await.unwrap();
    assert_eq!((page.games.len(), page.next), (5, None));
    assert_eq!(page.games[0], stored(game(None), page.games[0].game_id));
    let page = store.page(None, 4, None).await.unwrap();
    assert_eq!(page.next, Some(Cursor(page.games[3].game_id)));
    let rest = store.page(page.next, 4, None).await.unwrap();
    assert_eq!((rest.games.len(), rest.next), (1, None));
    let none = store.page(page.next, 0, None).await.unwrap();
    assert_eq!((none.games.len(), none.next), (0, page.next));
}

pub async fn servers_on_one_database_assign_different_ids(world: World) {
    let others = [world.another_server().await, world.another_server().await];
    let stores = [shared(&world.stores), shared(&others[0]), shared(&others[1])];
    let ids = at_once((0..300).map(|n| {
        let store = Arc::clone(&stores[n % 3]);
        async move { assigned(store.as_ref()).await }
    }))
    .await;
    let distinct: HashSet<i32> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), 300);
    for id in distinct {
        assert!(find(stores[0].as_ref(), id).await.is_some(), "game {id} was acknowledged");
    }
}

/// No write fails for the others, such as by a deadlock, and each game is there exactly if it was created
/// more often than removed.
pub async fn servers_that_change_the_same_games_do_not_disturb_each_other(world: World) {
    const GAMES: i32 = 8;
    let other = world.another_server().await;
    let stores = [shared(&world.stores), shared(&other)];
    let seed = testkit::random::seed();
    let clients = at_once((0..40).map(|client| {
        let store = Arc::clone(&stores[client % 2]);
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(client as u64));
        async move {
            let mut there = [0; GAMES as usize];
            for n in 0..15 {
                let id = random.random_range(0..GAMES);
                there[id as usize] += match random.random_range(0..4) {
                    0 => i32::from(create(store.as_ref(), Some(id)).await != Create::Taken),
                    1 => {
                        let removed = store.remove(act(), GameId(id)).await.unwrap();
                        -i32::from(removed == Remove::Removed)
                    }
                    _ => {
                        let developer = Some(format!("{client} {n}"));
                        let changes = Changes { developer, ..Changes::default() };
                        store.update(act(), GameId(id), changes).await.unwrap();
                        0
                    }
                };
            }
            there
        }
    }))
    .await;
    for id in 0..GAMES {
        let there: i32 = clients.iter().map(|client| client[id as usize]).sum();
        let found = find(stores[0].as_ref(), id).await;
        assert_eq!(there, i32::from(found.is_some()), "game {id}");
    }
}

pub async fn a_write_is_seen_by_every_server_at_once(world: World) {
    let other = world.another_server().await.overviews;
    let store = world.stores.overviews.as_ref();
    for id in 1..=50 {
        create(store, Some(id)).await;
        assert!(find(other.as_ref(), id).await.is_some());
        let changes = Changes { developer: Some(id.to_string()), ..Changes::default() };
        other.update(act(), GameId(id), changes).await.unwrap();
        assert_eq!(find(store, id).await.unwrap().developer, id.to_string());
        store.remove(act(), GameId(id)).await.unwrap();
        assert_eq!(find(other.as_ref(), id).await, None);
    }
}

pub async fn a_write_whose_future_is_dropped_is_still_done(world: World) {
    let store = shared(&world.stores);
    for id in 1..=20 {
        let mut act = store.create(act(), game(Some(id)));
        // One poll begins the act; then the client is gone.
        let begun = (&mut act).now_or_never();
        drop((begun, act));
    }
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        for id in 1..=20 {
            while find(store.as_ref(), id).await.is_none() {
                tokio::task::yield_now().await;
            }
        }
    })
    .await
    .expect("every act that was begun happens");
}

pub async fn a_store_without_a_replica_gives_no_read_token(world: World) {
    let store = &world.stores.overviews;
    create(store.as_ref(), None).await;
    assert!(!store.has_replica());
    assert_eq!(store.read_token().await, None);
}
