//! The game pages in PostgreSQL.
//!
//! Here: pages of the catalogue, updates and removals, each one statement on a connection of the
//! pool. Most of the traffic is batched on connections of its own: finding games in [`find`],
//! creating them in [`create`]. What the database itself refuses becomes an outcome in [`mod@refusal`].
//! A row becomes a game in [`row`].
//! Not here: reads from a replica ([`super::replica`]) and bulk loads ([`super::loads`]).

mod create;
mod find;
mod refusal;
mod row;

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};

use self::create::CreateGames;
pub(super) use self::find::Finder;
use self::refusal::refusal;
pub(super) use self::row::overview;
use super::batch::{self, Batcher};
use super::connection::Connector;
use super::error::{driver, is_outdated};
use super::pool::{Pool, with_client};
use super::sequence::Sequence;
use super::session::Sql;
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
const REMOVE: Sql<'_> =
    Sql { text: "DELETE FROM overviews WHERE game_id = $1", types: &[Type::INT4] };
const FIND_ID: &str = "SELECT game_id FROM overviews WHERE game_id = $1";

pub(super) struct PostgresOverviews {
    find: Finder,
    create: Batcher<CreateGames>,
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
        with_client(&self.pool, context, move |client| async move {
            let (text, types, values) = update_of(&changes, &id.0);
            let statement = client.prepare_cached(Sql { text: &text, types: &types }).await?;
            // Without changes the statement is a query for the game's existence; either way there
            // is a row in its result for each game of that id.
            match client.execute(&statement, &values).await {
                Ok(0) => Ok(Update::Missing),
                Ok(_) => Ok(Update::Updated),
                Err(error) => refusal(&client, error, &changes).await.map(Update::Refused),
            }
        })
        .await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        with_client(&self.pool, context, move |client| async move {
            let statement = client.prepare_cached(REMOVE).await?;
            match client.execute(&statement, &[&id.0]).await {
                Ok(0) => Ok(Remove::Missing),
                Ok(_) => Ok(Remove::Removed),
                Err(error) => {
                    refusal(&client, error, &Changes::default()).await.map(Remove::Refused)
                }
            }
        })
        .await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.find.ping().await
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

/// The statement that changes what is given, of a game whose id comes last; at most 63 texts, so
/// that each can stay prepared. With nothing to change it only looks for the game.
fn update_of<'a>(
    changes: &'a Changes,
    id: &'a i32,
) -> (String, Vec<Type>, Vec<&'a (dyn ToSql + Sync)>) {
    let text = |value: &'a Option<String>| {
        value.as_ref().map(|value| (Type::TEXT, value as &(dyn ToSql + Sync)))
    };
    let columns = [
        ("game_name", text(&changes.game_name)),
        ("description", text(&changes.description)),
        ("release_date", text(&changes.release_date)),
        ("developer", text(&changes.developer)),
        ("publisher", text(&changes.publisher)),
        ("tags", changes.tags.as_ref().map(|tags| (Type::TEXT_ARRAY, tags as _))),
    ];
    let given = columns.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let (names, (mut types, mut values)): (Vec<_>, (Vec<_>, Vec<_>)) = given.unzip();
    types.push(Type::INT4);
    values.push(id);
    if names.is_empty() {
        return (FIND_ID.to_owned(), types, values);
    }
    let set: Vec<_> =
        names.iter().enumerate().map(|(n, name)| format!("{name} = ${}", n + 1)).collect();
    let sql = format!("UPDATE overviews SET {} WHERE game_id = ${}", set.join(", "), values.len());
    (sql, types, values)
}
