//! Reads about all games: their digest and their size. Comparing the replicas of every table is in
//! [`super::replica_check`], checking the cart in [`super::cart`].

use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::deserialize::row::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::act::act_to_end;
use super::connection::{Cluster, StatementKind};
use super::error::next_row;
use super::overview::row::{self, Row, columns};
use super::query_result::{optional_row, rows};
use super::retry::retry_transient;
use super::token_ranges;
use crate::db::storage::{ActContext, Digest, Digester, Inspection, StorageError};
use crate::overview::model::Overview;

const RANGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM $.overviews WHERE token(game_id) > ? AND token(game_id) <= ?"
);
/// Ranges of tokens, each of them read and retried by itself.
const RANGES: i64 = 128;
const CONCURRENCY: usize = 4;
/// Rows in one answer: about a megabyte.
const PAGE: i32 = 2_000;
/// What a node says of the table: the size of its files, and an estimate that it updates at times.
const FILES: &str = "SELECT mebibytes FROM system_views.disk_usage \
                     WHERE keyspace_name = ? AND table_name = 'overviews'";
const ESTIMATES: &str = "SELECT mean_partition_size, partitions_count FROM system.size_estimates \
                         WHERE keyspace_name = ? AND table_name = 'overviews'";
const TOKEN: &str = "SELECT token(game_id) FROM $.overviews WHERE game_id = ?";
/// Games in the sample from which the size is extrapolated.
const SAMPLE: i32 = 1_000;

pub(super) struct CassandraInspection {
    cluster: Arc<Cluster>,
    range: PreparedStatement,
    first: PreparedStatement,
    token: PreparedStatement,
}

impl CassandraInspection {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        let mut range = cluster.prepare(RANGE, StatementKind::Read).await?;
        range.set_page_size(PAGE);
        let first = cluster.prepare(row::FIRST, StatementKind::Read).await?;
        let token = cluster.prepare(TOKEN, StatementKind::Read).await?;
        Ok(Self { cluster: Arc::clone(cluster), range, first, token })
    }

    /// Bytes of all texts, extrapolated from a sample: the first games, and the share of the tokens
    /// that they cover.
    async fn sampled_bytes(&self) -> Result<u64, StorageError> {
        let games = row::all(self.cluster.execute(&self.first, (SAMPLE,)).await?)?;
        let bytes = games.iter().map(text_bytes).sum::<usize>() as u64;
        let Some(last) = games.last().filter(|_| games.len() == SAMPLE as usize) else {
            return Ok(bytes);
        };
        let token = self.cluster.execute(&self.token, (last.game_id.0,)).await?;
        // A game that was removed meanwhile has no token: then the sample alone counts.
        let token = optional_row::<(i64,)>(token)?.map_or(i64::MAX, |(token,)| token);
        Ok((bytes as f64 / token_ranges::share_up_to(token)) as u64)
    }

    /// Rows of a system table; none where the server has no such table.
    async fn system_rows<T>(&self, text: &str) -> Vec<T>
    where
        for<'a> T: DeserializeRow<'a, 'a>,
    {
        let values = (&self.cluster.settings().keyspace,);
        let result = self.cluster.session().query_unpaged(text, values).await;
        result.ok().and_then(|result| rows(result).ok()).unwrap_or_default()
    }
}

#[async_trait]
impl Inspection for CassandraInspection {
    async fn digest(&self) -> Result<Digest, StorageError> {
        // Tasks of their own, because decoding and hashing use as much of a core as there is.
        let digest = |range| {
            let (cluster, statement) = (Arc::clone(&self.cluster), self.range.clone());
            act_to_end(ActContext::new(), async move {
                retry_transient(|| digest_range(&cluster, &statement, range)).await
            })
        };
        let ranges = stream::iter(token_ranges::parts(RANGES)).map(digest);
        ranges
            .buffer_unordered(CONCURRENCY)
            .try_fold(Digest::default(), |sum, range| ready(Ok(added(sum, range))))
            .await
    }

    /// The largest of what is known: a node's figures leave out what it has not yet written to files
    /// or estimated.
    async fn bytes(&self) -> Result<u64, StorageError> {
        let files = self.system_rows::<(i64,)>(FILES).await;
        let files: i64 = files.iter().map(|(mebibytes,)| mebibytes << 20).sum();
        let estimates = self.system_rows::<(i64, i64)>(ESTIMATES).await;
        let estimated: i64 = estimates.iter().map(|(mean, count)| mean * count).sum();
        Ok(files.max(estimated).cast_unsigned().max(self.sampled_bytes().await?))
    }
}

async fn digest_range(
    cluster: &Cluster,
    statement: &PreparedStatement,
    range: (i64, i64),
) -> Result<Digest, StorageError> {
    let mut rows = cluster.rows::<Row>(statement, range).await?;
    let mut digester = Digester::default();
    while let Some(row) = rows.try_next().await.map_err(next_row)? {
        digester.add(&row.into());
    }
    Ok(digester.finish())
}

fn text_bytes(game: &Overview) -> usize {
    let texts =
        [&game.game_name, &game.description, &game.release_date, &game.developer, &game.publisher];
    texts.into_iter().chain(&game.tags).map(String::len).sum()
}

fn added(one: Digest, other: Digest) -> Digest {
    Digest { rows: one.rows + other.rows, sum: one.sum.wrapping_add(other.sum) }
}
