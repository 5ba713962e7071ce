//! Finding games, many by one query.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio_postgres::{Client, Error, Row, Statement};

use super::batch::{Batch, Batcher};
use super::connection::Connector;
use super::error::storage;
use super::overview::overview;
use crate::db::storage::{ActContext, StorageError};
use crate::overview::model::{GameId, Overview};

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = ANY($1)";

/// An answer is a row, shared by all who asked for it and read by each in its own
/// task, so that the next query need not wait for that.
struct Find;

#[async_trait]
impl Batch for Find {
    type Ask = GameId;
    type Answer = Option<Arc<Row>>;
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
    ) -> Result<Vec<Option<Arc<Row>>>, Error> {
        let ids: Vec<i32> = asks.iter().map(|id| id.0).collect();
        let mut rows = std::pin::pin!(client.query_raw(statement, [&ids]).await?);
        let mut found = Vec::with_capacity(ids.len());
        while let Some(row) = rows.try_next().await? {
            found.push((row.try_get(0)?, Arc::new(row)));
        }
        Ok(give(&ids, found))
    }
}

/// To each what belongs to its id.
fn give<T: Clone>(ids: &[i32], mut found: Vec<(i32, T)>) -> Vec<Option<T>> {
    found.sort_unstable_by_key(|(id, _)| *id);
    let of = |id: &i32| {
        let place = found.binary_search_by_key(id, |(id, _)| *id).ok()?;
        Some(found[place].1.clone())
    };
    ids.iter().map(of).collect()
}

/// Two that find, one odd ids and one even: while one waits for its query the other's is under way.
pub(super) struct Finder([Batcher<Find>; 2]);

impl Finder {
    pub(super) fn start(connector: &Connector) -> Self {
        Self([Batcher::start(connector, Find), Batcher::start(connector, Find)])
    }

    /// The game of that id.
    pub(super) async fn game(&self, id: GameId) -> Result<Option<Overview>, StorageError> {
        let row = self.0[(id.0 & 1) as usize].ask(ActContext::new(), id).await?;
        row.as_deref().map(overview).transpose().map_err(storage)
    }

    /// Whether the server answers, whatever it has.
    pub(super) async fn ping(&self) -> Result<(), StorageError> {
        self.0[0].ask(ActContext::new(), GameId(1)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_what_was_asked_for() {
        let answers = give(&[2, 3, 1, 2], vec![(2, "two"), (1, "one")]);
        assert_eq!(answers, [Some("two"), None, Some("one"), Some("two")]);
    }
}
