//! The metrics of requests and connections.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::telemetry::Registry;

/// Shared by its clones.
#[derive(Debug, Clone)]
pub struct ServerMetrics {
    /// Seconds from the end of a request's head to the start of its answer.
    pub requests: Family<RequestLabels, Histogram>,
    /// Requests that are being answered, and writes that outlived their request.
    pub in_flight: Gauge,
    /// Requests and connections refused at a limit.
    pub shed: Counter,
    /// Handlers that panicked.
    pub panics: Counter,
    /// Open connections.
    pub connections: Gauge,
}

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `GET`, `POST` and so on; `other` for a method that no route knows.
    pub method: &'static str,
    /// The matched route, or `none`.
    pub route: Route,
    /// Status of the answer.
    pub status: u16,
}

/// The route as it is written in the router.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route(pub Arc<str>);

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_ref(), encoder)
    }
}

impl ServerMetrics {
    /// Metrics at zero, in that registry.
    #[must_use]
    pub fn register(registry: &Registry) -> Self {
        Self {
            requests: registry.seconds_by("http_request", "Time to the start of an answer"),
            in_flight: registry.gauge("http_in_flight", "Requests being answered"),
            shed: registry.counter("http_shed", "Requests and connections refused at a limit"),
            panics: registry.counter("http_panics", "Handlers that panicked"),
            connections: registry.gauge("http_connections", "Open connections"),
        }
    }
}
