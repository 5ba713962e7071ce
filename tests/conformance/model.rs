//! Random acts against a model: a map of games and a counter.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;
use storefront::db::storage::{Create, OverviewStore, Remove, Update};
use storefront::overview::model::{Changes, GameId, NewOverview, Overview};

use crate::world::{World, act, game, stored};

const ACTS: usize = 600;
/// Few ids, so that acts meet.
const IDS: std::ops::Range<i32> = 1..25;

#[derive(Default)]
struct Model {
    games: BTreeMap<i32, Overview>,
    last: i32,
}

impl Model {
    fn create(&mut self, game: NewOverview) -> Create {
        let id = match game.game_id {
            Some(id) if self.games.contains_key(&id.0) => return Create::Taken,
            Some(id) => id.0,
            None => {
                self.last += 1;
                while self.games.contains_key(&self.last) {
                    self.last += 1;
                }
                self.last
            }
        };
        self.games.insert(id, stored(game, GameId(id)));
        Create::Created(GameId(id))
    }

    fn update(&mut self, id: i32, changes: Changes) -> Update {
        let Some(game) = self.games.get_mut(&id) else { return Update::Missing };
        if let Some(developer) = changes.developer {
            game.developer = developer;
        }
        if let Some(tags) = changes.tags {
            game.tags = tags;
        }
        Update::Updated
    }

    fn remove(&mut self, id: i32) -> Remove {
        self.games.remove(&id).map_or(Remove::Missing, |_| Remove::Removed)
    }
}

fn text(rng: &mut StdRng) -> String {
    (0..rng.random_range(0..12)).map(|_| rng.random_range(' '..'\u{3000}')).collect()
}

async fn step(rng: &mut StdRng, model: &mut Model, store: &dyn OverviewStore) {
    let id = rng.random_range(IDS);
    match rng.random_range(0..10) {
        0..=3 => {
            let wanted =
                NewOverview { developer: text(rng), ..game(rng.random_bool(0.5).then_some(id)) };
            assert_eq!(store.create(act(), wanted.clone()).await.unwrap(), model.create(wanted));
        }
        4..=5 => {
            let changes = Changes {
                developer: rng.random_bool(0.7).then(|| text(rng)),
                tags: rng.random_bool(0.5).then(|| vec![text(rng), text(rng)]),
                ..Changes::default()
            };
            let done = store.update(act(), GameId(id), changes.clone()).await.unwrap();
            assert_eq!(done, model.update(id, changes));
        }
        6 => assert_eq!(store.remove(act(), GameId(id)).await.unwrap(), model.remove(id)),
        _ => {
            let found = store.find(GameId(id), None).await.unwrap();
            assert_eq!(found.as_ref(), model.games.get(&id));
        }
    }
}

/// Two servers take turns; the seed is printed, and `STOREFRONT_TEST_SEED` replays it.
pub async fn any_sequence_of_operations_does_what_the_model_does(world: World) {
    let rng = &mut testkit::random::rng();
    let servers = [world.stores.overviews.clone(), world.another_server().await.overviews];
    let mut model = Model::default();
    for _ in 0..ACTS {
        let store = &servers[rng.random_range(0..2)];
        step(rng, &mut model, store.as_ref()).await;
    }
    let page = servers[0].page(None, 10_000, None).await.unwrap();
    assert_eq!(page.games.len(), model.games.len());
    for found in page.games {
        assert_eq!(Some(&found), model.games.get(&found.game_id.0));
    }
}
