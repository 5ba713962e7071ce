//! Finding games, many by one query.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::overview;
use crate::db::postgres::batch::{self, Batch, Batcher};
use crate::db::postgres::connection::Connector;
use crate::db::postgres::error::storage;
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::storage::{ActContext, StorageError};
use crate::overview::model::{GameId, Overview};

const FIND: Sql<'_> = Sql {
    text: "SELECT game_id, game_name, description, release_date, developer, publisher, tags \
           FROM overviews WHERE game_id = ANY($1)",
    types: &[Type::INT4_ARRAY],
};

/// A response is a row, shared by all who asked for it and decoded by each in its own task, so that
/// the next query need not wait for that.
struct Find;

#[async_trait]
impl Batch for Find {
    type Request = GameId;
    type Response = Option<Arc<Row>>;
    type Statements = Prepared;
    const LIMIT: usize = 64;

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(FIND).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        requests: &[&GameId],
        responses: &mut [Option<Option<Arc<Row>>>],
    ) -> Result<(), Error> {
        let ids: Vec<i32> = requests.iter().map(|id| id.0).collect();
        let mut found = Vec::with_capacity(ids.len());
        for row in client.query(statement, &[&ids]).await? {
            found.push((row.try_get(0)?, Arc::new(row)));
        }
        batch::fill(responses, distribute(&ids, found));
        Ok(())
    }
}

/// For each id what was found under it; ids may repeat.
fn distribute<T: Clone>(ids: &[i32], mut found: Vec<(i32, T)>) -> Vec<Option<T>> {
    found.sort_unstable_by_key(|(id, _)| *id);
    let of = |id: &i32| {
        let index = found.binary_search_by_key(id, |(id, _)| *id).ok()?;
        Some(found[index].1.clone())
    };
    ids.iter().map(of).collect()
}

/// Two workers, one for odd ids and one for even ones: while one waits for the server, requests of
/// the other are sent.
pub(in crate::db::postgres) struct Finder([Batcher<Find>; 2]);

impl Finder {
    pub(in crate::db::postgres) fn start(connector: &Connector) -> Self {
        Self([batch::start(connector, Find), batch::start(connector, Find)])
    }

    /// The game of that id.
    pub(in crate::db::postgres) async fn game(
        &self,
        id: GameId,
    ) -> Result<Option<Overview>, StorageError> {
        let row = self.0[(id.0 & 1) as usize].submit(ActContext::new(), id).await?;
        row.as_deref().map(overview).transpose().map_err(storage)
    }

    /// Succeeds if the server answers; the id need not exist.
    pub(in crate::db::postgres) async fn ping(&self) -> Result<(), StorageError> {
        self.0[0].submit(ActContext::new(), GameId(1)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_gets_the_row_of_its_id() {
        let answers = distribute(&[2, 3, 1, 2], vec![(2, "two"), (1, "one")]);
        assert_eq!(answers, [Some("two"), None, Some("one"), Some("two")]);
    }
}
