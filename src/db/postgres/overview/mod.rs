//! The game pages in PostgreSQL.
//!
//! Here: pages of the catalogue, each one statement on a connection of the pool. Most of the traffic
//! is batched on connections of its own: finding games in [`find`], creating them in [`create`], changing
//! and removing them in [`change`]; the values of a group of games are in [`columns`]. What the
//! database itself refuses becomes an outcome in [`mod@refusal`]. A row becomes a game in [`row`].
//! Not here: reads from a replica ([`super::replica`]) and bulk loads ([`super::loads`]).

mod change;
mod columns;
mod create;
mod find;
mod refusal;
mod row;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use self::change::{Change, ChangeGames, Changed, change_if};
use self::create::CreateGames;
pub(super) use self::find::Finder;
pub(super) use self::row::overview;
use super::batch::{self, Batcher};
use super::connection::Connector;
use super::error::{driver, is_outdated};
use super::idempotency::once;
use super::pool::{Pool, with_client};
use super::sequence::Sequence;
use super::session::{PgSession, Sql};
use crate::db::common::page::cut;
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, StorageError, Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const PAGE: Sql<'_> = Sql {
    text: "SELECT game_id, game_name, description, release_date, developer, publisher, tags \
           FROM overviews WHERE game_id > $1::bigint ORDER BY game_id LIMIT $2",
    types: &[Type::INT8, Type::INT8],
};
/// Every row, for digests.
pub(super) const ALL: &str = "SELECT game_id, game_name, description, release_date, developer, \
                              publisher, tags FROM overviews";

pub(super) struct PostgresOverviews {
    find: Finder,
    create: Batcher<CreateGames>,
    change: Batcher<ChangeGames>,
    pool: Pool,
}

impl PostgresOverviews {
    /// `pool` is how many connections it gets besides those of the batches.
    pub(super) fn new(
        connector: &Connector,
        sequence: Sequence,
        pool: usize,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            find: Finder::start(connector),
            create: batch::start(connector, CreateGames { sequence }),
            change: batch::start(connector, ChangeGames),
            pool: Pool::new(connector, pool)?,
        })
    }
}

#[async_trait]
impl OverviewStore for PostgresOverviews {
    async fn find(
        &self,
        id: GameId,
        _seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        self.find.game(id).await
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        page(&self.pool, after, limit).await
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        self.create.submit(context, game).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        if changes == Changes::default() {
            return Ok(match self.find.game(id).await? {
                None => Update::Missing,
                Some(game)
                    if context.precondition().is_none_or(|condition| condition.holds(&game)) =>
                {
                    Update::Updated
                }
                Some(_) => Update::PreconditionFailed,
            });
        }
        self.change(context, Change::Update(id, changes)).await.map(Update::from)
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        self.change(context, Change::Remove(id)).await.map(Remove::from)
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.find.ping().await
    }
}

impl PostgresOverviews {
    /// With the others that come at the same time; one with a condition alone.
    async fn change(&self, context: ActContext, change: Change) -> Result<Changed, StorageError> {
        let Some(precondition) = context.precondition().cloned() else {
            return self.change.submit(context, change).await;
        };
        let key = context.key().cloned();
        with_client(&self.pool, context, move |client| async move {
            let change = async |client: &PgSession| change_if(client, &change, &precondition).await;
            once(&client, key.as_ref(), change).await
        })
        .await
    }
}

/// A page of the catalogue, ascending by id.
pub(super) async fn page(
    pool: &Pool,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Page, StorageError> {
    let start = after.map_or(i64::MIN, |Cursor(id)| i64::from(id.0));
    let one_more = i64::from(limit) + 1;
    let read = || {
        with_client(pool, ActContext::new(), move |client| async move {
            let statement = client.prepare_cached(PAGE).await?;
            let rows = client.query(&statement, &[&start, &one_more]).await?;
            rows.iter().map(overview).collect()
        })
    };
    let games = match read().await {
        // Outdated statements were closed with their connections; a new one prepares it anew.
        Err(error) if driver(&error).is_some_and(is_outdated) => read().await,
        games => games,
    };
    Ok(cut(games?, after, limit))
}
