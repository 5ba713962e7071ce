//! The metrics of checkouts and cancels.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Registry;

#[derive(Debug)]
pub(super) struct CartMetrics {
    /// Attempts that this server has under way, capturing included.
    pub(super) unfinished: Gauge,
    /// Attempts of any server that the last pass of recovery could not complete.
    pub(super) abandoned: Gauge,
    /// Attempts of other servers that this one completed.
    pub(super) recovered: Counter,
}

impl CartMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let [unfinished, abandoned] = [
            ("cart_unfinished_attempts", "Checkouts and cancels under way"),
            (
                "cart_abandoned_attempts",
                "Checkouts and cancels that recovery could not complete yet",
            ),
        ]
        .map(|(name, help)| registry.gauge(name, help));
        let help = "Checkouts and cancels of other servers that recovery completed";
        Self { unfinished, abandoned, recovered: registry.counter("cart_recovered", help) }
    }
}
