//! A decorator that times every call to the store.

mod cart;
mod overview;

use std::sync::Arc;
use std::time::Instant;

use super::Stores;
use super::storage::{CartResult, ErrorKind, StorageError};
use crate::telemetry::metrics::{Call, Metrics};

/// The stores with each of their calls timed. Loads report their own progress.
pub(super) fn stores(stores: Stores, metrics: &Arc<Metrics>) -> Stores {
    let overviews = overview::MeteredOverviews::new(stores.overviews, metrics);
    Stores {
        overviews: Arc::new(overviews),
        orders: Arc::new(Metered::new(stores.orders, metrics)),
        stock: Arc::new(Metered::new(stores.stock, metrics)),
        payments: Arc::new(Metered::new(stores.payments, metrics)),
        fixtures: Arc::new(Metered::new(stores.fixtures, metrics)),
        audit: Arc::new(Metered::new(stores.audit, metrics)),
        ..stores
    }
}

/// A store whose calls are timed.
struct Metered<S: ?Sized> {
    inner: Arc<S>,
    metrics: Arc<Metrics>,
}

impl<S: ?Sized> Metered<S> {
    fn new(inner: Arc<S>, metrics: &Arc<Metrics>) -> Self {
        Self { inner, metrics: Arc::clone(metrics) }
    }

    async fn time<R>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<R, StorageError>>,
    ) -> Result<R, StorageError> {
        let begun = Instant::now();
        let result = work.await;
        self.record(call, begun, outcome(&result));
        result
    }

    /// The same of an act that may be refused.
    async fn time_act(
        &self,
        call: &'static str,
        work: impl Future<Output = CartResult>,
    ) -> CartResult {
        let begun = Instant::now();
        let done = work.await;
        let refused = matches!(done, Ok(Err(_)));
        self.record(call, begun, if refused { "refused" } else { outcome(&done) });
        done
    }

    fn record(&self, call: &'static str, begun: Instant, outcome: &'static str) {
        let labels = Call { call, outcome };
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.store_calls.get_or_create(&labels).observe(seconds);
    }
}

fn outcome<R>(result: &Result<R, StorageError>) -> &'static str {
    match result.as_ref().map_err(StorageError::kind) {
        Ok(_) => "ok",
        Err(ErrorKind::Unavailable) => "unavailable",
        Err(ErrorKind::Timeout) => "timeout",
        Err(ErrorKind::Conflict) => "conflict",
        Err(ErrorKind::Invalid) => "invalid",
        Err(ErrorKind::Internal) => "internal",
    }
}
