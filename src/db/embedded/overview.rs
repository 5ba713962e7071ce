//! The game pages in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::reader::Readers;
use super::writer::Writer;
use crate::db::common::id_search::{IdSearch, TRIES_BEFORE_SEARCH};
use crate::db::common::page::cut;
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, Precondition, ReadToken, Remove, StorageError,
    Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = ?1";
const PAGE: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id > ?1 ORDER BY game_id LIMIT ?2";
/// Every row, for digests.
pub(super) const ALL: &str = "SELECT game_id, game_name, description, release_date, developer, \
                              publisher, tags FROM overviews";
/// Changes nothing if the id is taken.
pub(super) const INSERT: &str = "INSERT INTO overviews (game_id, game_name, description, \
                                 release_date, developer, publisher, tags) \
                                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
const TAKE_ID: &str = "UPDATE counters SET next = next + 1 \
                       WHERE name = 'game_id' AND next <= 2147483647 RETURNING next - 1";
const MOVE_COUNTER: &str = "UPDATE counters SET next = ?1 WHERE name = 'game_id'";
const REMOVE: &str = "DELETE FROM overviews WHERE game_id = ?1";
const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM overviews WHERE game_id = ?1)";

pub(super) struct EmbeddedOverviews {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
}

impl EmbeddedOverviews {
    pub(super) const fn new(writer: Arc<Writer>, readers: Arc<Readers>) -> Self {
        Self { writer, readers }
    }
}

#[async_trait]
impl OverviewStore for EmbeddedOverviews {
    async fn find(
        &self,
        id: GameId,
        _seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        self.readers.with(|c| find(c, id))
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        let start = after.map_or(i64::MIN, |Cursor(id)| i64::from(id.0));
        let games = self.readers.with(|c| {
            c.prepare_cached(PAGE)?
                .query_map(params![start, i64::from(limit) + 1], overview)?
                .collect()
        })?;
        Ok(cut(games, after, limit))
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        self.writer.submit(context, move |c| create(c, &game)).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let precondition = context.precondition().cloned();
        self.writer
            .submit(context, move |c| match tested(c, id, precondition.as_ref())? {
                Tested::Holds => update(c, id, changes),
                Tested::Fails => Ok(Update::PreconditionFailed),
                Tested::Missing => Ok(Update::Missing),
            })
            .await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        let precondition = context.precondition().cloned();
        self.writer
            .submit(context, move |c| match tested(c, id, precondition.as_ref())? {
                Tested::Holds => remove(c, id),
                Tested::Fails => Ok(Remove::PreconditionFailed),
                Tested::Missing => Ok(Remove::Missing),
            })
            .await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.writer.check()?;
        self.readers.check()?;
        self.readers.with(|c| c.prepare_cached(EXISTS)?.query_row([1], |_| Ok(())))
    }
}

fn find(c: &Connection, id: GameId) -> rusqlite::Result<Option<Overview>> {
    c.prepare_cached(FIND)?.query_row([id.0], overview).optional()
}

/// What a precondition says of a game.
enum Tested {
    Holds,
    Fails,
    Missing,
}

/// Tests a precondition in the transaction of the change. Without one the change itself finds out
/// whether there is such a game.
fn tested(
    c: &Connection,
    id: GameId,
    precondition: Option<&Precondition>,
) -> rusqlite::Result<Tested> {
    let Some(precondition) = precondition else { return Ok(Tested::Holds) };
    Ok(match find(c, id)? {
        None => Tested::Missing,
        Some(game) if precondition.holds(&game) => Tested::Holds,
        Some(_) => Tested::Fails,
    })
}

fn create(connection: &Connection, game: &NewOverview) -> rusqlite::Result<Create> {
    let mut insert = connection.prepare_cached(INSERT)?;
    let mut insert = |id: i32| {
        let tags = json(&game.tags);
        insert.execute(params![
            id,
            game.game_name,
            game.description,
            game.release_date,
            game.developer,
            game.publisher,
            tags
        ])
    };
    if let Some(id) = game.game_id {
        return Ok(if insert(id.0)? == 0 { Create::Taken } else { Create::Created(id) });
    }
    let mut take_id = connection.prepare_cached(TAKE_ID)?;
    for tried in 1.. {
        let taken: Option<i32> = take_id.query_row((), |row| row.get(0)).optional()?;
        let Some(id) = taken else { break };
        if insert(id)? > 0 {
            return Ok(Create::Created(GameId(id)));
        }
        if tried % TRIES_BEFORE_SEARCH == 0 {
            skip_run(connection, id)?;
        }
    }
    Ok(Create::Exhausted)
}

/// Moves the counter behind the run of taken ids that an id is in.
fn skip_run(connection: &Connection, taken: i32) -> rusqlite::Result<()> {
    let mut exists = connection.prepare_cached(EXISTS)?;
    let mut search = IdSearch::after(taken);
    while let Some(id) = search.probe() {
        search.record(id, exists.query_row([id], |row| row.get(0))?);
    }
    connection.prepare_cached(MOVE_COUNTER)?.execute([search.next_free_id()]).map(drop)
}

fn update(connection: &Connection, id: GameId, changes: Changes) -> rusqlite::Result<Update> {
    let columns = [
        ("game_name", changes.game_name),
        ("description", changes.description),
        ("release_date", changes.release_date),
        ("developer", changes.developer),
        ("publisher", changes.publisher),
        ("tags", changes.tags.as_deref().map(json)),
    ];
    let given: Vec<_> = columns.into_iter().filter_map(|(name, v)| Some((name, v?))).collect();
    let found = if given.is_empty() {
        connection.prepare_cached(EXISTS)?.query_row([id.0], |row| row.get(0))?
    } else {
        // At most 63 texts, one for each set of columns.
        let set: Vec<_> = given.iter().map(|(name, _)| format!("{name} = ?")).collect();
        let sql = format!("UPDATE overviews SET {} WHERE game_id = ?", set.join(", "));
        let values = given.into_iter().map(|(_, value)| Value::from(value));
        let values = values.chain([Value::from(id.0)]);
        connection.prepare_cached(&sql)?.execute(params_from_iter(values))? > 0
    };
    Ok(if found { Update::Updated } else { Update::Missing })
}

fn remove(c: &Connection, id: GameId) -> rusqlite::Result<Remove> {
    let removed = c.prepare_cached(REMOVE)?.execute([id.0])?;
    Ok(if removed == 0 { Remove::Missing } else { Remove::Removed })
}

/// Tags as they are stored.
pub(super) fn json(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

/// A row of [`FIND`], [`PAGE`] or [`ALL`].
pub(super) fn overview(row: &Row<'_>) -> rusqlite::Result<Overview> {
    let tags = row.get_ref(6)?.as_str_or_null()?.map_or(Ok(Vec::new()), serde_json::from_str);
    Ok(Overview {
        game_id: GameId(row.get(0)?),
        game_name: row.get(1)?,
        description: row.get(2)?,
        release_date: row.get(3)?,
        developer: row.get(4)?,
        publisher: row.get(5)?,
        tags: tags.map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, e.into())
        })?,
    })
}
