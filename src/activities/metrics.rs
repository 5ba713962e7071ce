//! The metrics of the gate and the worker.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::model::RejectionKind;
use crate::telemetry::Registry;

/// Shared by its clones.
#[derive(Debug, Clone)]
pub struct ActivityMetrics {
    /// Messages that fit the schema; the earlier gatekeeper's name.
    pub valid: Counter,
    /// Messages that do not.
    pub invalid: Counter,
    /// Messages that this program has queued: retries and drops of tables too, repeats of a key not.
    pub accepted: Counter,
    /// Messages that this program's worker has applied.
    pub applied: Counter,
    /// Messages that this program's worker has rejected.
    pub rejected: Family<KindLabel, Counter>,
    /// Queued messages of the store.
    pub queued: Gauge,
    /// Bytes of their texts.
    pub queued_bytes: Gauge,
    /// Seconds since the oldest was queued; 0 if none is.
    pub oldest: Gauge<f64, AtomicU64>,
    /// Seconds of applying one batch.
    pub apply: Histogram,
    /// 1 while this program's worker is the active one.
    pub active: Gauge,
    /// 1 while any program's worker is the active one of the store.
    pub worker: Gauge,
}

/// The kind of a rejection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    /// [`RejectionKind::as_str`].
    pub kind: &'static str,
}

impl ActivityMetrics {
    /// Metrics at zero, in that registry.
    #[must_use]
    pub fn register(registry: &Registry) -> Self {
        let rejected = Family::<KindLabel, Counter>::default();
        for kind in RejectionKind::ALL {
            // Shown from the start, so that an alert on its increase sees the first.
            drop(rejected.get_or_create(&KindLabel { kind: kind.as_str() }));
        }
        Self {
            valid: registry.plain_counter("valid_payload_count", "Messages that fit the schema"),
            invalid: registry
                .plain_counter("invalid_payload_count", "Messages that do not fit the schema"),
            accepted: registry.counter("activities_accepted", "Messages queued by this program"),
            applied: registry.counter("activities_applied", "Messages applied by this program"),
            rejected: registry.register(
                "activities_rejected",
                "Messages rejected by this program's worker, by kind",
                rejected,
            ),
            queued: registry.gauge("activities_queued", "Queued messages of the store"),
            queued_bytes: registry.gauge("activities_queued_bytes", "Bytes of queued messages"),
            oldest: registry.register(
                "activities_oldest_seconds",
                "Seconds since the oldest queued message was accepted",
                Gauge::default(),
            ),
            apply: registry.seconds("activities_apply", "Time to apply one batch of messages"),
            active: registry
                .gauge("activities_worker_here", "1 while this program has the active worker"),
            worker: registry.gauge("activities_worker", "1 while the store has an active worker"),
        }
    }

    /// Messages that this program's worker has rejected, of all kinds.
    #[must_use]
    pub fn count_rejected(&self) -> u64 {
        let count = |kind: RejectionKind| {
            self.rejected.get_or_create(&KindLabel { kind: kind.as_str() }).get()
        };
        RejectionKind::ALL.into_iter().map(count).sum()
    }
}
