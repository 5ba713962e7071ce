//! The registry of metrics. It knows none of them but the supervisor's: each module makes and
//! registers its own.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry as Prometheus, Unit};

use super::supervisor::Supervisor;

/// The metrics of one server or command, and the supervisor of its tasks; clones share it.
///
/// Their memory is fixed by the number of routes and calls, as no label holds what a client sent.
#[derive(Debug, Clone)]
pub struct Registry {
    metrics: Arc<Mutex<Prometheus>>,
    supervisor: Supervisor,
    /// What the name of each metric begins with, after `storefront_`.
    prefix: &'static str,
}

impl Registry {
    /// The supervisor of the server's or command's long-lived tasks.
    #[must_use]
    pub fn supervisor(&self) -> Supervisor {
        self.supervisor.clone()
    }

    /// The same registry for a part of the program that exists twice: the names of the metrics that are
    /// added by it are `storefront_PREFIXNAME`.
    #[must_use]
    pub fn with_prefix(&self, prefix: &'static str) -> Self {
        Self { prefix, ..self.clone() }
    }

    /// Adds a metric, to be shown as `storefront_NAME`, and gives it back. Names must be distinct.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.lock().register(self.full(name), help, metric.clone());
        metric
    }

    /// Adds a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// Adds a counter, shown as `storefront_NAME_total`.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    /// Adds a counter that is shown as `NAME_total`, the name that an earlier program gave it.
    pub fn plain_counter(&self, name: &str, help: &str) -> Counter {
        let metric = Counter::default();
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// Adds a histogram of seconds, shown as `storefront_NAME_seconds`.
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        let metric = seconds();
        self.lock().register_with_unit(self.full(name), help, Unit::Seconds, metric.clone());
        metric
    }

    /// Adds a histogram of seconds for each set of labels.
    pub fn seconds_by<L>(&self, name: &str, help: &str) -> Family<L, Histogram>
    where
        L: Clone + Eq + Hash,
        Family<L, Histogram>: Metric,
    {
        let metric = Family::new_with_constructor(seconds as fn() -> Histogram);
        self.lock().register_with_unit(self.full(name), help, Unit::Seconds, metric.clone());
        metric
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.lock()) {
            Ok(()) => text,
            Err(fmt) => unreachable!("writing to a string cannot fail: {fmt}"),
        }
    }

    fn full(&self, name: &str) -> String {
        format!("storefront_{}{name}", self.prefix)
    }

    /// Only registration and rendering lock; counting does not.
    fn lock(&self) -> MutexGuard<'_, Prometheus> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        let registry =
            Self { metrics: Arc::default(), supervisor: Supervisor::default(), prefix: "" };
        let restarts = registry.supervisor.restarts();
        registry.register("task_restarts", "Tasks and threads restarted after a panic", restarts);
        registry
    }
}

/// From 50 microseconds, a fast point read, to 10 seconds, a timeout.
fn seconds() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}
