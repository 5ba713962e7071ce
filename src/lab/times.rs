//! Histograms of times, which can be merged over workers, seconds and runs without losing percentiles.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize, de};

/// Times in microseconds, each kept to three significant digits. Serialized as base64 text of
/// [`Times::to_bytes`].
#[derive(Debug, Clone, PartialEq)]
pub struct Times(Histogram<u64>);

/// The bytes are no histogram.
#[derive(Debug, thiserror::Error)]
#[error("not a stored histogram: {0}")]
pub struct InvalidTimes(String);

impl Times {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        // It grows with the largest time, so that one of short times is small.
        Self(Histogram::new(3).expect("three digits are within the limits"))
    }

    /// Adds a time.
    pub fn record(&mut self, micros: u64) {
        // Unlike `saturating_record` this lets it grow.
        self.0.record(micros).expect("a histogram that grows takes any time");
    }

    /// Adds all times of another.
    pub fn merge(&mut self, other: &Self) {
        // It grows as needed, and both have the same precision.
        self.0.add(&other.0).expect("a histogram that grows takes any other");
    }

    /// The number of times.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time in seconds that this share of all does not exceed; `None` if there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1e6)
    }

    /// HDR histogram in the V2 format, deflated.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing into memory does not fail");
        bytes
    }

    /// Reads what [`Times::to_bytes`] has written.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, InvalidTimes> {
        let read: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes).map_err(|e| InvalidTimes(e.to_string()))?;
        // What was read does not grow, and may have another precision.
        let mut times = Self::new();
        times.0.add(&read).map_err(|e| InvalidTimes(e.to_string()))?;
        Ok(times)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[u64]) -> Times {
        let mut histogram = Times::new();
        times.iter().for_each(|micros| histogram.record(*micros));
        histogram
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Times::new().quantile(0.5), None);
        assert_eq!(of(&[0]).quantile(0.5), Some(0.0));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Times::from_bytes(b"").is_err());
        assert!(Times::from_bytes(&[0; 64]).is_err());
        assert!(serde_json::from_str::<Times>("\"%\"").is_err());
    }

    proptest! {
        #[test]
        fn merging_is_recording_all(
            a in proptest::collection::vec(0..10_000_000_u64, 0..50),
            b in proptest::collection::vec(0..10_000_000_u64, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let all = of(&[a, b].concat());
            prop_assert_eq!(&merged, &all);
            let json = serde_json::to_string(&all).unwrap();
            prop_assert_eq!(serde_json::from_str::<Times>(&json).unwrap(), all);
        }

        #[test]
        fn a_percentile_is_exact_to_three_digits(mut times in proptest::collection::vec(1..9_000_000_u64, 1..200)) {
            let median = of(&times).quantile(0.5).unwrap() * 1e6;
            times.sort_unstable();
            let exact = times[times.len().div_ceil(2) - 1] as f64;
            prop_assert!((median - exact).abs() <= exact / 1_000.0 + 1e-6, "{} {}", median, exact);
        }
    }
}
