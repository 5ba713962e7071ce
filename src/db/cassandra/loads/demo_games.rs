//! Removes the demo games that a load replaces, except those that a client has changed.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::Demo;
use crate::db::cassandra::overview::row;
use crate::db::cassandra::query_result::optional_row;
use crate::db::storage::StorageError;

/// When each column of a game was written.
const TIMES: &str = "SELECT writetime(game_name), writetime(description), \
                     writetime(release_date), writetime(developer), writetime(publisher), \
                     writetime(tags) FROM $.overviews WHERE game_id = ?";
const REMOVE: &str = "DELETE FROM $.overviews WHERE game_id = ? IF game_name = ? \
                      AND description = ? AND release_date = ? AND developer = ? \
                      AND publisher = ? AND tags = ?";
/// LWTs in flight.
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
            find: cluster.prepare(row::FIND, StatementKind::SerialRead).await?,
            times: cluster.prepare(TIMES, StatementKind::SerialRead).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Conditional).await?,
        })
    }

    /// Removes the demo games that no client has changed. May be repeated.
    pub(super) async fn remove(&self, demo: &Demo) -> Result<(), StorageError> {
        let ids = demo.ids.clone().filter_map(|id| i32::try_from(id).ok());
        let remove = |id| self.remove_one(id, demo.load_id);
        stream::iter(ids).map(remove).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Removes a game if it is as the installation has written it. The texts are read before the
    /// times: a change before the read of the times is seen by its time, a later one fails the
    /// condition on the texts.
    async fn remove_one(&self, id: i32, load_id: i64) -> Result<(), StorageError> {
        let found = row::one(self.cluster.execute(&self.find, (id,)).await?)?;
        let Some(game) = found else { return Ok(()) };
        if self.is_changed(id, load_id).await? {
            return Ok(());
        }
        let removed = self.cluster.execute(&self.remove, row::values(&game)).await?;
        applied(removed).map(drop)
    }

    async fn is_changed(&self, id: i32, load_id: i64) -> Result<bool, StorageError> {
        let times = optional_row::<Times>(self.cluster.execute(&self.times, (id,)).await?)?;
        Ok(times.is_none_or(|(a, b, c, d, e, f)| [a, b, c, d, e, f] != [load_id; 6]))
    }
}
