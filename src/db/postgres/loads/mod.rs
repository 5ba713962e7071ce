//! Bulk loads and digests of whole tables in PostgreSQL.
//!
//! A load into an empty store, or one that replaces what is there, goes by COPY into a table of its
//! own without a key. At the end the key is built and the table is renamed to `overviews`, in one
//! transaction: until then the old table is served unchanged. A load in addition to other games is
//! inserted into their table. What is reserved and stored is recorded in [`load_journal`]; what a
//! load may do to a store is decided by [`LoadPlan`]. Not here: the generator of the games.

mod load_journal;

use std::ops::Range;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Transaction};

use self::load_journal::LoadTarget;
use super::connection::Connector;
use super::error::{driver, storage};
use super::lock::{self, LOCK_TIMEOUT, LockWait, is_lock_timeout};
use super::overview::{ALL, overview};
use super::sequence::Sequence;
use super::text_array::text_array;
use crate::db::common::load_plan::LoadPlan;
use crate::db::storage::{
    Begin, Chunk, Contents, Digest, Digester, ErrorKind, Inspection, Load, LoadMode, LoadParams,
    LoadStore, NewLoad, StorageError,
};
use crate::overview::model::Overview;

/// Each chunk is a transaction, synced when it ends. Two in flight keep the server busy, the third
/// is generated meanwhile.
const LOAD_PARAMS: LoadParams =
    LoadParams { chunk: 10_000, in_flight: 3, finish_may_be_dropped: true };

/// Stops writers and other loads until the end of the transaction, so that what the store holds is
/// still true when it is replaced. Readers continue.
const LOCK_WRITES: &str = "LOCK TABLE overviews IN SHARE ROW EXCLUSIVE MODE";
const CREATE_TABLE: &str = "DROP TABLE IF EXISTS overviews_load; \
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
const CLONE_PROPERTIES: &str = "SELECT storefront_clone_properties()";
const DEPENDENTS: &str = "SELECT storefront_dependents()";
/// Before the new table is built on: a dump may be reading it.
const LOCK_NEW: &str = "LOCK TABLE overviews_load IN ACCESS EXCLUSIVE MODE";
/// Stops readers too, for as long as it takes to copy what was created meanwhile and to rename: a
/// reader between DROP and RENAME would find no table. Taken last, after the key is built.
const LOCK_EXCLUSIVE: &str = "LOCK TABLE overviews IN ACCESS EXCLUSIVE MODE";
const MERGE: &str = "INSERT INTO overviews_load (game_id, game_name, description, release_date, \
                                                 developer, publisher, tags) \
                     SELECT game_id, game_name, description, release_date, developer, publisher, \
                            tags FROM overviews";
const SWAP: &str = "DROP TABLE overviews; \
                             ALTER TABLE overviews_load RENAME TO overviews; \
                             ALTER TABLE overviews RENAME CONSTRAINT overviews_load_key \
                             TO overviews_pkey";
const STATISTICS: &str = "ANALYZE overviews";

pub(super) struct PostgresLoads {
    connector: Connector,
    sequence: Sequence,
    idle: Idle,
}

/// Connections that are between two chunks.
type Idle = std::sync::Arc<std::sync::Mutex<Vec<Client>>>;

impl PostgresLoads {
    pub(super) fn new(connector: Connector, sequence: Sequence) -> Self {
        Self { connector, sequence, idle: Idle::default() }
    }

    async fn client(&self) -> Result<Client, StorageError> {
        let idle = self.idle.lock().map_or(None, |mut idle| idle.pop());
        match idle.filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => self.connector.connect().await.map_err(storage),
        }
    }

    /// Refuses to replace the table if other objects depend on it: they would be lost with it.
    async fn refuse_dependents(&self) -> Result<(), StorageError> {
        let client = self.client().await?;
        let dependents: Option<String> =
            client.query_typed_one(DEPENDENTS, &[]).await.map_err(storage)?.get(0);
        let Some(dependents) = dependents else { return Ok(()) };
        let text = format!(
            "the load would replace the table overviews, on which other objects depend: {dependents}; \
             drop them during the load, or use --append"
        );
        Err(StorageError::new(ErrorKind::Invalid, text))
    }

    fn lock_wait(&self) -> LockWait {
        LockWait::new(&["overviews", "overviews_load", self.sequence.name()])
    }

    /// The outcome of a transaction that takes strong locks. `None` after a pause if they were not free:
    /// it was rolled back, so that nobody waited for those that it had, and is to be tried again.
    async fn unless_locked<T>(
        &self,
        wait: &mut LockWait,
        outcome: Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        match outcome {
            Err(error) if driver(&error).is_some_and(is_lock_timeout) => {
                let client = self.client().await?;
                wait.pause(&client).await.map_err(storage)?;
                self.keep(client);
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
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
        self.keep(client);
        Ok(outcome)
    }

    fn keep(&self, client: Client) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(client);
        }
    }
}

