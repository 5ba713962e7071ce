//! Bulk loads into Cassandra.
//!
//! In this module: the storage trait; what each of its operations does to the store ([`loader`]); the
//! writes of games ([`games_table`]); the chunks that are finished ([`chunk_journal`]); the removal
//! of demo games that a load replaces ([`demo_games`]). Not here: the row that notes the open load
//! ([`super::metadata`]), reading all games ([`super::inspection`]).
//!
//! Loads write without conditions, which saves the rounds of Paxos, with the load's number as timestamp.
//! Clients' writes have the time in microseconds and therefore win over every load, and a later load
//! wins over an earlier one.

mod chunk_journal;
mod demo_games;
mod games_table;
mod loader;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use self::loader::Loader;
use crate::db::cassandra::act::act_to_end;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::metadata::MetadataTable;
use crate::db::cassandra::overview::id_claims::IdClaims;
use crate::db::storage::{
    ActContext, Begin, Chunk, Contents, Load, LoadParams, LoadStore, NewLoad, StorageError,
};
use crate::overview::model::Overview;

/// A chunk is large enough that its few LWTs do not count; while one chunk ends with them, others
/// are written.
const LOAD_PARAMS: LoadParams =
    LoadParams { chunk: 10_000, in_flight: 3, finish_may_be_dropped: false };

pub(super) struct CassandraLoads {
    loader: Arc<Loader>,
}

impl CassandraLoads {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metadata: Arc<MetadataTable>,
        claims: Arc<IdClaims>,
    ) -> Result<Self, StorageError> {
        Ok(Self { loader: Arc::new(Loader::open(cluster, metadata, claims).await?) })
    }

    async fn act<T, F>(&self, work: impl FnOnce(Arc<Loader>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        act_to_end(ActContext::new(), work(Arc::clone(&self.loader))).await
    }
}

#[async_trait]
impl LoadStore for CassandraLoads {
    fn load_params(&self) -> LoadParams {
        LOAD_PARAMS
    }

    async fn contents(&self) -> Result<Contents, StorageError> {
        self.loader.contents().await
    }

    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError> {
        self.act(|loader| async move { loader.begin(load).await }).await
    }

    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.write(id, &chunk).await }).await
    }

    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.extend(id, rows).await }).await
    }

    async fn finish(&self, load: &Load) -> Result<(), StorageError> {
        let id = load.id;
        self.act(|loader| async move { loader.finish(id).await }).await
    }

    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError> {
        self.act(|loader| async move { loader.install_demo(&games).await }).await
    }
}
