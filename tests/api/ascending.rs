//! The catalogue in the order of the games' numbers. Cassandra has an order of its own: a run on it
//! says `--skip ascending::`.

use std::collections::BTreeMap;

use crate::catalogue::stock;
use crate::helpers::TestStore;
use testkit::games::game;

#[tokio::test]
async fn games_come_in_ascending_order_of_their_numbers() {
    let store = TestStore::start().await;
    let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
    stock(&store, [5, max, -3, 0, min, 40]).await;
    assert_eq!(store.page("").await, (vec![min, -3, 0, 5, 40, max], None));
}

#[tokio::test]
async fn paging_sees_each_game_once_while_others_are_inserted() {
    let store = TestStore::start().await;
    stock(&store, (0..60).map(|n| n * 10)).await;
    let (mut seen, mut query, mut step) = (BTreeMap::new(), "?limit=7".to_owned(), 0);
    loop {
        let (ids, next) = store.page(&query).await;
        for id in &ids {
            *seen.entry(*id).or_insert(0) += 1;
        }
        let Some(next) = next else { break };
        // Ids before, at and behind the cursor; and assigned ones.
        let place = ids.last().unwrap();
        stock(&store, [place - 5, place + 1, -10 - step]).await;
        store.create(&game("A")).await;
        step += 1;
        query = format!("?limit=7&after={next}");
    }
    assert!(step > 8, "several pages were read");
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    for id in (0..60).map(|n| n * 10) {
        assert!(seen.contains_key(&id), "{id} was there from the beginning");
    }
}
