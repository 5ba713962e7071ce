//! What opening, writing and closing a load does to the store, and installing demo games.
//!
//! A load is open while the metadata row is in [`Phase::Loading`] under its number. Each step checks
//! that, because another process may have reset the store or continued the load meanwhile. The
//! statements on games and chunks are in the modules beside this one.

use std::ops::Range;
use std::sync::Arc;

use super::chunk_journal::{ChunkJournal, superseded};
use super::demo_games::DemoGames;
use super::games_table::GamesTable;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::metadata::{
    CONDITIONAL_TRIES, Demo, Metadata, MetadataTable, Phase, contended,
};
use crate::db::cassandra::overview::id_claims::{ClaimTtl, IdClaims};
use crate::db::common::id_search::ID_LIMIT;
use crate::db::common::load_plan::LoadPlan;
use crate::db::storage::{Begin, Chunk, Contents, Digester, ErrorKind, NewLoad, StorageError};
use crate::overview::model::Overview;

pub(super) struct Loader {
    metadata: Arc<MetadataTable>,
    claims: Arc<IdClaims>,
    journal: ChunkJournal,
    games: GamesTable,
    demo_games: DemoGames,
}

impl Loader {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metadata: Arc<MetadataTable>,
        claims: Arc<IdClaims>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            journal: ChunkJournal::open(cluster).await?,
            games: GamesTable::open(cluster, &claims).await?,
            demo_games: DemoGames::open(cluster).await?,
            metadata,
            claims,
        })
    }

    pub(super) async fn contents(&self) -> Result<Contents, StorageError> {
        let state = self.metadata.read().await?;
        Ok(match self.contents_at(&state).await? {
            // The process that installed them has died; the next one completes them.
            Contents::Demo if state.phase == Phase::InstallingDemo => Contents::Empty,
            contents => contents,
        })
    }

    /// What the store holds; demo games that are installed in part are [`Contents::Demo`].
    async fn contents_at(&self, state: &Metadata) -> Result<Contents, StorageError> {
        if state.phase == Phase::Loading {
            return self.journal.load(state).await.map(Contents::Interrupted);
        }
        let demo = state.demo.as_ref().filter(|demo| demo.ids.end == state.next_id);
        // One game more than the demo games is a client's.
        let most = demo.map_or(1, |demo| demo.ids.end - demo.ids.start + 1);
        let games = self.games.first(most).await?;
        let is_demo = |game: &Overview| {
            demo.is_some_and(|demo| demo.ids.contains(&i64::from(game.game_id.0)))
        };
        Ok(match state.phase {
            _ if games.is_empty() => Contents::Empty,
            Phase::InstallingDemo if games.iter().all(is_demo) => Contents::Demo,
            Phase::Demo if demo.is_some_and(|demo| demo.sum == sum(&games)) => Contents::Demo,
            _ => Contents::Games,
        })
    }

    pub(super) async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        for _ in 0..CONDITIONAL_TRIES {
            let state = self.metadata.read().await?;
            let loading = match LoadPlan::new(self.contents_at(&state).await?, load) {
                LoadPlan::Refuse(refusal) => return Ok(refusal),
                LoadPlan::ReplaceAll => return self.reset(load).await,
                LoadPlan::ReplaceDemo => state.replacing_demo(load),
                LoadPlan::Add => state.loading(load, state.next_id),
            };
            let Some(loading) = loading else { return Ok(Begin::Exhausted) };
            // Compare-and-set: of several processes one opens its load, the others see it open.
            if self.metadata.replace(&state, &loading).await? {
                self.remove_demo(&loading).await?;
                return Ok(Begin::Started(loading.load(0, &[])));
            }
        }
        Err(contended())
    }

    /// Empties the store and opens a load.
    async fn reset(&self, load: NewLoad) -> Result<Begin, StorageError> {
        // The new number comes before the truncation: a write of the former load that arrives later
        // finds itself superseded and deletes its rows. A crash in between leaves no load open.
        let truncating = self.metadata.change(|state| {
            let (load_id, reserved) = (state.load_id + 1, Vec::new());
            let phase = Phase::Truncating;
            Some(Metadata { load_id, phase, reserved, demo: None, ..state.clone() })
        });
        let load_id = truncating.await?.map_or(0, |state| state.load_id);
        self.games.truncate().await?;
        let loading = self.metadata.change(|state| {
            let is_ours = state.load_id == load_id && state.phase == Phase::Truncating;
            state.loading(load, 1).filter(|_| is_ours)
        });
        let loading = loading.await?.ok_or_else(superseded)?;
        Ok(Begin::Started(loading.load(0, &[])))
    }

    /// The metadata, if the load is open.
    async fn require_open(&self, load_id: i64) -> Result<Metadata, StorageError> {
        let state = self.metadata.read().await?;
        if state.is_loading(load_id) { Ok(state) } else { Err(superseded()) }
    }

    pub(super) async fn write(&self, load_id: i64, chunk: &Chunk) -> Result<u64, StorageError> {
        self.remove_demo(&self.require_open(load_id).await?).await?;
        let rows = self.games.store(load_id, chunk).await?;
        // Checked again after the write: rows of a load that was replaced meanwhile would stay.
        if let Err(error) = self.require_open(load_id).await {
            self.games.delete(load_id, &chunk.games).await?;
            return Err(error);
        }
        // The record is last: after a crash the chunk is written again, which stores the same rows.
        self.journal.record(load_id, &chunk.range, rows).await
    }

    pub(super) async fn extend(&self, load_id: i64, rows: u64) -> Result<Range<i64>, StorageError> {
        let extended = self.metadata.change(|state| {
            let rows = i64::try_from(rows).ok().filter(|rows| *rows <= ID_LIMIT - state.next_id)?;
            let mut extended = Metadata { next_id: state.next_id + rows, ..state.clone() };
            extended.reserved.push(state.next_id..extended.next_id);
            Some(extended).filter(|_| state.is_loading(load_id))
        });
        match extended.await?.as_ref().and_then(|state| state.reserved.last()) {
            Some(range) => Ok(range.clone()),
            None => {
                self.require_open(load_id).await?;
                Err(StorageError::new(ErrorKind::Invalid, "there are no further ids"))
            }
        }
    }

    pub(super) async fn finish(&self, load_id: i64) -> Result<(), StorageError> {
        self.remove_demo(&self.require_open(load_id).await?).await?;
        let closed = self.metadata.change(|state| {
            let closed = Metadata { phase: Phase::Idle, reserved: Vec::new(), ..state.clone() };
            Some(closed).filter(|_| state.is_loading(load_id))
        });
        closed.await?.map(drop).ok_or_else(superseded)
    }

    /// Removes the demo games that the open load replaces, unless that has been done.
    async fn remove_demo(&self, state: &Metadata) -> Result<(), StorageError> {
        let Some(demo) = &state.demo else { return Ok(()) };
        self.demo_games.remove(demo).await?;
        // The note goes after the games: after a crash the next step of the load removes the rest.
        let load_id = state.load_id;
        let removed = self.metadata.change(|state| {
            let is_due = state.is_loading(load_id) && state.demo.is_some();
            is_due.then(|| Metadata { demo: None, ..state.clone() })
        });
        removed.await.map(drop)
    }

    /// Installs demo games, or completes an installation that a process has left in part.
    pub(super) async fn install_demo(&self, games: &[Overview]) -> Result<bool, StorageError> {
        let state = self.metadata.read().await?;
        let Some(demo) = demo_of(&state, games) else { return Ok(false) };
        let installing = match (state.phase, self.contents_at(&state).await?) {
            (Phase::InstallingDemo, Contents::Empty | Contents::Demo) => state,
            (Phase::Idle, Contents::Empty) => {
                // Claimed, so that the load that replaces them writes these ids by LWT: its plain
                // rows would be older than the tombstones of the conditional removal.
                self.claims.claim(demo.ids.clone(), ClaimTtl::Forever).await?;
                let (next_id, load_id, phase) = (demo.ids.end, demo.load_id, Phase::InstallingDemo);
                let demo = Some(demo);
                let installing = Metadata { next_id, load_id, phase, demo, ..state.clone() };
                if !self.metadata.replace(&state, &installing).await? {
                    return Ok(false);
                }
                installing
            }
            _ => return Ok(false),
        };
        self.games.write(installing.load_id, &games.iter().collect::<Vec<_>>()).await?;
        self.mark_installed(installing.load_id, games).await
    }

    /// Whether the games that were just written are the store's demo games now.
    async fn mark_installed(&self, load_id: i64, games: &[Overview]) -> Result<bool, StorageError> {
        let marked = self.metadata.change(|state| {
            let is_ours = state.load_id == load_id && state.phase == Phase::InstallingDemo;
            is_ours.then(|| Metadata { phase: Phase::Demo, ..state.clone() })
        });
        // Under the same number another process has installed the same games.
        if marked.await?.is_some() || self.metadata.read().await?.load_id == load_id {
            return Ok(true);
        }
        // A load has begun and removed the demo games, perhaps before the last of them was written.
        self.games.delete(load_id, games).await?;
        Ok(false)
    }
}

/// The demo games as the metadata will note them; `None` if their ids are not the next ones, or not
/// those of an installation that has begun.
fn demo_of(state: &Metadata, games: &[Overview]) -> Option<Demo> {
    let ids = || games.iter().map(|game| i64::from(game.game_id.0));
    let (first, last) = (ids().next()?, ids().next_back()?);
    let begun = state.demo.as_ref().filter(|_| state.phase == Phase::InstallingDemo);
    let expected = begun.map_or(state.next_id, |demo| demo.ids.start);
    let demo = Demo { ids: first..last + 1, load_id: state.load_id + 1, sum: sum(games) };
    let has_next_ids = ids().eq(demo.ids.clone()) && first == expected;
    let is_the_same = begun.is_none_or(|begun| (&begun.ids, begun.sum) == (&demo.ids, demo.sum));
    Some(demo).filter(|_| has_next_ids && is_the_same)
}

fn sum(games: &[Overview]) -> u128 {
    let mut digester = Digester::default();
    games.iter().for_each(|game| digester.add(game));
    digester.finish().sum
}
