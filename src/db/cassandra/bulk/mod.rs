//! Loading and checking whole tables in Cassandra.
//!
//! In this room: opening and closing a load, and what a store holds (here); writing its chunks
//! ([`mod@write`]), demo games ([`demo`]), reading everything ([`scan`]). A load is in the one row of
//! [`Metadata`] while it is open; its chunks that are done are rows of `chunks`.

mod demo;
mod progress;
mod scan;
mod write;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use self::demo::DemoGames;
use self::progress::Progress;
use self::scan::Scan;
use self::write::Rows;
use super::act;
use super::connection::Cluster;
use super::id_claims::Claims;
use super::metadata::{IDS, Metadata, Phase, StoreState, contended};
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

pub(super) struct CassandraBulk {
    bulk: Arc<Bulk>,
}

/// What a task needs to run an act.
struct Bulk {
    store: Arc<Metadata>,
    progress: Progress,
    rows: Rows,
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

impl CassandraBulk {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        store: Arc<Metadata>,
        claims: Arc<Claims>,
    ) -> Result<Self, StorageError> {
        let bulk = Bulk {
            progress: Progress::open(cluster).await?,
            rows: Rows::open(cluster, claims).await?,
            demo: DemoGames::open(cluster).await?,
            scan: Arc::new(Scan::open(cluster).await?),
            store,
        };
        Ok(Self { bulk: Arc::new(bulk) })
    }

    /// Runs an act that nobody can cancel.
    async fn act<T, F>(&self, work: impl FnOnce(Arc<Bulk>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act(ActContext::new(), work(Arc::clone(&self.bulk))).await
    }
}

#[async_trait]
impl LoadStore for CassandraBulk {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.bulk.contents().await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        self.act(|bulk| async move { bulk.begin(load).await }).await
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        let id = load.id;
        self.act(|bulk| async move { bulk.write(id, &chunk).await }).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let id = load.id;
        self.act(|bulk| async move { bulk.extend(id, rows).await }).await
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        let id = load.id;
        self.act(|bulk| async move { bulk.finish(id).await }).await
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        self.act(|bulk| async move { bulk.install_demo(&games).await }).await
    }
}

#[async_trait]
impl Inspection for CassandraBulk {
    async fn digest(&self) -> Result<Digest, StorageError> {
        Arc::clone(&self.bulk.scan).digest().await
    }

    async fn bytes(&self) -> Result<u64, StorageError> {
        self.bulk.scan.bytes().await
    }
}

impl Bulk {
    async fn contents(&self) -> Result<Contents, StorageError> {
        let state = self.store.read().await?;
        Ok(match self.found(&state).await? {
            Found::Interrupted(load) => Contents::Interrupted(load),
            Found::Games => Contents::Games,
            Found::Empty => Contents::Empty,
            // Whoever put them in has died in the middle of it; the next one does the rest.
            Found::Demo if state.phase == Phase::Stocking => Contents::Empty,
            Found::Demo => Contents::Demo,
        })
    }

    async fn found(&self, state: &StoreState) -> Result<Found, StorageError> {
        if state.phase == Phase::Open {
            return self.progress.load(state).await.map(Found::Interrupted);
        }
        let demo = state.demo.as_ref().filter(|demo| demo.ids.end == state.next);
        // One row more than the demo games would be one of somebody.
        let most = demo.map_or(1, |demo| demo.ids.end - demo.ids.start + 1);
        let games = self.scan.first(most).await?;
        let is_theirs = |game: &Overview| {
            demo.is_some_and(|demo| demo.ids.contains(&i64::from(game.game_id.0)))
        };
        Ok(match state.phase {
            _ if games.is_empty() => Found::Empty,
            Phase::Stocking if games.iter().all(is_theirs) => Found::Demo,
            Phase::Demo if demo.is_some_and(|demo| demo.sum == sum(&games)) => Found::Demo,
            _ => Found::Games,
        })
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        if load.rows >= IDS.cast_unsigned() {
            return Ok(Begin::Exhausted);
        }
        for _ in 0..ATTEMPTS {
            let state = self.store.read().await?;
            let opened = match (self.found(&state).await?, load.mode) {
                (_, LoadMode::Reset) => return self.reset(load).await,
                (Found::Interrupted(open), _) => return Ok(Begin::Interrupted(open)),
                (Found::Games, LoadMode::Fresh) => return Ok(Begin::NotEmpty),
                (Found::Demo, LoadMode::Fresh) => in_place_of_demo(&state, load),
                _ => state.opened(load, state.next),
            };
            let Some(opened) = opened else { return Ok(Begin::Exhausted) };
            if self.store.replace(&state, &opened).await? {
                self.without_demo(&opened).await?;
                return Ok(Begin::Started(started(&opened)));
            }
        }
        Err(contended())
    }

