//! The game pages in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::reader::Readers;
use super::writer::Writer;
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, StorageError, Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = ?1";
const PAGE: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id > ?1 ORDER BY game_id LIMIT ?2";
/// Every row, for digests.
pub(super) const ALL: &str = "SELECT game_id, game_name, description, release_date, developer, \
                              publisher, tags FROM overviews";
/// Leaves a row that is there alone, and then changes nothing.
pub(super) const INSERT: &str = "INSERT INTO overviews (game_id, game_name, description, \
                                 release_date, developer, publisher, tags) \
                                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
const TAKE_ID: &str = "UPDATE counters SET next = next + 1 \
                       WHERE name = 'game_id' AND next <= 2147483647 RETURNING next - 1";
const MOVE_COUNTER: &str = "UPDATE counters SET next = ?1 WHERE name = 'game_id'";
/// Taken ids in a row that are tried one by one.
const STEPS_BEFORE_LEAP: u32 = 32;
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
        self.readers.with(|c| c.prepare_cached(FIND)?.query_row([id.0], overview).optional())
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        let start = after.map_or(i64::MIN, |Cursor(id)| i64::from(id.0));
        let mut games: Vec<Overview> = self.readers.with(|c| {
            c.prepare_cached(PAGE)?
                .query_map(params![start, i64::from(limit) + 1], overview)?
                .collect()
        })?;
        let more = games.len() > limit as usize;
        games.truncate(limit as usize);
        let last = games.last().map(|game| Cursor(game.game_id)).or(after);
        Ok(Page { games, next: last.filter(|_| more) })
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
        self.writer.submit(context, move |c| update(c, id, changes)).await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        let removed =
            self.writer.submit(context, move |c| c.prepare_cached(REMOVE)?.execute([id.0])).await?;
        Ok(if removed == 0 { Remove::Missing } else { Remove::Removed })
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.writer.check()?;
        self.readers.with(|c| c.prepare_cached(EXISTS)?.query_row([1], |_| Ok(())))
    }
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
        if tried % STEPS_BEFORE_LEAP == 0 {
            leap(connection, id)?;
        }
    }
    Ok(Create::Exhausted)
}

/// Moves the counter from a taken id behind the run of taken ids that it is in, in as many steps
/// as the run's length has binary digits: millions of games may have been created under ids of
/// their own. Free ids on the way may be passed over.
fn leap(connection: &Connection, from: i32) -> rusqlite::Result<()> {
    let mut exists = connection.prepare_cached(EXISTS)?;
    let mut is_taken = |id: i32| exists.query_row([id], |row| row.get::<_, bool>(0));
    let (mut taken, mut stride) = (from, 1);
    let mut free = loop {
        let id = taken.saturating_add(stride);
        if id == taken {
            return Ok(());
        }
        if !is_taken(id)? {
            break id;
        }
        (taken, stride) = (id, stride.saturating_mul(2));
    };
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        *(if is_taken(middle)? { &mut taken } else { &mut free }) = middle;
    }
    connection.prepare_cached(MOVE_COUNTER)?.execute([free]).map(drop)
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
