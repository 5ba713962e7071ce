//! Reading and removing all games.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::Statement;
use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::act::act;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::{self, shape, storage};
use crate::db::cassandra::overview::row::{self, Row, columns};
use crate::db::cassandra::retry::retry_transient;
use crate::db::cassandra::token_ranges;
use crate::db::storage::{ActContext, Digest, Digester, StorageError};
use crate::overview::model::Overview;

const FIRST: &str = concat!("SELECT ", columns!(), " FROM $.overviews LIMIT ?");
const PART: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM $.overviews WHERE token(game_id) > ? AND token(game_id) <= ?"
);
/// Parts of the ring.
const PARTS: i64 = 128;
const CONCURRENCY: usize = 4;
/// Rows in one answer: about a megabyte.
const PAGE: i32 = 2_000;
const TRUNCATE_TIMEOUT: Duration = Duration::from_secs(60);
/// What a node tells about the table: its files, and an estimate that it makes now and then.
const FILES: &str = "SELECT mebibytes FROM system_views.disk_usage \
                     WHERE keyspace_name = ? AND table_name = 'overviews'";
const ESTIMATES: &str = "SELECT mean_partition_size, partitions_count FROM system.size_estimates \
                         WHERE keyspace_name = ? AND table_name = 'overviews'";
const TOKEN: &str = "SELECT token(game_id) FROM $.overviews WHERE game_id = ?";
/// Games that are weighed; they stand for all.
const WEIGHED: usize = 1_000;

pub(super) struct Scan {
    cluster: Arc<Cluster>,
    first: PreparedStatement,
    part: PreparedStatement,
    token: PreparedStatement,
}

impl Scan {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        let mut part = cluster.prepare(PART, StatementKind::Read).await?;
        part.set_page_size(PAGE);
        let first = cluster.prepare(FIRST, StatementKind::Read).await?;
        let token = cluster.prepare(TOKEN, StatementKind::Read).await?;
        Ok(Self { cluster: Arc::clone(cluster), first, part, token })
    }

    /// Up to `most` games.
    pub(super) async fn first(&self, most: i64) -> Result<Vec<Overview>, StorageError> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        row::all(self.cluster.execute(&self.first, (most,)).await?)
    }

    /// Removes all games, on all nodes, at once.
    pub(super) async fn truncate(&self) -> Result<(), StorageError> {
        let mut statement = Statement::new(self.cluster.text("TRUNCATE $.overviews"));
        statement.set_request_timeout(Some(TRUNCATE_TIMEOUT));
        let result = self.cluster.session().query_unpaged(statement, ()).await;
        result.map(drop).map_err(|e| storage(e, false))
    }

    pub(super) async fn digest(self: Arc<Self>) -> Result<Digest, StorageError> {
        let part = |(after, to)| act(ActContext::new(), Arc::clone(&self).part(after, to));
        let parts =
            stream::iter(token_ranges::parts(PARTS)).map(part).buffer_unordered(CONCURRENCY);
        parts.try_fold(Digest::default(), |all, part| ready(Ok(added(all, part)))).await
    }

    /// The digest of a part of the ring.
    async fn part(self: Arc<Self>, after: i64, to: i64) -> Result<Digest, StorageError> {
        retry_transient(|| self.read_part(after, to)).await
    }

    async fn read_part(&self, after: i64, to: i64) -> Result<Digest, StorageError> {
        let mut rows = self.cluster.rows::<Row>(&self.part, (after, to)).await?;
        let mut digester = Digester::default();
        while let Some(row) = rows.try_next().await.map_err(error::next_row)? {
            digester.add(&row.into());
        }
        Ok(digester.finish())
    }

    /// The most that anything says: files that a node has not written yet count nothing, nor does
    /// what it has not estimated yet.
    pub(super) async fn bytes(&self) -> Result<u64, StorageError> {
        let files: i64 = self.system::<(i64,)>(FILES).await.iter().map(|(mib,)| mib << 20).sum();
        let estimates = self.system::<(i64, i64)>(ESTIMATES).await;
        let estimated: i64 = estimates.iter().map(|(mean, count)| mean * count).sum();
        Ok(files.max(estimated).cast_unsigned().max(self.weighed().await?))
    }

    /// Bytes of all texts, from the first games and the part of the ring that they cover.
    async fn weighed(&self) -> Result<u64, StorageError> {
        let games = self.first(WEIGHED as i64).await?;
        let weight = games.iter().map(weight).sum::<usize>() as u64;
        let Some(last) = games.last().filter(|_| games.len() == WEIGHED) else {
            return Ok(weight);
        };
        let result = self.cluster.execute(&self.token, (last.game_id.0,)).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        // Removed this very moment: then the sample alone is what is known.
        let token = rows.maybe_first_row::<(i64,)>().map_err(shape)?.map_or(i64::MAX, |(t,)| t);
        Ok((weight as f64 / token_ranges::share_up_to(token)) as u64)
    }

    /// Rows of a system table; none where the server has no such table.
    async fn system<T>(&self, text: &str) -> Vec<T>
    where
        for<'a> T: scylla::deserialize::row::DeserializeRow<'a, 'a>,
    {
        let values = (&self.cluster.settings().keyspace,);
        let Ok(result) = self.cluster.session().query_unpaged(text, values).await else {
            return Vec::new();
        };
        let rows = result.into_rows_result();
        let rows = rows.as_ref().ok().and_then(|rows| rows.rows::<T>().ok());
        rows.map(|rows| rows.flatten().collect()).unwrap_or_default()
    }
}

/// Bytes of a game's texts.
fn weight(game: &Overview) -> usize {
    let texts =
        [&game.game_name, &game.description, &game.release_date, &game.developer, &game.publisher];
    texts.into_iter().chain(&game.tags).map(String::len).sum()
}

fn added(all: Digest, part: Digest) -> Digest {
    Digest { rows: all.rows + part.rows, sum: all.sum.wrapping_add(part.sum) }
}
