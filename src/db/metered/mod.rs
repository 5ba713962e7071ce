//! A decorator that times every call to the store.

mod cart;
mod overview;

use std::sync::Arc;
use std::time::Instant;

use super::Stores;
use super::storage::{CartResult, ErrorKind, StorageError};
use crate::telemetry::metrics::{Call, Metrics};

/// The stores with each of their calls timed. Bulk loads report their own progress.
pub(super) fn stores(stores: Stores, metrics: &Arc<Metrics>) -> Stores {
    let meter = || Meter(Arc::clone(metrics));
    let overviews = overview::MeteredOverviews::new(stores.overviews, meter());
    let cart = cart::MeteredCart { inner: stores.cart, meter: meter() };
    Stores { overviews: Arc::new(overviews), cart: Arc::new(cart), ..stores }
}

struct Meter(Arc<Metrics>);

impl Meter {
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
        self.0.store_calls.get_or_create(&labels).observe(seconds);
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
