//! Calls about games.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use prometheus_client::metrics::histogram::Histogram;

use super::{Call, Calls, Metered, outcome};
use crate::db::storage::{
    ActContext, Create, Cursor, OverviewStore, Page, ReadToken, Remove, StorageError, Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

pub(super) struct MeteredOverviews {
    store: Metered<dyn OverviewStore>,
    /// The metric of a successful `overview_find`, looked up once because it is most of the traffic.
    found: Histogram,
}

impl MeteredOverviews {
    pub(super) fn new(inner: Arc<dyn OverviewStore>, calls: &Calls) -> Self {
        let call = Call { call: "overview_find", outcome: "ok" };
        let found = calls.get_or_create_owned(&call);
        Self { store: Metered::new(inner, calls), found }
    }
}

#[async_trait]
impl OverviewStore for MeteredOverviews {
    async fn find(
        &self,
        id: GameId,
        seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        let begun = Instant::now();
        let result = self.store.inner.find(id, seen).await;
        match &result {
            Ok(_) => self.found.observe(begun.elapsed().as_secs_f64()),
            Err(_) => self.store.record("overview_find", begun, outcome(&result)),
        }
        result
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        self.store.time("overview_page", self.store.inner.page(after, limit, seen)).await
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        self.store.time("overview_create", self.store.inner.create(context, game)).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        self.store.time("overview_update", self.store.inner.update(context, id, changes)).await
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        self.store.time("overview_remove", self.store.inner.remove(context, id)).await
    }

    fn has_replica(&self) -> bool {
        self.store.inner.has_replica()
    }

    async fn read_token(&self) -> Option<ReadToken> {
        self.store.inner.read_token().await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.store.time("ping", self.store.inner.ping()).await
    }
}
