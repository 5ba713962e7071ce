//! Loading and checking whole tables in PostgreSQL.
//!
//! A load into an empty store, or in place of what is there, goes by COPY into a table of its own
//! without a key. At its end the key is built, and the table takes the name `overviews` in the same
//! transaction: until then the old table is served untouched. A load beside other games goes into
//! their table. The record of loads is in [`super::loads`].

use std::ops::Range;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};

use super::connection::Connector;
use super::counter::Counter;
use super::create::array;
use super::error::storage;
use super::loads::{self, Place};
use super::overview::{ALL, overview};
use crate::db::storage::{
    Begin, Chunk, Contents, Digest, Digester, ErrorKind, Inspection, Load, LoadMode, LoadParams,
    LoadStore, NewLoad, StorageError,
};
use crate::overview::model::Overview;

/// Each chunk is a transaction, synced when it ends. Two at once keep the server busy while the
/// next are generated.
const LOAD_PARAMS: LoadParams = LoadParams { chunk: 10_000, in_flight: 3 };

/// Nobody writes while what is there is looked at and replaced; reads go on.
const LOCK: &str = "LOCK TABLE overviews IN SHARE ROW EXCLUSIVE MODE";
const OWN_TABLE: &str = "DROP TABLE IF EXISTS overviews_load; \
                         CREATE TABLE overviews_load (LIKE overviews INCLUDING DEFAULTS \
                         INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMMENTS)";
const COPY: &str = "COPY overviews_load (game_id, game_name, description, release_date, developer, \
                    publisher, tags) FROM STDIN (FORMAT binary)";
const COLUMNS: [Type; 7] =
    [Type::INT4, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT_ARRAY];
const INSERT: &str = "INSERT INTO overviews (game_id, game_name, description, release_date, \
                                             developer, publisher, tags) \
                      SELECT id, game_name, description, release_date, developer, publisher, \
                             tags::text[] \
                      FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], \
                                  $6::text[], $7::text[]) \
                           AS given (id, game_name, description, release_date, developer, \
                                     publisher, tags) \
                      ORDER BY id ON CONFLICT (game_id) DO NOTHING";
const KEY: &str = "SET LOCAL maintenance_work_mem = '512MB'; \
                   ALTER TABLE overviews_load ADD CONSTRAINT overviews_load_key \
                   PRIMARY KEY (game_id)";
const DRESS: &str = "SELECT storefront_dress_load()";
const HANGS: &str = "SELECT storefront_hangs_on_overviews()";
/// From here on readers wait, for as long as it takes to carry over what others created meanwhile.
const LOCK_OUT: &str = "LOCK TABLE overviews IN ACCESS EXCLUSIVE MODE";
const CARRY: &str = "INSERT INTO overviews_load (game_id, game_name, description, release_date, \
                                                 developer, publisher, tags) \
                     SELECT game_id, game_name, description, release_date, developer, publisher, \
                            tags FROM overviews";
const TAKE_THE_NAME: &str = "DROP TABLE overviews; \
                             ALTER TABLE overviews_load RENAME TO overviews; \
                             ALTER TABLE overviews RENAME CONSTRAINT overviews_load_key \
                             TO overviews_pkey";
const STATISTICS: &str = "ANALYZE overviews";

pub(super) struct PostgresBulk {
    connector: Connector,
    counter: Counter,
    idle: Idle,
}

/// Connections between two chunks.
type Idle = std::sync::Arc<std::sync::Mutex<Vec<Client>>>;

impl PostgresBulk {
    pub(super) fn new(connector: Connector, counter: Counter) -> Self {
        Self { connector, counter, idle: Idle::default() }
    }

