//! Loading many games into SQLite, and looking at all of them.
//!
//! A load has a connection of its own, so that the writer's statements and settings stay as they
//! are; it takes the file's write lock for one chunk at a time.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::error::storage;
use super::identity::FileIdentity;
use super::overview::{ALL, INSERT, json, overview};
use super::{blocking, connection};
use crate::db::MigrationPolicy;
use crate::db::common::id_search::ID_LIMIT;
use crate::db::common::load_plan::LoadPlan;
use crate::db::storage::{
    Begin, Chunk, Contents, Digest, Digester, ErrorKind, Inspection, Load, LoadParams, LoadStore,
    NewLoad, StorageError,
};
use crate::overview::model::Overview;

/// Large enough that a commit's cost does not show, small enough that a server that shares the file
/// waits a fraction of a second for the write lock.
const LOAD_PARAMS: LoadParams =
    LoadParams { chunk: 20_000, in_flight: 1, finish_may_be_dropped: false };

pub(super) struct EmbeddedLoads {
    path: PathBuf,
    identity: Arc<FileIdentity>,
    /// Opened by the first load; a server needs it only to install demo games.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl EmbeddedLoads {
    pub(super) fn new(path: PathBuf, identity: Arc<FileIdentity>) -> Self {
        Self { path, identity, connection: Arc::default() }
    }

    /// Runs one IMMEDIATE transaction, synced to disk when this ends.
    async fn transaction<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.transaction_of(Sync::AtCommit, statements).await
    }

    /// Reads on a connection of its own, without any lock.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let path = self.path.clone();
        blocking(move || read(&connection::open_for_reading(&path)?).map_err(storage)).await
    }

    async fn transaction_of<T: Send + 'static>(
        &self,
        synced: Sync,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.connection));
        let identity = Arc::clone(&self.identity);
        blocking(move || {
            let mut slot = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                identity.check()?;
                let opened = connection::open(&path, MigrationPolicy::Require)?;
                *slot = Some(connection::tuned_for_loads(opened)?);
            }
            let connection = slot.as_mut().ok_or_else(gone)?;
            connection.pragma_update(None, "synchronous", synced.pragma()).map_err(storage)?;
            let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
            let transaction = begun.map_err(storage)?;
            let outcome = statements(&transaction).map_err(storage)?;
            transaction.commit().map_err(storage)?;
            // After the commit: a file that was replaced before it has not got the rows.
            identity.check()?;
            Ok(outcome)
        })
        .await
    }
}

/// When a commit is synced to disk. A crash of the machine may undo the last chunks that were not
/// synced, each whole and together with its record, so that the load is resumed before them.
#[derive(Clone, Copy)]
enum Sync {
    AtCommit,
    AtCheckpoint,
}

impl Sync {
    const fn pragma(self) -> &'static str {
        match self {
            Self::AtCommit => "FULL",
            Self::AtCheckpoint => "NORMAL",
        }
    }
}

fn gone() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the loading connection is gone")
}

#[async_trait]
impl LoadStore for EmbeddedLoads {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.read(contents).await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        self.transaction(move |t| begin(t, load)).await
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        let id = load.id;
        self.transaction_of(Sync::AtCheckpoint, move |t| write(t, id, &chunk)).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let id = load.id;
        let range = self.transaction(move |t| extend(t, id, rows)).await?;
        range.ok_or_else(|| StorageError::new(ErrorKind::Invalid, "there are no further ids"))
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        let id = load.id;
        self.transaction(move |t| {
            t.execute("UPDATE loads SET finished = 1 WHERE id = ?1", [id]).map(drop)
        })
        .await
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        self.transaction(move |t| install_demo(t, &games)).await
    }
}

#[async_trait]
impl Inspection for EmbeddedLoads {
    async fn digest(&self) -> Result<Digest, StorageError> {
        self.read(|c| digest(c, ALL)).await
    }

    async fn bytes(&self) -> Result<u64, StorageError> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        let bytes: i64 = self.read(move |c| c.query_row(sql, (), |row| row.get(0))).await?;
        Ok(bytes.cast_unsigned())
    }
}

