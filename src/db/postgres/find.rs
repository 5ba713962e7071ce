//! Finding games, many by one query.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio_postgres::{Client, Error, Statement};

use super::batch::Batch;
use super::overview::overview;
use crate::overview::model::{GameId, Overview};

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = ANY($1)";

/// Point reads.
pub(super) struct Find;

#[async_trait]
impl Batch for Find {
    type Ask = GameId;
    type Answer = Option<Overview>;
    type Statements = Statement;
    const MOST: usize = 64;

    async fn prepare(&self, client: &Client) -> Result<Statement, Error> {
        client.prepare(FIND).await
    }

    async fn run(
        &self,
        client: &Client,
        statement: &Statement,
        asks: &[GameId],
    ) -> Result<Vec<Option<Overview>>, Error> {
        let ids: Vec<i32> = asks.iter().map(|id| id.0).collect();
        let mut rows = std::pin::pin!(client.query_raw(statement, [&ids]).await?);
        let mut found = HashMap::with_capacity(ids.len());
        while let Some(row) = rows.try_next().await? {
            let game = overview(&row)?;
            found.insert(game.game_id, game);
        }
        Ok(give(asks, found))
    }
}

/// To each its game; the last who asks for one gets it without a copy.
fn give(asks: &[GameId], mut found: HashMap<GameId, Overview>) -> Vec<Option<Overview>> {
    let mut left: HashMap<GameId, usize> = HashMap::with_capacity(asks.len());
    for id in asks {
        *left.entry(*id).or_default() += 1;
    }
    let mut answer = |id: &GameId| {
        let left = left.get_mut(id)?;
        *left -= 1;
        if *left == 0 { found.remove(id) } else { found.get(id).cloned() }
    };
    asks.iter().map(&mut answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use storefront_seed::Generator;

    #[test]
    fn everyone_gets_what_was_asked_for() {
        let game = |id| Overview::from(Generator::new(1).game(id));
        let found = [1, 2].map(|id| (GameId(id), game(id))).into();
        let answers = give(&[2, 3, 1, 2].map(GameId), found);
        assert_eq!(answers, [Some(game(2)), None, Some(game(1)), Some(game(2))]);
    }
}
