//! A decorator that lets a replica answer reads, without ever showing a client an older state than
//! it has seen.

use std::sync::Arc;

use async_trait::async_trait;

use super::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, Replica, StorageError,
    Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

/// Reads go to the replica where it has replayed what the client has seen, else to the primary;
/// writes go to the primary.
pub(super) struct RoutedOverviews {
    pub(super) primary: Arc<dyn OverviewStore>,
    pub(super) replica: Arc<dyn Replica>,
}

#[async_trait]
impl OverviewStore for RoutedOverviews {
    async fn find(
        &self,
        id: GameId,
        seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        match self.replica.find(id, seen).await {
            Some(found) => Ok(found),
            None => self.primary.find(id, seen).await,
        }
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        match self.replica.page(after, limit, seen).await {
            Some(page) => Ok(page),
            None => self.primary.page(after, limit, seen).await,
        }
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        self.primary.create(context, game).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        self.primary.update(context, id, changes).await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        self.primary.remove(context, id).await
    }

    fn has_replica(&self) -> bool {
        true
    }

    async fn read_token(&self) -> Option<ReadToken> {
        // The write has happened. If its place in the history is unknown, its client must not read
        // from the replica at all.
        Some(self.replica.read_token().await.unwrap_or(ReadToken::LAST))
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.primary.ping().await
    }
}
