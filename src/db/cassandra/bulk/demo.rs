//! Demo games: putting them in, and removing them for a load.
//!
//! Their ids are noted as claimed, so that the load that replaces them writes there by LWT, behind
//! the conditional removals.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;

use super::{Bulk, Found, sum};
use crate::db::cassandra::claims::Kept;
use crate::db::cassandra::connection::{Cluster, Purpose};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::store::{Demo, Phase, State};
use crate::db::storage::StorageError;
use crate::overview::model::Overview;

/// A game's texts and when each was written.
const WRITTEN: &str = "SELECT game_name, description, release_date, developer, publisher, tags, \
                       writetime(game_name), writetime(description), writetime(release_date), \
                       writetime(developer), writetime(publisher), writetime(tags) \
                       FROM $.overviews WHERE game_id = ?";
const REMOVE: &str = "DELETE FROM $.overviews WHERE game_id = ? IF game_name = ? \
                      AND description = ? AND release_date = ? AND developer = ? \
                      AND publisher = ? AND tags = ?";
/// Conditional removals under way.
const AT_ONCE: usize = 32;

type Written = (String, String, String, String, String, Vec<String>, i64, i64, i64, i64, i64, i64);

pub(super) struct DemoGames {
    cluster: Arc<Cluster>,
    written: PreparedStatement,
    remove: PreparedStatement,
}

impl DemoGames {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            written: cluster.prepare(WRITTEN, Purpose::SerialRead).await?,
            remove: cluster.prepare(REMOVE, Purpose::Conditional).await?,
        })
    }

    /// Removes the demo games that nobody has changed. May be repeated.
    pub(super) async fn remove(&self, demo: &Demo) -> Result<(), StorageError> {
        let ids = demo.ids.clone().filter_map(|id| i32::try_from(id).ok());
        let remove = |id| self.remove_one(id, demo.load);
        stream::iter(ids).map(remove).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn remove_one(&self, id: i32, load: i64) -> Result<(), StorageError> {
        let result = self.cluster.execute(&self.written, (id,)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        // A game that somebody has created there since may lack nothing either, but is younger.
        let Some(written) = rows.maybe_first_row::<Written>().map_err(shape)? else {
            return Ok(());
        };
        let (name, description, date, developer, publisher, tags, a, b, c, d, e, f) = written;
        if [a, b, c, d, e, f].iter().any(|time| *time != load) {
            return Ok(());
        }
        let values = (id, name, description, date, developer, publisher, tags);
        applied(self.cluster.execute(&self.remove, values).await?).map(drop)
    }
}

impl Bulk {
    /// Puts demo games in, or the rest of them if somebody died in the middle of it.
    pub(super) async fn stock(&self, games: &[Overview]) -> Result<bool, StorageError> {
        let state = self.store.read().await?;
        let Some(demo) = demo_of(&state, games) else { return Ok(false) };
        let stocking = match (state.phase, self.found(&state).await?) {
            (Phase::Stocking, Found::Empty | Found::Demo) => state,
            (Phase::Idle, Found::Empty) => {
                self.rows.claims().note(demo.ids.clone(), Kept::Forever).await?;
                let stocking = stocking(&state, demo);
                if !self.store.replace(&state, &stocking).await? {
                    return Ok(false);
                }
                stocking
            }
            _ => return Ok(false),
        };
        self.rows.write(stocking.load, &games.iter().collect::<Vec<_>>()).await?;
        self.stocked(&stocking, games).await
    }

    /// Whether the games that have just been written are the store's demo games now.
    async fn stocked(&self, stocking: &State, games: &[Overview]) -> Result<bool, StorageError> {
        let stocked = self.store.change(|state| {
            let ours = state.load == stocking.load && state.phase == Phase::Stocking;
            ours.then(|| State { phase: Phase::Demo, ..state.clone() })
        });
        if stocked.await?.is_some() {
            return Ok(true);
        }
        let state = self.store.read().await?;
        if state.load == stocking.load {
            return Ok(true);
        }
        // A load has begun meanwhile, which has removed the demo games.
        self.rows.take_back(stocking.load, games).await?;
        Ok(false)
    }
}

/// The demo games that are to be in the store after it; `None` if their ids are not the next, or
/// not those that are being put in.
fn demo_of(state: &State, games: &[Overview]) -> Option<Demo> {
    let ids = || games.iter().map(|game| i64::from(game.game_id.0));
    let (first, last) = (ids().next()?, ids().next_back()?);
    let begun = state.demo.as_ref().filter(|_| state.phase == Phase::Stocking);
    let expected = begun.map_or(state.next, |demo| demo.ids.start);
    let demo = Demo { ids: first..last + 1, load: state.load + 1, sum: sum(games) };
    let is_theirs = ids().eq(demo.ids.clone()) && first == expected;
    let is_the_same = begun.is_none_or(|begun| (&begun.ids, begun.sum) == (&demo.ids, demo.sum));
    Some(demo).filter(|_| is_theirs && is_the_same)
}

fn stocking(state: &State, demo: Demo) -> State {
    State {
        next: demo.ids.end,
        load: demo.load,
        phase: Phase::Stocking,
        demo: Some(demo),
        ..state.clone()
    }
}