    async fn client(&self) -> Result<Client, StorageError> {
        let idle = self.idle.lock().map_or(None, |mut idle| idle.pop());
        match idle.filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => self.connector.connect().await.map_err(storage),
        }
    }

    /// Another table cannot take the place of one that others build on.
    async fn refuse_what_hangs(&self) -> Result<(), StorageError> {
        let client = self.client().await?;
        let hangs: Option<String> = client.query_one(HANGS, &[]).await.map_err(storage)?.get(0);
        let Some(hangs) = hangs else { return Ok(()) };
        let text = format!(
            "the load would replace the table overviews, and this hangs on it: {hangs}; drop it \
             for the time of the load, or use --append"
        );
        Err(StorageError::new(ErrorKind::Invalid, text))
    }

    /// Runs one transaction on a connection of its own.
    async fn transaction<T>(
        &self,
        statements: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, StorageError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(storage)?;
        let outcome = statements(&transaction).await.map_err(storage)?;
        transaction.commit().await.map_err(storage)?;
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(client);
        }
        Ok(outcome)
    }
}

#[async_trait]
impl LoadStore for PostgresBulk {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.transaction(async |t| contents(t).await).await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        if load.mode != LoadMode::Append {
            self.refuse_what_hangs().await?;
        }
        self.transaction(async |t| begin(t, &self.counter, load).await).await
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        self.transaction(async |t| write(t, load.id, &chunk).await).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let range =
            self.transaction(async |t| extend(t, &self.counter, load.id, rows).await).await?;
        range.ok_or_else(|| StorageError::new(ErrorKind::Invalid, "there are no further ids"))
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        self.transaction(async |t| finish(t, &self.counter, load.id).await).await?;
        // Until the server looks at the new table by itself its plans are guesses.
        let client = self.client().await?;
        client.batch_execute(STATISTICS).await.map_err(storage)
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        self.transaction(async |t| install_demo(t, &self.counter, &games).await).await
    }
}

#[async_trait]
impl Inspection for PostgresBulk {
    async fn digest(&self) -> Result<Digest, StorageError> {
        self.transaction(async |t| digest(t, ALL).await).await
    }

    async fn bytes(&self) -> Result<u64, StorageError> {
        let sql = "SELECT pg_total_relation_size('overviews')";
        let client = self.client().await?;
        let bytes: i64 = client.query_one(sql, &[]).await.map_err(storage)?.get(0);
        Ok(bytes.cast_unsigned())
    }
}

async fn contents(t: &Transaction<'_>) -> Result<Contents, Error> {
    if let Some((load, _)) = loads::open(t).await? {
        return Ok(Contents::Interrupted(load));
    }
    let is_empty: bool =
        t.query_one("SELECT NOT EXISTS (SELECT FROM overviews)", &[]).await?.get(0);
    Ok(match loads::demo(t).await? {
        _ if is_empty => Contents::Empty,
        Some((rows, mark)) => {
            let found = digest(t, &format!("{ALL} LIMIT {}", rows + 1)).await?;
            if mark == found.to_string() { Contents::Demo } else { Contents::Games }
        }
        None => Contents::Games,
    })
}

async fn begin(t: &Transaction<'_>, counter: &Counter, load: NewLoad) -> Result<Begin, Error> {
    t.batch_execute(LOCK).await?;
    let found = contents(t).await?;
    match (&found, load.mode) {
        (_, LoadMode::Reset) => {}
        (Contents::Interrupted(open), _) => return Ok(Begin::Interrupted(open.clone())),
        (Contents::Games, LoadMode::Fresh) => return Ok(Begin::NotEmpty),
        (Contents::Empty | Contents::Demo, LoadMode::Fresh) | (_, LoadMode::Append) => {}
    }
    let anew =
        load.mode == LoadMode::Reset || (load.mode == LoadMode::Fresh && found == Contents::Demo);
    if load.rows > i32::MAX as u64 {
        return Ok(Begin::Exhausted);
    }
    if anew {
        counter.restart(t).await?;
    }
    let Some(range) = counter.reserve(t, load.rows).await? else {
        return Ok(Begin::Exhausted);
    };
    loads::forget(t).await?;
    let place = match load.mode {
        LoadMode::Append => Place::Beside,
        LoadMode::Fresh => Place::InsteadAndCarry,
        LoadMode::Reset => Place::Instead,
    };
    if found == Contents::Demo && load.mode == LoadMode::Fresh {
        t.batch_execute("DELETE FROM overviews").await?;
    }
    if place != Place::Beside {
        t.batch_execute(OWN_TABLE).await?;
    }
    loads::start(t, load, place, range).await.map(Begin::Started)
}

