//! Loading and checking whole tables in Cassandra.
//!
//! In this room: opening and closing a load, and what a store holds (here); writing its chunks
//! ([`mod@write`]), demo games ([`demo`]), reading everything ([`scan`]). A load is in the one row of
//! [`Metadata`] while it is open; its chunks that are done are rows of `chunks`.

mod chunk_journal;
mod demo;
mod games_table;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use self::chunk_journal::ChunkJournal;
use self::demo::DemoGames;
use self::games_table::GamesTable;
use crate::db::cassandra::act::act;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::inspection::Scan;
use crate::db::cassandra::metadata::{ID_LIMIT, Metadata, MetadataTable, Phase, contended};
use crate::db::cassandra::overview::id_claims::IdClaims;
use crate::db::storage::{
    ActContext, Begin, Chunk, Contents, Digest, Digester, ErrorKind, Inspection, Load, LoadMode,
    LoadParams, LoadStore, NewLoad, StorageError,
};
use crate::overview::model::Overview;

/// Large enough that a chunk's few conditional writes do not show; while one ends, another is
/// under way.
const LOAD_PARAMS: LoadParams = LoadParams { chunk: 10_000, in_flight: 3 };
/// How often a load is tried to be opened while others change the store.
const ATTEMPTS: usize = 50;

pub(super) struct CassandraLoads {
    loader: Arc<Loader>,
}

/// What a task needs to run an act.
struct Loader {
    metadata: Arc<MetadataTable>,
    journal: ChunkJournal,
    games: GamesTable,
    demo: DemoGames,
    scan: Arc<Scan>,
}

/// [`Contents`], and whether demo games are all there.
enum Found {
    Empty,
    /// Nothing but demo games as they were put in, or a part of them.
    Demo,
    Games,
    Interrupted(Load),
}

impl CassandraLoads {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metadata: Arc<MetadataTable>,
        claims: Arc<IdClaims>,
    ) -> Result<Self, StorageError> {
        let loader = Loader {
            journal: ChunkJournal::open(cluster).await?,
            games: GamesTable::open(cluster, claims).await?,
            demo: DemoGames::open(cluster).await?,
            scan: Arc::new(Scan::open(cluster).await?),
            metadata,
        };
        Ok(Self { loader: Arc::new(loader) })
    }

    /// Runs an act that nobody can cancel.
    async fn act<T, F>(&self, work: impl FnOnce(Arc<Loader>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act(ActContext::new(), work(Arc::clone(&self.loader))).await
    }
}

#[async_trait]
impl LoadStore for CassandraLoads {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.loader.contents().await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        self.act(|loader| async move { loader.begin(load).await }).await
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.write(id, &chunk).await }).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.extend(id, rows).await }).await
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.finish(id).await }).await
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        self.act(|loader| async move { loader.install_demo(&games).await }).await
    }
}

#[async_trait]
impl Inspection for CassandraLoads {
    async fn digest(&self) -> Result<Digest, StorageError> {
        Arc::clone(&self.loader.scan).digest().await
    }

    async fn bytes(&self) -> Result<u64, StorageError> {
        self.loader.scan.bytes().await
    }
}

impl Loader {
    async fn contents(&self) -> Result<Contents, StorageError> {
        let state = self.metadata.read().await?;
        Ok(match self.found(&state).await? {
            Found::Interrupted(load) => Contents::Interrupted(load),
            Found::Games => Contents::Games,
            Found::Empty => Contents::Empty,
            // Whoever put them in has died in the middle of it; the next one does the rest.
            Found::Demo if state.phase == Phase::InstallingDemo => Contents::Empty,
            Found::Demo => Contents::Demo,
        })
    }

    async fn found(&self, state: &Metadata) -> Result<Found, StorageError> {
        if state.phase == Phase::Loading {
            return self.journal.load(state).await.map(Found::Interrupted);
        }
        let demo = state.demo.as_ref().filter(|demo| demo.ids.end == state.next_id);
        // One row more than the demo games would be one of somebody.
        let most = demo.map_or(1, |demo| demo.ids.end - demo.ids.start + 1);
        let games = self.scan.first(most).await?;
        let is_demo = |game: &Overview| {
            demo.is_some_and(|demo| demo.ids.contains(&i64::from(game.game_id.0)))
        };
        Ok(match state.phase {
            _ if games.is_empty() => Found::Empty,
            Phase::InstallingDemo if games.iter().all(is_demo) => Found::Demo,
            Phase::Demo if demo.is_some_and(|demo| demo.sum == sum(&games)) => Found::Demo,
            _ => Found::Games,
        })
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        if load.rows >= ID_LIMIT.cast_unsigned() {
            return Ok(Begin::Exhausted);
        }
        for _ in 0..ATTEMPTS {
            let state = self.metadata.read().await?;
            let opened = match (self.found(&state).await?, load.mode) {
                (_, LoadMode::Reset) => return self.reset(load).await,
                (Found::Interrupted(open), _) => return Ok(Begin::Interrupted(open)),
                (Found::Games, LoadMode::Fresh) => return Ok(Begin::NotEmpty),
                (Found::Demo, LoadMode::Fresh) => replacing_demo(&state, load),
                _ => state.loading(load, state.next_id),
            };
            let Some(opened) = opened else { return Ok(Begin::Exhausted) };
            if self.metadata.replace(&state, &opened).await? {
                self.remove_demo(&opened).await?;
                return Ok(Begin::Started(new_load(&opened)));
            }
        }
        Err(contended())
    }

