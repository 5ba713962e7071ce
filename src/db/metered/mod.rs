//! A decorator that times every call to the store.
//!
//! In this module: the metric and its labels; the traits are implemented in [`overview`] and [`cart`].
//! Loads and inspections are not timed: they report their own progress.

mod cart;
mod overview;

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::Stores;
use super::storage::{CartResult, ErrorKind, StorageError};
use crate::telemetry::Registry;

/// Seconds that calls to the store took.
type Calls = Family<Call, Histogram>;

/// Labels of a call to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    /// The trait's method, such as `overview_find`.
    call: &'static str,
    /// `ok`, `refused`, or the kind of the failure.
    outcome: &'static str,
}

/// The stores with each of their calls timed.
pub(super) fn stores(stores: Stores, registry: &Registry) -> Stores {
    let calls: &Calls = &registry.seconds_by("store_call", "Time of a call to the store");
    Stores {
        overviews: Arc::new(overview::MeteredOverviews::new(stores.overviews, calls)),
        orders: Arc::new(Metered::new(stores.orders, calls)),
        stock: Arc::new(Metered::new(stores.stock, calls)),
        payments: Arc::new(Metered::new(stores.payments, calls)),
        fixtures: Arc::new(Metered::new(stores.fixtures, calls)),
        audit: Arc::new(Metered::new(stores.audit, calls)),
        activities: stores.activities,
        transfers: stores.transfers,
        ..stores
    }
}

/// A store whose calls are timed.
struct Metered<S: ?Sized> {
    inner: Arc<S>,
    calls: Calls,
}

impl<S: ?Sized> Metered<S> {
    fn new(inner: Arc<S>, calls: &Calls) -> Self {
        Self { inner, calls: calls.clone() }
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
    async fn time_act<R>(
        &self,
        call: &'static str,
        work: impl Future<Output = CartResult<R>>,
    ) -> CartResult<R> {
        let begun = Instant::now();
        let done = work.await;
        let refused = matches!(done, Ok(Err(_)));
        self.record(call, begun, if refused { "refused" } else { outcome(&done) });
        done
    }

    fn record(&self, call: &'static str, begun: Instant, outcome: &'static str) {
        let labels = Call { call, outcome };
        let seconds = begun.elapsed().as_secs_f64();
        self.calls.get_or_create(&labels).observe(seconds);
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
