//! Metrics of the whole program, in one registry that is handed around.
//!
//! Their memory is fixed by the number of routes and calls; labels never hold what a client sent.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The route as it is written in the router.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route(pub Arc<str>);

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_ref(), encoder)
    }
}

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// `GET`, `POST` and so on; `other` for what no route knows.
    pub method: &'static str,
    /// The matched route, or `none`.
    pub route: Route,
    /// Status of the answer.
    pub status: u16,
}

/// Labels of a call to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    /// The trait's method, such as `overview_find`.
    pub call: &'static str,
    /// `ok`, or the kind of the failure.
    pub outcome: &'static str,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Seconds from the end of a request's head to the start of its answer.
    pub requests: Family<Request, Histogram>,
    /// Requests that are being answered.
    pub in_flight: Gauge,
    /// Requests and connections refused because too many were there.
    pub shed: Counter,
    /// Handlers that panicked.
    pub panics: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// Seconds that a call to the store took.
    pub store_calls: Family<Call, Histogram>,
    /// Acts that wait for the embedded store's writer.
    pub writer_queue: Gauge,
    /// Acts in one commit.
    pub writer_group: Histogram,
    /// Seconds that a group commit took, sync included.
    pub writer_commit: Histogram,
    /// Checkouts and cancels on Cassandra that this server has not brought to their end yet.
    pub cart_unfinished: Gauge,
    /// Those that were left unfinished, by any server, when recovery looked last.
    pub cart_abandoned: Gauge,
    /// Those that this server brought to their end in place of another.
    pub cart_recovered: Counter,
}

impl Metrics {
    /// New metrics, all at zero, apart from any others in the process.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("storefront"),
            requests: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
            shed: Counter::default(),
            panics: Counter::default(),
            connections: Gauge::default(),
            store_calls: Family::new_with_constructor(seconds),
            writer_queue: Gauge::default(),
            writer_group: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            writer_commit: seconds(),
            cart_unfinished: Gauge::default(),
            cart_abandoned: Gauge::default(),
            cart_recovered: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        let unit = Unit::Seconds;
        r.register_with_unit(
            "http_request",
            "Time to the start of an answer",
            unit,
            self.requests.clone(),
        );
        r.register("http_in_flight", "Requests being answered", self.in_flight.clone());
        r.register("http_shed", "Requests and connections refused at a limit", self.shed.clone());
        r.register("http_panics", "Handlers that panicked", self.panics.clone());
        r.register("http_connections", "Open connections", self.connections.clone());
        r.register_with_unit(
            "store_call",
            "Time of a call to the store",
            Unit::Seconds,
            self.store_calls.clone(),
        );
        r.register("writer_queue", "Acts waiting for the writer", self.writer_queue.clone());
        r.register("writer_group", "Acts in one commit", self.writer_group.clone());
        r.register_with_unit(
            "writer_commit",
            "Time of a group commit",
            Unit::Seconds,
            self.writer_commit.clone(),
        );
        r.register(
            "cart_unfinished_attempts",
            "Checkouts and cancels under way",
            self.cart_unfinished.clone(),
        );
        r.register(
            "cart_abandoned_attempts",
            "Checkouts and cancels whose server left them",
            self.cart_abandoned.clone(),
        );
        r.register(
            "cart_recovered",
            "Abandoned checkouts and cancels brought to their end",
            self.cart_recovered.clone(),
        );
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(fmt) => unreachable!("writing to a string cannot fail: {fmt}"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// From 50 microseconds to 10 seconds: a point read is at the lower end, a patience at the upper.
fn seconds() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}