    /// Empties the store and opens a load. If it dies in between, no load is open, and what is left
    /// of the games is left.
    async fn reset(&self, load: NewLoad) -> Result<Begin, StorageError> {
        let emptying = self.metadata.change(|state| {
            let (load_id, reserved) = (state.load_id + 1, Vec::new());
            Some(Metadata {
                load_id,
                phase: Phase::Truncating,
                reserved,
                demo: None,
                ..state.clone()
            })
        });
        let number = emptying.await?.map_or(0, |state| state.load_id);
        self.scan.truncate().await?;
        let opened = self.metadata.change(|state| {
            let is_ours = state.load_id == number && state.phase == Phase::Truncating;
            state.loading(load, 1).filter(|_| is_ours)
        });
        let opened = opened.await?.ok_or_else(superseded)?;
        Ok(Begin::Started(new_load(&opened)))
    }

    /// The store, if the load is open in it.
    async fn require_open(&self, load: i64) -> Result<Metadata, StorageError> {
        let state = self.metadata.read().await?;
        if state.is_loading(load) { Ok(state) } else { Err(superseded()) }
    }

    async fn write(&self, load: i64, chunk: &Chunk) -> Result<u64, StorageError> {
        self.remove_demo(&self.require_open(load).await?).await?;
        let rows = self.games.store(load, chunk).await?;
        // Rows of a load that has been replaced meanwhile would stay in the new one.
        if let Err(error) = self.require_open(load).await {
            self.games.delete_rows(load, &chunk.games).await?;
            return Err(error);
        }
        self.journal.record(load, &chunk.range, rows).await
    }

    async fn extend(&self, load: i64, rows: u64) -> Result<Range<i64>, StorageError> {
        let longer = self.metadata.change(|state| {
            let rows = i64::try_from(rows).ok().filter(|rows| *rows <= ID_LIMIT - state.next_id)?;
            let mut longer = Metadata { next_id: state.next_id + rows, ..state.clone() };
            longer.reserved.push(state.next_id..longer.next_id);
            Some(longer).filter(|_| state.is_loading(load))
        });
        match longer.await?.as_ref().and_then(|state| state.reserved.last()) {
            Some(range) => Ok(range.clone()),
            None => {
                self.require_open(load).await?;
                Err(StorageError::new(ErrorKind::Invalid, "there are no further ids"))
            }
        }
    }

    async fn finish(&self, load: i64) -> Result<(), StorageError> {
        self.remove_demo(&self.require_open(load).await?).await?;
        let closed = self.metadata.change(|state| {
            let closed = Metadata { phase: Phase::Idle, reserved: Vec::new(), ..state.clone() };
            Some(closed).filter(|_| state.is_loading(load))
        });
        closed.await?.map(drop).ok_or_else(superseded)
    }

    /// Removes the demo games that an open load replaces, as far as that has not been done.
    async fn remove_demo(&self, state: &Metadata) -> Result<(), StorageError> {
        let Some(demo) = &state.demo else { return Ok(()) };
        self.demo.remove(demo).await?;
        let load = state.load_id;
        let without = self.metadata.change(|state| {
            let due = state.is_loading(load) && state.demo.is_some();
            due.then(|| Metadata { demo: None, ..state.clone() })
        });
        without.await.map(drop)
    }
}

/// The store with a load that gets the ids of the demo games, and further ones.
fn replacing_demo(state: &Metadata, load: NewLoad) -> Option<Metadata> {
    let demo = state.demo.clone()?;
    let opened = state.loading(load, demo.ids.start)?;
    Some(Metadata { demo: Some(demo), ..opened })
}

/// A load of which nothing has been written.
fn new_load(state: &Metadata) -> Load {
    Load {
        id: state.load_id,
        seed: state.seed,
        rows: state.rows,
        written: 0,
        pending: chunk_journal::remaining(&state.reserved, &[]),
    }
}

fn sum(games: &[Overview]) -> u128 {
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    digester.finish().sum
}

fn superseded() -> StorageError {
    StorageError::new(
        ErrorKind::Conflict,
        "another process has gone on with this load, or ended it",
    )
}
