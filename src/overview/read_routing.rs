//! Reading from a copy where there is one, without ever showing a client less than it has seen.

use std::sync::Arc;

use axum::response::Response;
use http::HeaderMap;

use super::model::{GameId, Overview};
use crate::db::storage::{Cursor, OverviewStore, Page, ReadToken, Replica, StorageError};
use crate::web::read_token;

/// The store, and perhaps a copy of it.
#[derive(Clone)]
pub struct ReadRouting {
    /// The store itself; all writes go to it.
    pub store: Arc<dyn OverviewStore>,
    /// The copy.
    pub replica: Option<Arc<dyn Replica>>,
}

impl ReadRouting {
    pub(super) async fn find(
        &self,
        id: GameId,
        request: &HeaderMap,
    ) -> Result<Option<Overview>, StorageError> {
        if let Some(replica) = &self.replica
            && let Some(found) = replica.find(id, read_token::seen(request)).await
        {
            return Ok(found);
        }
        self.store.find(id).await
    }

    pub(super) async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        request: &HeaderMap,
    ) -> Result<Page, StorageError> {
        if let Some(replica) = &self.replica
            && let Some(page) = replica.page(after, limit, read_token::seen(request)).await
        {
            return Ok(page);
        }
        self.store.page(after, limit).await
    }

    /// The answer to a write, with a position behind it.
    pub(super) async fn written(&self, mut answer: Response) -> Response {
        if let Some(replica) = &self.replica {
            // The write has happened; who cannot be told where must not ask the copy.
            let written = replica.read_token().await.unwrap_or(ReadToken::LAST);
            read_token::mark(&mut answer, written);
        }
        answer
    }
}