fn contents(t: &Connection) -> rusqlite::Result<Contents> {
    if let Some(load) = open_load(t)? {
        return Ok(Contents::Interrupted(load));
    }
    let (games, demo): (bool, Option<String>) = t.query_row(
        "SELECT EXISTS (SELECT 1 FROM overviews), (SELECT value FROM marks WHERE name = 'demo')",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(match demo {
        _ if !games => Contents::Empty,
        Some(mark) if is_marked(t, &mark)? => Contents::Demo,
        _ => Contents::Games,
    })
}

/// Whether the games are those that were marked, and no other.
fn is_marked(t: &Connection, mark: &str) -> rusqlite::Result<bool> {
    let rows: u64 = mark.split(' ').next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
    Ok(mark_of(digest(t, &format!("{ALL} LIMIT {}", rows + 1))?) == mark)
}

fn mark_of(digest: Digest) -> String {
    format!("{} {digest}", digest.rows)
}

fn begin(t: &Transaction<'_>, load: NewLoad) -> rusqlite::Result<Begin> {
    match LoadPlan::new(contents(t)?, load) {
        LoadPlan::Refuse(answer) => return Ok(answer),
        LoadPlan::ReplaceAll | LoadPlan::ReplaceDemo => empty(t)?,
        LoadPlan::Add => {}
    }
    let Some(range) = reserve(t, load.rows)? else {
        return Ok(Begin::Exhausted);
    };
    t.execute("DELETE FROM marks WHERE name = 'demo'", ())?;
    t.execute(
        "INSERT INTO loads (seed, wanted, written, next_id, end_id, finished) \
         VALUES (?1, ?2, 0, ?3, ?4, 0)",
        params![load.seed.cast_signed(), load.rows.cast_signed(), range.start, range.end],
    )?;
    let NewLoad { seed, rows, .. } = load;
    let pending = vec![range];
    Ok(Begin::Started(Load { id: t.last_insert_rowid(), seed, rows, written: 0, pending }))
}

fn install_demo(t: &Transaction<'_>, games: &[Overview]) -> rusqlite::Result<bool> {
    // In a store that was emptied the first ids have been used.
    let next: i64 =
        t.query_row("SELECT next FROM counters WHERE name = 'game_id'", (), |row| row.get(0))?;
    let ids_are_next = games.first().is_some_and(|game| i64::from(game.game_id.0) == next);
    if contents(t)? != Contents::Empty || !ids_are_next {
        return Ok(false);
    }
    reserve(t, games.len() as u64)?;
    let rows = insert(t, games)?;
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    let mark = mark_of(digester.finish());
    t.execute("INSERT OR REPLACE INTO marks (name, value) VALUES ('demo', ?1)", [mark])?;
    Ok(rows > 0)
}

/// Empties the store and resets its counter, because nothing that had an id is left.
fn empty(t: &Transaction<'_>) -> rusqlite::Result<()> {
    t.execute_batch(
        "DELETE FROM overviews; DELETE FROM loads; DELETE FROM marks; \
         UPDATE counters SET next = 1 WHERE name = 'game_id'",
    )
}

/// Takes the next ids from the counter, or none at all if there are not that many.
fn reserve(t: &Transaction<'_>, rows: u64) -> rusqlite::Result<Option<Range<i64>>> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX).min(ID_LIMIT);
    let sql = "UPDATE counters SET next = next + ?1 \
               WHERE name = 'game_id' AND next + ?1 <= ?2 RETURNING next - ?1, next";
    t.query_row(sql, [rows, ID_LIMIT], |row| Ok(row.get(0)?..row.get(1)?)).optional()
}

fn write(t: &Transaction<'_>, load: i64, chunk: &Chunk) -> rusqlite::Result<u64> {
    let rows = insert(t, &chunk.games)?;
    let moved = t.execute(
        "UPDATE loads SET written = written + ?1, next_id = ?2 \
         WHERE id = ?3 AND next_id = ?4 AND finished = 0",
        params![rows.cast_signed(), chunk.range.end, load, chunk.range.start],
    )?;
    // Fence: another process has continued the load, and this chunk must not count twice.
    if moved == 0 { Err(rusqlite::Error::StatementChangedRows(0)) } else { Ok(rows) }
}

/// Stores the games whose ids are free; returns how many.
fn insert(t: &Transaction<'_>, games: &[Overview]) -> rusqlite::Result<u64> {
    let mut insert = t.prepare_cached(INSERT)?;
    let mut rows = 0;
    for game in games {
        rows += insert.execute(params![
            game.game_id.0,
            game.game_name,
            game.description,
            game.release_date,
            game.developer,
            game.publisher,
            json(&game.tags)
        ])? as u64;
    }
    Ok(rows)
}

fn extend(t: &Transaction<'_>, load: i64, rows: u64) -> rusqlite::Result<Option<Range<i64>>> {
    let Some(range) = reserve(t, rows)? else { return Ok(None) };
    let sql = "UPDATE loads SET next_id = ?1, end_id = ?2 \
               WHERE id = ?3 AND next_id = end_id AND finished = 0";
    if t.execute(sql, params![range.start, range.end, load])? == 0 {
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    Ok(Some(range))
}

fn open_load(t: &Connection) -> rusqlite::Result<Option<Load>> {
    let sql = "SELECT id, seed, wanted, written, next_id, end_id FROM loads WHERE finished = 0";
    t.query_row(sql, (), load).optional()
}

fn load(row: &Row<'_>) -> rusqlite::Result<Load> {
    let pending: Range<i64> = row.get(4)?..row.get(5)?;
    Ok(Load {
        id: row.get(0)?,
        seed: row.get::<_, i64>(1)?.cast_unsigned(),
        rows: row.get::<_, i64>(2)?.cast_unsigned(),
        written: row.get::<_, i64>(3)?.cast_unsigned(),
        pending: if pending.is_empty() { Vec::new() } else { vec![pending] },
    })
}

fn digest(connection: &Connection, sql: &str) -> rusqlite::Result<Digest> {
    let mut digester = Digester::default();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        digester.add(&overview(row)?);
    }
    Ok(digester.finish())
}