#[async_trait]
impl LoadStore for PostgresLoads {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.transaction(async |t| contents(t).await).await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        if load.mode != LoadMode::Append {
            self.refuse_dependents().await?;
        }
        let mut wait = self.lock_wait();
        loop {
            let tried = self.transaction(async |t| begin(t, &self.sequence, load).await).await;
            if let Some(begun) = self.unless_locked(&mut wait, tried).await? {
                return Ok(begun);
            }
        }
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        self.transaction(async |t| write(t, load.id, &chunk).await).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let mut wait = self.lock_wait();
        let range = loop {
            let tried =
                self.transaction(async |t| extend(t, &self.sequence, load.id, rows).await).await;
            if let Some(range) = self.unless_locked(&mut wait, tried).await? {
                break range;
            }
        };
        range.ok_or_else(|| StorageError::new(ErrorKind::Invalid, "there are no further ids"))
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        self.transaction(async |t| finish(t, &self.sequence, load.id).await).await?;
        // The new table has no statistics until autovacuum gets to it, so plans would be guesses.
        let client = self.client().await?;
        client.batch_execute(STATISTICS).await.map_err(storage)
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        let mut wait = self.lock_wait();
        loop {
            let tried =
                self.transaction(async |t| install_demo(t, &self.sequence, &games).await).await;
            if let Some(installed) = self.unless_locked(&mut wait, tried).await? {
                return Ok(installed);
            }
        }
    }
}

#[async_trait]
impl Inspection for PostgresLoads {
    async fn digest(&self) -> Result<Digest, StorageError> {
        self.transaction(async |t| digest(t, ALL).await).await
    }

    async fn bytes(&self) -> Result<u64, StorageError> {
        let sql = "SELECT pg_total_relation_size('overviews')";
        let client = self.client().await?;
        let bytes: i64 = client.query_typed_one(sql, &[]).await.map_err(storage)?.get(0);
        Ok(bytes.cast_unsigned())
    }
}

async fn contents(t: &Transaction<'_>) -> Result<Contents, Error> {
    if let Some((load, _)) = load_journal::open(t).await? {
        return Ok(Contents::Interrupted(load));
    }
    let is_empty: bool =
        t.query_typed_one("SELECT NOT EXISTS (SELECT FROM overviews)", &[]).await?.get(0);
    Ok(match load_journal::demo(t).await? {
        _ if is_empty => Contents::Empty,
        Some((rows, mark)) => {
            let found = digest(t, &format!("{ALL} LIMIT {}", rows + 1)).await?;
            if mark == found.to_string() { Contents::Demo } else { Contents::Games }
        }
        None => Contents::Games,
    })
}

/// Also what would otherwise be locked later, while writers wait already.
async fn lock_writes(t: &Transaction<'_>, sequence: &Sequence) -> Result<(), Error> {
    let locks = format!("{LOCK_TIMEOUT}; {LOCK_WRITES}; {}", sequence.lock_statement());
    t.batch_execute(&locks).await
}

async fn begin(t: &Transaction<'_>, sequence: &Sequence, load: NewLoad) -> Result<Begin, Error> {
    lock_writes(t, sequence).await?;
    let plan = LoadPlan::new(contents(t).await?, load);
    let target = match plan {
        LoadPlan::Refuse(answer) => return Ok(answer),
        LoadPlan::ReplaceAll => LoadTarget::Replace,
        LoadPlan::Add if load.mode == LoadMode::Append => LoadTarget::Append,
        LoadPlan::Add | LoadPlan::ReplaceDemo => LoadTarget::ReplaceMerging,
    };
    if matches!(plan, LoadPlan::ReplaceAll | LoadPlan::ReplaceDemo) {
        sequence.restart(t).await?;
    }
    let Some(range) = sequence.reserve(t, load.rows).await? else {
        return Ok(Begin::Exhausted);
    };
    load_journal::delete_open(t).await?;
    if plan == LoadPlan::ReplaceDemo {
        t.batch_execute("DELETE FROM overviews").await?;
    }
    if target != LoadTarget::Append {
        t.batch_execute(CREATE_TABLE).await?;
    }
    load_journal::start(t, load, target, range).await.map(Begin::Started)
}

