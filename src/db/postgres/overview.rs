//! The game pages in PostgreSQL.

use async_trait::async_trait;
use deadpool_postgres::Pool;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::batch::Batcher;
use super::connection::{Connector, act};
use super::counter::Counter;
use super::create::CreateGames;
use super::find::Finder;
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, StorageError, Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const PAGE: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id > $1::bigint ORDER BY game_id LIMIT $2";
/// Every row, for digests.
pub(super) const ALL: &str = "SELECT game_id, game_name, description, release_date, developer, \
                              publisher, tags FROM overviews";
const REMOVE: &str = "DELETE FROM overviews WHERE game_id = $1";
const EXISTS: &str = "SELECT EXISTS (SELECT FROM overviews WHERE game_id = $1)";

pub(super) struct PostgresOverviews {
    find: Finder,
    create: Batcher<CreateGames>,
    pool: Pool,
}

impl PostgresOverviews {
    pub(super) fn new(connector: &Connector, counter: Counter) -> Result<Self, StorageError> {
        Ok(Self {
            find: Finder::start(connector),
            create: Batcher::start(connector, CreateGames { counter }),
            pool: connector.pool()?,
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
        self.create.ask(context, game).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let found = act(&self.pool, context, move |connection| async move {
            let (sql, values) = update_of(changes);
            let statement = connection.prepare_cached(&sql).await?;
            if values.is_empty() {
                return connection.query_one(&statement, &[&id.0]).await?.try_get(0);
            }
            let values = values.iter().map(|value| &**value as &(dyn ToSql + Sync));
            let values: Vec<_> = values.chain([&id.0 as &(dyn ToSql + Sync)]).collect();
            Ok(connection.execute(&statement, &values).await? > 0)
        })
        .await?;
        Ok(if found { Update::Updated } else { Update::Missing })
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        let removed = act(&self.pool, context, move |connection| async move {
            let statement = connection.prepare_cached(REMOVE).await?;
            connection.execute(&statement, &[&id.0]).await
        })
        .await?;
        Ok(if removed == 0 { Remove::Missing } else { Remove::Removed })
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
    let mut games: Vec<Overview> = act(pool, ActContext::new(), move |connection| async move {
        let statement = connection.prepare_cached(PAGE).await?;
        let rows = connection.query(&statement, &[&start, &one_more]).await?;
        rows.iter().map(overview).collect()
    })
    .await?;
    let more = games.len() > limit as usize;
    games.truncate(limit as usize);
    let last = games.last().map(|game| Cursor(game.game_id)).or(after);
    Ok(Page { games, next: last.filter(|_| more) })
}

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// The statement that changes what is given, of a game whose id comes last; at most 63 texts. With
/// nothing to change it only tells whether the game exists.
fn update_of(changes: Changes) -> (String, Values) {
    let text = |value: Option<String>| value.map(|v| Box::new(v) as Box<dyn ToSql + Sync + Send>);
    let columns = [
        ("game_name", text(changes.game_name)),
        ("description", text(changes.description)),
        ("release_date", text(changes.release_date)),
        ("developer", text(changes.developer)),
        ("publisher", text(changes.publisher)),
        ("tags", changes.tags.map(|tags| Box::new(tags) as _)),
    ];
    let given = columns.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let (names, values): (Vec<_>, Values) = given.unzip();
    if names.is_empty() {
        return (EXISTS.to_owned(), values);
    }
    let set: Vec<_> =
        names.iter().enumerate().map(|(n, name)| format!("{name} = ${}", n + 1)).collect();
    let id = names.len() + 1;
    (format!("UPDATE overviews SET {} WHERE game_id = ${id}", set.join(", ")), values)
}

/// A row of [`PAGE`], [`ALL`] or of a find.
pub(super) fn overview(row: &Row) -> Result<Overview, Error> {
    // An older table may hold null in place of no tags, and even null for a tag.
    let tags: Option<Vec<Option<String>>> = row.try_get(6)?;
    Ok(Overview {
        game_id: GameId(row.try_get(0)?),
        game_name: row.try_get(1)?,
        description: row.try_get(2)?,
        release_date: row.try_get(3)?,
        developer: row.try_get(4)?,
        publisher: row.try_get(5)?,
        tags: tags.into_iter().flatten().flatten().collect(),
    })
}
