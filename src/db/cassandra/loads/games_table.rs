//! The table `overviews` as a load uses it: rows without conditions, and LWT for claimed ids.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::TryFutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::Statement;
use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::adaptive_limiter::{AdaptiveLimiter, MAX_LIMIT};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::storage;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::overview::id_claims::IdClaims;
use crate::db::cassandra::overview::row::{self, columns};
use crate::db::storage::{Chunk, StorageError};
use crate::overview::model::Overview;

/// The timestamp is the load's number, which is older than every client's write.
const WRITE: &str = concat!(
    "INSERT INTO $.overviews (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
);
/// At the timestamp of the load, so that it hides the load's row and no younger one.
const DELETE: &str = "DELETE FROM $.overviews USING TIMESTAMP ? WHERE game_id = ?";
const TRUNCATE_TIMEOUT: Duration = Duration::from_secs(60);
/// LWTs in flight.
const CONDITIONAL_CONCURRENCY: usize = 32;

pub(super) struct GamesTable {
    cluster: Arc<Cluster>,
    claims: Arc<IdClaims>,
    limiter: AdaptiveLimiter,
    first: PreparedStatement,
    write: PreparedStatement,
    delete: PreparedStatement,
    insert: PreparedStatement,
    find: PreparedStatement,
}

impl GamesTable {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        claims: &Arc<IdClaims>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            claims: Arc::clone(claims),
            limiter: AdaptiveLimiter::new(),
            first: cluster.prepare(row::FIRST, StatementKind::Read).await?,
            write: cluster.prepare(WRITE, StatementKind::Plain).await?,
            delete: cluster.prepare(DELETE, StatementKind::Plain).await?,
            insert: cluster.prepare(row::INSERT, StatementKind::Conditional).await?,
            find: cluster.prepare(row::FIND, StatementKind::SerialRead).await?,
        })
    }

    /// Up to `most` games.
    pub(super) async fn first(&self, most: i64) -> Result<Vec<Overview>, StorageError> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        row::all(self.cluster.execute(&self.first, (most,)).await?)
    }

    /// Removes all games on all nodes.
    pub(super) async fn truncate(&self) -> Result<(), StorageError> {
        let mut statement = Statement::new(self.cluster.text("TRUNCATE $.overviews"));
        statement.set_request_timeout(Some(TRUNCATE_TIMEOUT));
        let result = self.cluster.session().query_unpaged(statement, ()).await;
        result.map(drop).map_err(|e| storage(e, false))
    }

    /// Stores the games of a chunk whose ids are free; returns how many of its games are stored. May
    /// be repeated.
    pub(super) async fn store(&self, load_id: i64, chunk: &Chunk) -> Result<u64, StorageError> {
        // Ids claimed before are left out: a plain row would hide behind a removed game's tombstone.
        let before = self.claims.claimed_in(&chunk.range).await?;
        let (mut claimed, free): (Vec<_>, Vec<_>) =
            chunk.games.iter().partition(|game| is_in(&before, game));
        self.write(load_id, &free).await?;
        // Ids claimed meanwhile are decided by LWT: a create that read no row may have won.
        let after = self.claims.claimed_in(&chunk.range).await?;
        let (late, stored): (Vec<_>, Vec<_>) =
            free.into_iter().partition(|game| is_in(&after, game));
        claimed.extend(late);
        let insert = |n: usize| self.insert_one(claimed[n]);
        let inserted = self.each(claimed.len(), CONDITIONAL_CONCURRENCY, insert).await?;
        Ok(stored.len() as u64 + inserted)
    }

    /// Writes games without conditions.
    pub(super) async fn write(
        &self,
        load_id: i64,
        games: &[&Overview],
    ) -> Result<(), StorageError> {
        let write = |n: usize| self.write_one(load_id, games[n]).map_ok(|()| true);
        self.each(games.len(), MAX_LIMIT, write).await.map(drop)
    }

    /// Deletes what the load has written under the ids of these games. Clients' rows and those that
    /// were inserted by LWT are younger and stay.
    pub(super) async fn delete(
        &self,
        load_id: i64,
        games: &[Overview],
    ) -> Result<(), StorageError> {
        let delete = |n: usize| {
            let values = (load_id, games[n].game_id.0);
            self.cluster.execute(&self.delete, values).map_ok(|_| true)
        };
        self.each(games.len(), MAX_LIMIT, delete).await.map(drop)
    }

    /// Runs a write for each of so many games; returns how many of them were true.
    async fn each<F>(
        &self,
        count: usize,
        concurrency: usize,
        write: impl Fn(usize) -> F,
    ) -> Result<u64, StorageError>
    where
        F: Future<Output = Result<bool, StorageError>>,
    {
        let write = &write;
        let writes = stream::iter(0..count).map(|n| self.limiter.run(move || write(n)));
        let writes = writes.buffer_unordered(concurrency);
        writes.try_fold(0, |sum, stored| ready(Ok(sum + u64::from(stored)))).await
    }

    async fn write_one(&self, load_id: i64, game: &Overview) -> Result<(), StorageError> {
        let (id, name, description, date, developer, publisher, tags) = row::values(game);
        let values = (id, name, description, date, developer, publisher, tags, load_id);
        self.cluster.execute(&self.write, values).await.map(drop)
    }

    /// Whether the game is stored. If it was there before, an earlier try of the same chunk has
    /// stored it.
    async fn insert_one(&self, game: &Overview) -> Result<bool, StorageError> {
        let inserted = self.cluster.execute(&self.insert, row::values(game)).await?;
        if applied(inserted)? {
            return Ok(true);
        }
        let found = self.cluster.execute(&self.find, (game.game_id.0,)).await?;
        Ok(row::one(found)?.as_ref() == Some(game))
    }
}

fn is_in(ids: &BTreeSet<i64>, game: &Overview) -> bool {
    ids.contains(&i64::from(game.game_id.0))
}
