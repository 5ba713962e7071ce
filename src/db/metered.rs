//! A decorator that times every call to the store.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use prometheus_client::metrics::histogram::Histogram;

use super::Stores;
use super::storage::{Create, Cursor, Kind, OverviewStore, Page, Remove, StorageError, Update};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};
use crate::telemetry::metrics::{Call, Metrics};

/// The stores with each of their calls timed. Bulk loads report their own progress.
pub(super) fn stores(stores: Stores, metrics: &Arc<Metrics>) -> Stores {
    let call = Call { call: "overview_find", outcome: "ok" };
    let overviews = Metered {
        inner: stores.overviews,
        metrics: Arc::clone(metrics),
        found: metrics.store_calls.get_or_create_owned(&call),
    };
    Stores { overviews: Arc::new(overviews), ..stores }
}

struct Metered<T: ?Sized> {
    inner: Arc<T>,
    metrics: Arc<Metrics>,
    /// The metric of a successful `overview_find`, looked up once: it is most of the traffic.
    found: Histogram,
}

impl<T: ?Sized> Metered<T> {
    async fn time<R>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<R, StorageError>>,
    ) -> Result<R, StorageError> {
        let begun = Instant::now();
        let result = work.await;
        self.record(call, begun, &result);
        result
    }

    fn record<R>(&self, call: &'static str, begun: Instant, result: &Result<R, StorageError>) {
        let labels = Call { call, outcome: outcome(result) };
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.store_calls.get_or_create(&labels).observe(seconds);
    }
}

fn outcome<R>(result: &Result<R, StorageError>) -> &'static str {
    match result.as_ref().map_err(StorageError::kind) {
        Ok(_) => "ok",
        Err(Kind::Unavailable) => "unavailable",
        Err(Kind::Timeout) => "timeout",
        Err(Kind::Conflict) => "conflict",
        Err(Kind::Invalid) => "invalid",
        Err(Kind::Internal) => "internal",
    }
}

#[async_trait]
impl OverviewStore for Metered<dyn OverviewStore> {
    async fn find(&self, id: GameId) -> Result<Option<Overview>, StorageError> {
        let begun = Instant::now();
        let result = self.inner.find(id).await;
        match &result {
            Ok(_) => self.found.observe(begun.elapsed().as_secs_f64()),
            Err(_) => self.record("overview_find", begun, &result),
        }
        result
    }

    async fn page(&self, after: Option<Cursor>, limit: u32) -> Result<Page, StorageError> {
        self.time("overview_page", self.inner.page(after, limit)).await
    }

    async fn create(&self, game: NewOverview) -> Result<Create, StorageError> {
        self.time("overview_create", self.inner.create(game)).await
    }

    async fn update(&self, id: GameId, changes: Changes) -> Result<Update, StorageError> {
        self.time("overview_update", self.inner.update(id, changes)).await
    }

    async fn remove(&self, id: GameId) -> Result<Remove, StorageError> {
        self.time("overview_remove", self.inner.remove(id)).await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.time("ping", self.inner.ping()).await
    }
}