async fn install_demo(
    t: &Transaction<'_>,
    sequence: &Sequence,
    games: &[Overview],
) -> Result<bool, Error> {
    lock_writes(t, sequence).await?;
    // In a store that was emptied the first ids have been used.
    let next = sequence.lock(t).await?;
    let is_next = games.first().is_some_and(|game| i64::from(game.game_id.0) == next);
    if contents(t).await? != Contents::Empty || !is_next {
        return Ok(false);
    }
    sequence.reserve(t, games.len() as u64).await?;
    insert(t, games).await?;
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    load_journal::set_demo(t, digester.finish()).await?;
    Ok(true)
}

async fn write(t: &Transaction<'_>, load: i64, chunk: &Chunk) -> Result<u64, Error> {
    // First the journal: of two writers of the same chunk the second waits here, then fails.
    let target = load_journal::claim(t, load, &chunk.range).await?;
    let rows = match target {
        LoadTarget::Append => insert(t, &chunk.games).await?,
        LoadTarget::Replace | LoadTarget::ReplaceMerging => copy(t, &chunk.games).await?,
    };
    load_journal::stored(t, load, &chunk.range, rows).await?;
    Ok(rows)
}

async fn copy(t: &Transaction<'_>, games: &[Overview]) -> Result<u64, Error> {
    // The driver gives this statement a name, and closes it before the transaction ends: so it works
    // through a pooler too, which keeps the connection for the transaction.
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

/// Stores the games whose ids are free and returns their number.
async fn insert(t: &Transaction<'_>, games: &[Overview]) -> Result<u64, Error> {
    let texts = |of: fn(&Overview) -> &str| -> Vec<&str> { games.iter().map(of).collect() };
    let ids: Vec<i32> = games.iter().map(|game| game.game_id.0).collect();
    let tags: Vec<String> = games.iter().map(|game| text_array(&game.tags)).collect();
    let [names, descriptions, dates, developers, publishers] = [
        texts(|game| &game.game_name),
        texts(|game| &game.description),
        texts(|game| &game.release_date),
        texts(|game| &game.developer),
        texts(|game| &game.publisher),
    ];
    let columns = [&names, &descriptions, &dates, &developers, &publishers];
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&ids, Type::INT4_ARRAY)];
    values.extend(columns.map(|texts| (texts as &(dyn ToSql + Sync), Type::TEXT_ARRAY)));
    values.push((&tags, Type::TEXT_ARRAY));
    t.execute_typed(INSERT, &values).await
}

async fn extend(
    t: &Transaction<'_>,
    sequence: &Sequence,
    load: i64,
    rows: u64,
) -> Result<Option<Range<i64>>, Error> {
    t.batch_execute(LOCK_TIMEOUT).await?;
    let Some(range) = sequence.reserve(t, rows).await? else { return Ok(None) };
    load_journal::add_range(t, load, &range).await?;
    Ok(Some(range))
}

async fn finish(t: &Transaction<'_>, sequence: &Sequence, load: i64) -> Result<(), Error> {
    let target = load_journal::finish(t, load).await?;
    if target != LoadTarget::Append {
        // Everything that takes long comes before the exclusive lock.
        lock::take(t, LOCK_NEW, &["overviews_load"]).await?;
        t.batch_execute(KEY).await?;
        let renames: String = t.query_typed_one(CLONE_PROPERTIES, &[]).await?.try_get(0)?;
        let locks = format!("{LOCK_EXCLUSIVE}; {}", sequence.lock_statement());
        lock::take(t, &locks, &["overviews", sequence.name()]).await?;
        if target == LoadTarget::ReplaceMerging {
            t.batch_execute(MERGE).await?;
        }
        // Before the DROP, which would drop the sequence with its table.
        let own = format!("ALTER SEQUENCE {} OWNED BY overviews_load.game_id", sequence.name());
        t.batch_execute(&own).await?;
        t.batch_execute(SWAP).await?;
        t.batch_execute(&renames).await?;
    }
    Ok(())
}

async fn digest(t: &Transaction<'_>, sql: &str) -> Result<Digest, Error> {
    let mut digester = Digester::default();
    let mut rows = std::pin::pin!(t.query_typed_raw(sql, std::iter::empty::<(i32, Type)>()).await?);
    while let Some(row) = rows.try_next().await? {
        digester.add(&overview(&row)?);
    }
    Ok(digester.finish())
}
