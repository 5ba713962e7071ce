//! The game pages in Cassandra.
//!
//! In this module: the storage trait over the table `overviews`, the writes of clients ([`create`],
//! [`change`]), the assignment of ids ([`id_batcher`]), the claims of ids that keep creates and bulk
//! loads apart ([`id_claims`]) and the table's rows ([`row`]). Not here: loads and the counter of ids ([`super::loads`],
//! [`super::metadata`]).
//!
//! Clients write by LWT only. Pages are in the order of the ids' tokens, which is not ascending but
//! fixed: a game keeps its place as long as it exists.

mod change;
mod create;
mod id_batcher;
pub(super) mod id_claims;
#[cfg(test)]
mod precondition_tests;
pub(super) mod row;

use std::sync::Arc;

use async_trait::async_trait;
use scylla::statement::prepared::PreparedStatement;

use self::id_batcher::IdBatcher;
use self::id_claims::IdClaims;
use self::row::columns;
use crate::db::cassandra::act::act;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::idempotency::IdempotencyKeys;
use crate::db::cassandra::metadata::MetadataTable;
use crate::db::cassandra::query_result::optional_row;
use crate::db::common::page;
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, StorageError, Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};
use crate::telemetry::Registry;

const AFTER: &str =
    concat!("SELECT ", columns!(), " FROM $.overviews WHERE token(game_id) > token(?) LIMIT ?");
const EXISTS: &str = "SELECT game_id FROM $.overviews WHERE game_id = ?";

pub(super) struct CassandraOverviews {
    games: Arc<Games>,
    keys: Arc<IdempotencyKeys>,
}

/// What the task of a write needs.
struct Games {
    cluster: Arc<Cluster>,
    metadata: Arc<MetadataTable>,
    claims: Arc<IdClaims>,
    ids: IdBatcher,
    find: PreparedStatement,
    find_serial: PreparedStatement,
    first: PreparedStatement,
    after: PreparedStatement,
    exists: PreparedStatement,
    insert: PreparedStatement,
    changes: change::Statements,
}

impl CassandraOverviews {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metadata: &Arc<MetadataTable>,
        claims: &Arc<IdClaims>,
        keys: Arc<IdempotencyKeys>,
        registry: &Registry,
    ) -> Result<Self, StorageError> {
        let games = Games {
            cluster: Arc::clone(cluster),
            metadata: Arc::clone(metadata),
            claims: Arc::clone(claims),
            ids: IdBatcher::start(Arc::clone(metadata), Arc::clone(claims), registry),
            find: cluster.prepare(row::FIND, StatementKind::Read).await?,
            find_serial: cluster.prepare(row::FIND, StatementKind::SerialRead).await?,
            first: cluster.prepare(row::FIRST, StatementKind::Read).await?,
            after: cluster.prepare(AFTER, StatementKind::Read).await?,
            exists: cluster.prepare(EXISTS, StatementKind::Read).await?,
            insert: cluster.prepare(row::INSERT, StatementKind::Conditional).await?,
            changes: change::Statements::prepare(cluster).await?,
        };
        Ok(Self { games: Arc::new(games), keys })
    }
}

#[async_trait]
impl OverviewStore for CassandraOverviews {
    async fn find(
        &self,
        id: GameId,
        _seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        row::one(self.games.cluster.execute(&self.games.find, (id.0,)).await?)
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        let games = self.games.read_after(after, limit.saturating_add(1)).await?;
        Ok(page::cut(games, after, limit))
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        let (games, keys) = (Arc::clone(&self.games), Arc::clone(&self.keys));
        act(context.clone(), async move { games.create_once(&keys, &context, game).await }).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let (games, keys) = (Arc::clone(&self.games), Arc::clone(&self.keys));
        let update = {
            let context = context.clone();
            async move { games.update_once(&keys, &context, id, changes).await }
        };
        act(context, update).await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        let (games, keys) = (Arc::clone(&self.games), Arc::clone(&self.keys));
        act(context.clone(), async move { games.remove_once(&keys, &context, id).await }).await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.games.exists(1).await.map(drop)
    }
}

impl Games {
    async fn read_after(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<Overview>, StorageError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let result = match after {
            Some(Cursor(id)) => self.cluster.execute(&self.after, (id.0, limit)).await?,
            None => self.cluster.execute(&self.first, (limit,)).await?,
        };
        row::all(result)
    }

    async fn exists(&self, id: i32) -> Result<bool, StorageError> {
        let found = self.cluster.execute(&self.exists, (id,)).await?;
        Ok(optional_row::<(i32,)>(found)?.is_some())
    }

    /// The game as the last write left it.
    async fn read_serial(&self, id: GameId) -> Result<Option<Overview>, StorageError> {
        row::one(self.cluster.execute(&self.find_serial, (id.0,)).await?)
    }
}
