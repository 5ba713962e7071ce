//! Demo games: putting them in, and removing them for a load.
//!
//! Their ids are noted as claimed, so that the load that replaces them writes there by LWT, behind
//! the conditional removals.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;

use super::{Found, Loader, sum};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::{Demo, Metadata, Phase};
use crate::db::cassandra::overview::id_claims::ClaimTtl;
use crate::db::cassandra::overview::row::{self, columns};
use crate::db::storage::StorageError;
use crate::overview::model::Overview;

const FIND: &str = concat!("SELECT ", columns!(), " FROM $.overviews WHERE game_id = ?");
/// When each of a game's texts was written.
const TIMES: &str = "SELECT writetime(game_name), writetime(description), \
                     writetime(release_date), writetime(developer), writetime(publisher), \
                     writetime(tags) FROM $.overviews WHERE game_id = ?";
const REMOVE: &str = "DELETE FROM $.overviews WHERE game_id = ? IF game_name = ? \
                      AND description = ? AND release_date = ? AND developer = ? \
                      AND publisher = ? AND tags = ?";
/// Conditional removals under way.
const CONCURRENCY: usize = 32;

type Times = (i64, i64, i64, i64, i64, i64);

pub(super) struct DemoGames {
    cluster: Arc<Cluster>,
    find: PreparedStatement,
    times: PreparedStatement,
    remove: PreparedStatement,
}

impl DemoGames {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            find: cluster.prepare(FIND, StatementKind::SerialRead).await?,
            times: cluster.prepare(TIMES, StatementKind::SerialRead).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Conditional).await?,
        })
    }

    /// Removes the demo games that nobody has changed. May be repeated.
    pub(super) async fn remove(&self, demo: &Demo) -> Result<(), StorageError> {
        let ids = demo.ids.clone().filter_map(|id| i32::try_from(id).ok());
        let remove = |id| self.remove_one(id, demo.load_id);
        stream::iter(ids).map(remove).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Removes a game that is as the load has written it. The texts are read first: a change
    /// behind the second read is found by the condition, one before it by its time.
    async fn remove_one(&self, id: i32, load: i64) -> Result<(), StorageError> {
        let found = row::one(self.cluster.execute(&self.find, (id,)).await?)?;
        let Some(game) = found else { return Ok(()) };
        if self.is_changed(id, load).await? {
            return Ok(());
        }
        let removed = self.cluster.execute(&self.remove, row::values(&game)).await?;
        applied(removed).map(drop)
    }

    async fn is_changed(&self, id: i32, load: i64) -> Result<bool, StorageError> {
        let result = self.cluster.execute(&self.times, (id,)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        let times = rows.maybe_first_row::<Times>().map_err(shape)?;
        Ok(times.is_none_or(|(a, b, c, d, e, f)| [a, b, c, d, e, f] != [load; 6]))
    }
}

impl Loader {
    /// Puts demo games in, or the rest of them if somebody died in the middle of it.
    pub(super) async fn install_demo(&self, games: &[Overview]) -> Result<bool, StorageError> {
        let state = self.metadata.read().await?;
        let Some(demo) = demo_of(&state, games) else { return Ok(false) };
        let installing = match (state.phase, self.found(&state).await?) {
            (Phase::InstallingDemo, Found::Empty | Found::Demo) => state,
            (Phase::Idle, Found::Empty) => {
                self.games.claims().claim(demo.ids.clone(), ClaimTtl::Forever).await?;
                let installing = installing(&state, demo);
                if !self.metadata.replace(&state, &installing).await? {
                    return Ok(false);
                }
                installing
            }
            _ => return Ok(false),
        };
        self.games.write(installing.load_id, &games.iter().collect::<Vec<_>>()).await?;
        self.mark_installed(&installing, games).await
    }

    /// Whether the games that have just been written are the store's demo games now.
    async fn mark_installed(
        &self,
        installing: &Metadata,
        games: &[Overview],
    ) -> Result<bool, StorageError> {
        let marked = self.metadata.change(|state| {
            let is_ours =
                state.load_id == installing.load_id && state.phase == Phase::InstallingDemo;
            is_ours.then(|| Metadata { phase: Phase::Demo, ..state.clone() })
        });
        if marked.await?.is_some() {
            return Ok(true);
        }
        let state = self.metadata.read().await?;
        if state.load_id == installing.load_id {
            return Ok(true);
        }
        // A load has begun meanwhile, which has removed the demo games.
        self.games.delete_rows(installing.load_id, games).await?;
        Ok(false)
    }
}

/// The demo games that are to be in the store after it; `None` if their ids are not the next, or
/// not those that are being put in.
fn demo_of(state: &Metadata, games: &[Overview]) -> Option<Demo> {
    let ids = || games.iter().map(|game| i64::from(game.game_id.0));
    let (first, last) = (ids().next()?, ids().next_back()?);
    let begun = state.demo.as_ref().filter(|_| state.phase == Phase::InstallingDemo);
    let expected = begun.map_or(state.next_id, |demo| demo.ids.start);
    let demo = Demo { ids: first..last + 1, load_id: state.load_id + 1, sum: sum(games) };
    let is_demo = ids().eq(demo.ids.clone()) && first == expected;
    let is_the_same = begun.is_none_or(|begun| (&begun.ids, begun.sum) == (&demo.ids, demo.sum));
    Some(demo).filter(|_| is_demo && is_the_same)
}

fn installing(state: &Metadata, demo: Demo) -> Metadata {
    Metadata {
        next_id: demo.ids.end,
        load_id: demo.load_id,
        phase: Phase::InstallingDemo,
        demo: Some(demo),
        ..state.clone()
    }
}