async fn install_demo(
    t: &Transaction<'_>,
    counter: &Counter,
    games: &[Overview],
) -> Result<bool, Error> {
    t.batch_execute(LOCK).await?;
    // Of an emptied store the first ids have been used.
    let next = counter.lock(t).await?;
    let is_theirs = games.first().is_some_and(|game| i64::from(game.game_id.0) == next);
    if contents(t).await? != Contents::Empty || !is_theirs {
        return Ok(false);
    }
    counter.reserve(t, games.len() as u64).await?;
    insert(t, games).await?;
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    loads::set_demo(t, digester.finish()).await?;
    Ok(true)
}

async fn write(t: &Transaction<'_>, load: i64, chunk: &Chunk) -> Result<u64, Error> {
    // First its place in the record: of two who write the same chunk one waits here, and fails.
    let place = loads::claim(t, load, &chunk.range).await?;
    let rows = match place {
        Place::Beside => insert(t, &chunk.games).await?,
        Place::Instead | Place::InsteadAndCarry => copy(t, &chunk.games).await?,
    };
    loads::stored(t, load, &chunk.range, rows).await?;
    Ok(rows)
}

async fn copy(t: &Transaction<'_>, games: &[Overview]) -> Result<u64, Error> {
    let writer = BinaryCopyInWriter::new(t.copy_in(COPY).await?, &COLUMNS);
    let mut writer = std::pin::pin!(writer);
    for game in games {
        let Overview { game_id, game_name, description, release_date, developer, publisher, tags } =
            game;
        writer
            .as_mut()
            .write(&[&game_id.0, game_name, description, release_date, developer, publisher, tags])
            .await?;
    }
    writer.finish().await
}

/// Stores the games whose ids are free; gives how many.
async fn insert(t: &Transaction<'_>, games: &[Overview]) -> Result<u64, Error> {
    let texts = |of: fn(&Overview) -> &str| -> Vec<&str> { games.iter().map(of).collect() };
    let ids: Vec<i32> = games.iter().map(|game| game.game_id.0).collect();
    let tags: Vec<String> = games.iter().map(|game| array(&game.tags)).collect();
    t.execute(
        INSERT,
        &[
            &ids,
            &texts(|game| &game.game_name),
            &texts(|game| &game.description),
            &texts(|game| &game.release_date),
            &texts(|game| &game.developer),
            &texts(|game| &game.publisher),
            &tags,
        ],
    )
    .await
}

async fn extend(
    t: &Transaction<'_>,
    counter: &Counter,
    load: i64,
    rows: u64,
) -> Result<Option<Range<i64>>, Error> {
    let Some(range) = counter.reserve(t, rows).await? else { return Ok(None) };
    loads::add_range(t, load, &range).await?;
    Ok(Some(range))
}

async fn finish(t: &Transaction<'_>, counter: &Counter, load: i64) -> Result<(), Error> {
    let place = loads::finish(t, load).await?;
    if place != Place::Beside {
        t.batch_execute(KEY).await?;
        let renames: String = t.query_one(DRESS, &[]).await?.try_get(0)?;
        t.batch_execute(LOCK_OUT).await?;
        if place == Place::InsteadAndCarry {
            t.batch_execute(CARRY).await?;
        }
        let own = format!("ALTER SEQUENCE {} OWNED BY overviews_load.game_id", counter.name());
        t.batch_execute(&own).await?;
        t.batch_execute(TAKE_THE_NAME).await?;
        t.batch_execute(&renames).await?;
    }
    Ok(())
}

async fn digest(t: &Transaction<'_>, sql: &str) -> Result<Digest, Error> {
    let mut digester = Digester::default();
    let mut rows = std::pin::pin!(t.query_raw(sql, std::iter::empty::<i32>()).await?);
    while let Some(row) = rows.try_next().await? {
        digester.add(&overview(&row)?);
    }
    Ok(digester.finish())
}
