//! A histogram of latencies, reported in the format of all load clients.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::Value;

pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        // Up to a day: a larger value would be recorded as the upper bound.
        Self(Histogram::new_with_bounds(1, 86_400_000_000, 3).expect("the bounds are in order"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        self.0.saturating_record(micros);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Adds mean, percentiles and maximum to a report.
    pub(crate) fn add_to(&self, mut report: Value) -> Value {
        let ms = |micros: u64| Value::from(micros as f64 / 1e3);
        report["mean_ms"] = Value::from(self.0.mean() / 1e3);
        for (name, quantile) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            report[name] = ms(self.0.value_at_quantile(quantile));
        }
        report["max_ms"] = ms(self.0.max());
        report
    }
}
