//! Calls about games.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use prometheus_client::metrics::histogram::Histogram;

use super::{Meter, outcome};
use crate::db::storage::{Create, Cursor, OverviewStore, Page, Remove, StorageError, Update};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};
use crate::telemetry::metrics::Call;

pub(super) struct MeteredOverviews {
    inner: Arc<dyn OverviewStore>,
    meter: Meter,
    /// The metric of a successful `overview_find`, looked up once: it is most of the traffic.
    found: Histogram,
}

impl MeteredOverviews {
    pub(super) fn new(inner: Arc<dyn OverviewStore>, meter: Meter) -> Self {
        let call = Call { call: "overview_find", outcome: "ok" };
        let found = meter.0.store_calls.get_or_create_owned(&call);
        Self { inner, meter, found }
    }
}

#[async_trait]
impl OverviewStore for MeteredOverviews {
    async fn find(&self, id: GameId) -> Result<Option<Overview>, StorageError> {
        let begun = Instant::now();
        let result = self.inner.find(id).await;
        match &result {
            Ok(_) => self.found.observe(begun.elapsed().as_secs_f64()),
            Err(_) => self.meter.record("overview_find", begun, outcome(&result)),
        }
        result
    }

    async fn page(&self, after: Option<Cursor>, limit: u32) -> Result<Page, StorageError> {
        self.meter.time("overview_page", self.inner.page(after, limit)).await
    }

    async fn create(&self, game: NewOverview) -> Result<Create, StorageError> {
        self.meter.time("overview_create", self.inner.create(game)).await
    }

    async fn update(&self, id: GameId, changes: Changes) -> Result<Update, StorageError> {
        self.meter.time("overview_update", self.inner.update(id, changes)).await
    }

    async fn remove(&self, id: GameId) -> Result<Remove, StorageError> {
        self.meter.time("overview_remove", self.inner.remove(id)).await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.meter.time("ping", self.inner.ping()).await
    }
}
