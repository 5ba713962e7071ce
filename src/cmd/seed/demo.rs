//! The demo data: games with something in stock of each.

use std::collections::BTreeMap;

use anyhow::Context;
use futures::stream::{self, StreamExt, TryStreamExt};
use storefront_seed::{Generator, Offer};

use crate::cart::model::{Amount, Item, ItemId};
use crate::db::Stores;
use crate::db::storage::{ActContext, Contents};

/// The demo games are the first of what `seed` makes without `--seed`.
pub(super) const DEFAULT_SEED: u64 = 1;
const GAMES: i32 = 1_000;
/// Calls to the store at once; the embedded backend commits them in batches.
const CONCURRENCY: usize = 64;

/// Puts the demo games and their stock into a store without games, and nothing into any other.
pub(in crate::cmd) async fn demo(stores: &Stores) -> anyhow::Result<()> {
    if stores.loads.contents().await? != Contents::Empty {
        return Ok(());
    }
    let generator = Generator::new(DEFAULT_SEED);
    // The stock first: a start that is killed in between leaves a store without games, so that the
    // next one does both again and no game is left without stock.
    put_stock(stores, generator).await.context("cannot store the stock of the demo games")?;
    let games = (1..=GAMES).map(|id| generator.game(id).into()).collect();
    if stores.loads.install_demo(games).await.context("cannot store the demo games")? {
        tracing::info!(games = GAMES, "demo games are in the store");
    }
    Ok(())
}

/// Stores for each game the item of the same number. Existing items stay as they are.
async fn put_stock(stores: &Stores, generator: Generator) -> anyhow::Result<()> {
    let missing: Vec<i32> = stream::iter(1..=GAMES)
        .map(async |id| anyhow::Ok((id, stores.stock.find_item(&item(id)).await?.is_none())))
        .buffered(CONCURRENCY)
        .try_filter_map(async |(id, missing)| Ok(missing.then_some(id)))
        .try_collect()
        .await?;
    let mut offers: BTreeMap<Offer, Vec<ItemId>> = BTreeMap::new();
    for id in missing {
        offers.entry(generator.offer(id)).or_default().push(item(id));
    }
    stream::iter(offers)
        .map(Ok)
        .try_for_each_concurrent(CONCURRENCY, async |(offer, items)| {
            Ok(stores.fixtures.put_items(ActContext::new(), items, amounts(offer)).await??)
        })
        .await
}

fn item(game_id: i32) -> ItemId {
    ItemId::numbered(u64::from(game_id.unsigned_abs()))
}

fn amounts(offer: Offer) -> Item {
    let amount = |value| Amount::new(value).unwrap_or(Amount::MAX);
    Item { stock: amount(offer.stock), price: amount(offer.price) }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::database::{Database, Url};
    use crate::db::{self, MigrationPolicy};
    use crate::telemetry::Registry;

    async fn new_store() -> (TempDir, Stores) {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Embedded(folder.path().join("games.db"));
        let database = Database { url, named: true };
        let stores = db::connect(&database, MigrationPolicy::Migrate, &Registry::default()).await;
        (folder, stores.unwrap())
    }

    async fn found(stores: &Stores, game_id: i32) -> Option<Item> {
        stores.stock.find_item(&item(game_id)).await.unwrap()
    }

    #[tokio::test]
    async fn every_demo_game_has_its_offer() {
        let (_folder, stores) = new_store().await;
        demo(&stores).await.unwrap();
        assert_eq!(stores.loads.contents().await.unwrap(), Contents::Demo);
        let generator = Generator::new(DEFAULT_SEED);
        for id in 1..=GAMES {
            assert_eq!(found(&stores, id).await, Some(amounts(generator.offer(id))), "{id}");
        }
        assert_eq!(found(&stores, GAMES + 1).await, None);
    }

    #[tokio::test]
    async fn demo_data_that_has_sold_stock_still_counts_as_demo_data() {
        let (_folder, stores) = new_store().await;
        demo(&stores).await.unwrap();
        let stock = &stores.stock;
        stock.subtract_stock(ActContext::new(), item(1), Amount::ONE).await.unwrap().unwrap();
        assert_eq!(stores.loads.contents().await.unwrap(), Contents::Demo);
        let sold = found(&stores, 1).await;
        demo(&stores).await.unwrap();
        assert_eq!(found(&stores, 1).await, sold, "a second start changes no stock");
    }

    #[tokio::test]
    async fn a_start_that_was_killed_before_the_games_is_completed_and_keeps_existing_items() {
        let (_folder, stores) = new_store().await;
        let own = Item { stock: Amount::ONE, price: Amount::MAX };
        stores.fixtures.put_items(ActContext::new(), vec![item(7)], own).await.unwrap().unwrap();
        demo(&stores).await.unwrap();
        assert_eq!(found(&stores, 7).await, Some(own));
        assert!(found(&stores, 8).await.is_some());
    }
}