    /// Empties the store and opens a load. If it dies in between, no load is open, and what is left
    /// of the games is left.
    async fn reset(&self, load: NewLoad) -> Result<Begin, StorageError> {
        let emptying = self.store.change(|state| {
            let (load, spans) = (state.load + 1, Vec::new());
            Some(StoreState { load, phase: Phase::Emptying, spans, demo: None, ..state.clone() })
        });
        let number = emptying.await?.map_or(0, |state| state.load);
        self.scan.truncate().await?;
        let opened = self.store.change(|state| {
            let ours = state.load == number && state.phase == Phase::Emptying;
            state.opened(load, 1).filter(|_| ours)
        });
        let opened = opened.await?.ok_or_else(overtaken)?;
        Ok(Begin::Started(started(&opened)))
    }

    /// The store, if the load is open in it.
    async fn open_store(&self, load: i64) -> Result<StoreState, StorageError> {
        let state = self.store.read().await?;
        if state.is_open(load) { Ok(state) } else { Err(overtaken()) }
    }

    async fn write(&self, load: i64, chunk: &Chunk) -> Result<u64, StorageError> {
        self.without_demo(&self.open_store(load).await?).await?;
        let rows = self.rows.store(load, chunk).await?;
        // Rows of a load that has been replaced meanwhile would stay in the new one.
        if let Err(error) = self.open_store(load).await {
            self.rows.take_back(load, &chunk.games).await?;
            return Err(error);
        }
        self.progress.record(load, &chunk.range, rows).await
    }

    async fn extend(&self, load: i64, rows: u64) -> Result<Range<i64>, StorageError> {
        let longer = self.store.change(|state| {
            let rows = i64::try_from(rows).ok().filter(|rows| *rows <= IDS - state.next)?;
            let mut longer = StoreState { next: state.next + rows, ..state.clone() };
            longer.spans.push(state.next..longer.next);
            Some(longer).filter(|_| state.is_open(load))
        });
        match longer.await?.as_ref().and_then(|state| state.spans.last()) {
            Some(range) => Ok(range.clone()),
            None => {
                self.open_store(load).await?;
                Err(StorageError::new(ErrorKind::Invalid, "there are no further ids"))
            }
        }
    }

    async fn finish(&self, load: i64) -> Result<(), StorageError> {
        self.without_demo(&self.open_store(load).await?).await?;
        let closed = self.store.change(|state| {
            let closed = StoreState { phase: Phase::Idle, spans: Vec::new(), ..state.clone() };
            Some(closed).filter(|_| state.is_open(load))
        });
        closed.await?.map(drop).ok_or_else(overtaken)
    }

    /// Removes the demo games that an open load replaces, as far as that has not been done.
    async fn without_demo(&self, state: &StoreState) -> Result<(), StorageError> {
        let Some(demo) = &state.demo else { return Ok(()) };
        self.demo.remove(demo).await?;
        let load = state.load;
        let without = self.store.change(|state| {
            let due = state.is_open(load) && state.demo.is_some();
            due.then(|| StoreState { demo: None, ..state.clone() })
        });
        without.await.map(drop)
    }
}

/// The store with a load that gets the ids of the demo games, and further ones.
fn in_place_of_demo(state: &StoreState, load: NewLoad) -> Option<StoreState> {
    let demo = state.demo.clone()?;
    let opened = state.opened(load, demo.ids.start)?;
    Some(StoreState { demo: Some(demo), ..opened })
}

/// A load of which nothing has been written.
fn started(state: &StoreState) -> Load {
    Load {
        id: state.load,
        seed: state.seed,
        rows: state.wanted,
        written: 0,
        pending: progress::gaps(&state.spans, &[]),
    }
}

fn sum(games: &[Overview]) -> u128 {
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    digester.finish().sum
}

fn overtaken() -> StorageError {
    StorageError::new(
        ErrorKind::Conflict,
        "another process has gone on with this load, or ended it",
    )
}
