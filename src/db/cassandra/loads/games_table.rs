//! Writing the games of a load.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use futures::TryFutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::adaptive_limiter::{AdaptiveLimiter, MAX_LIMIT};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::overview::id_claims::IdClaims;
use crate::db::cassandra::overview::row::{self, columns};
use crate::db::storage::{Chunk, StorageError};
use crate::overview::model::Overview;

/// With the load's number as timestamp; see the schema.
const LOAD: &str = concat!(
    "INSERT INTO $.overviews (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
);
/// Takes away what that load has written under the id, and nothing else.
const DELETE: &str = "DELETE FROM $.overviews USING TIMESTAMP ? WHERE game_id = ?";
const FIND: &str = concat!("SELECT ", columns!(), " FROM $.overviews WHERE game_id = ?");
/// Conditional writes under way.
const CONCURRENCY: usize = 32;

pub(super) struct GamesTable {
    cluster: Arc<Cluster>,
    claims: Arc<IdClaims>,
    limiter: AdaptiveLimiter,
    load: PreparedStatement,
    delete_rows: PreparedStatement,
    insert: PreparedStatement,
    find: PreparedStatement,
}

impl GamesTable {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        claims: Arc<IdClaims>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            claims,
            limiter: AdaptiveLimiter::new(),
            load: cluster.prepare(LOAD, StatementKind::Plain).await?,
            delete_rows: cluster.prepare(DELETE, StatementKind::Plain).await?,
            insert: cluster.prepare(row::INSERT, StatementKind::Conditional).await?,
            find: cluster.prepare(FIND, StatementKind::SerialRead).await?,
        })
    }

    pub(super) fn claims(&self) -> &IdClaims {
        &self.claims
    }

    /// Stores the games of a chunk whose ids are free; returns how many of them are there. May be
    /// repeated.
    pub(super) async fn store(&self, load_id: i64, chunk: &Chunk) -> Result<u64, StorageError> {
        let before = self.claims.claimed_in(&chunk.range).await?;
        let (mut claimed, plain): (Vec<_>, Vec<_>) =
            chunk.games.iter().partition(|game| is_in(&before, game));
        self.write(load_id, &plain).await?;
        let after = self.claims.claimed_in(&chunk.range).await?;
        let (late, stored): (Vec<_>, Vec<_>) =
            plain.into_iter().partition(|game| is_in(&after, game));
        claimed.extend(late);
        Ok(stored.len() as u64 + self.insert(&claimed).await?)
    }

    /// Writes games plainly.
    pub(super) async fn write(
        &self,
        load_id: i64,
        games: &[&Overview],
    ) -> Result<(), StorageError> {
        let write = |n: usize| self.limiter.run(move || self.write_one(load_id, games[n]));
        let writes = stream::iter(0..games.len()).map(write).buffer_unordered(MAX_LIMIT);
        writes.try_collect().await
    }

    async fn write_one(&self, load_id: i64, game: &Overview) -> Result<(), StorageError> {
        let (id, name, description, date, developer, publisher, tags) = row::values(game);
        let values = (id, name, description, date, developer, publisher, tags, load_id);
        self.cluster.execute(&self.load, values).await.map(drop)
    }

    /// Stores games under ids that others have or had in mind; returns how many are there.
    async fn insert(&self, games: &[&Overview]) -> Result<u64, StorageError> {
        let insert = |n: usize| self.limiter.run(move || self.insert_one(games[n]));
        let inserted = stream::iter(0..games.len()).map(insert).buffer_unordered(CONCURRENCY);
        inserted.try_fold(0, |rows, stored| ready(Ok(rows + u64::from(stored)))).await
    }

    /// Whether the game is there now. If it was there before, an earlier attempt at the same chunk
    /// has stored it.
    async fn insert_one(&self, game: &Overview) -> Result<bool, StorageError> {
        let inserted = self.cluster.execute(&self.insert, row::values(game)).await?;
        if applied(inserted)? {
            return Ok(true);
        }
        let found = self.cluster.execute(&self.find, (game.game_id.0,)).await?;
        Ok(row::one(found)?.as_ref() == Some(game))
    }

    /// Removes what the load has written under the ids of these games. What anybody else has
    /// written under them, and what was settled, is younger and stays.
    pub(super) async fn delete_rows(
        &self,
        load_id: i64,
        games: &[Overview],
    ) -> Result<(), StorageError> {
        let delete_rows = |n: usize| {
            let values = (load_id, games[n].game_id.0);
            self.limiter.run(move || self.cluster.execute(&self.delete_rows, values).map_ok(drop))
        };
        stream::iter(0..games.len())
            .map(delete_rows)
            .buffer_unordered(MAX_LIMIT)
            .try_collect()
            .await
    }
}

fn is_in(ids: &BTreeSet<i64>, game: &Overview) -> bool {
    ids.contains(&i64::from(game.game_id.0))
}
