//! A service level objective: `p99<50ms,failed<1%`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::summary::{Measured, SideSummary};

/// The share of failures that an objective allows which does not say: times are only of what was sent and
/// ended, so an objective of times alone would hold where most transactions fail at once.
const USUAL_FAILURES: f64 = 1.0;

/// Limits that reads and writes both have to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Limit {
    metric: Metric,
    /// Seconds, or percent of [`Metric::Failed`].
    most: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    Mean,
    P50,
    P95,
    P99,
    Failed,
}

impl Metric {
    const ALL: [Self; 5] = [Self::Mean, Self::P50, Self::P95, Self::P99, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Failed => "failed",
        }
    }

    fn of(self, side: &SideSummary) -> Option<f64> {
        match self {
            Self::Mean => side.mean,
            Self::P50 => side.p50,
            Self::P95 => side.p95,
            Self::P99 => side.p99,
            Self::Failed => Some(side.failure_percent),
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Failed => format!("{}%", rounded(value)),
            _ if value >= 1.0 => format!("{}s", rounded(value)),
            _ => format!("{}ms", rounded(value * 1e3)),
        }
    }
}

/// Three digits, without zeros at the end.
fn rounded(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits: Vec<Limit> = Vec::new();
        for part in text.split(',') {
            let limit: Limit = part.trim().parse()?;
            if limits.iter().any(|known| known.metric == limit.metric) {
                return Err(format!("`{}` has two limits: write one", limit.metric.name()));
            }
            limits.push(limit);
        }
        if limits.iter().all(|limit| limit.metric != Metric::Failed) {
            limits.push(Limit { metric: Metric::Failed, most: USUAL_FAILURES });
        }
        Ok(Self { limits })
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write METRIC<LIMIT, such as p99<50ms or failed<1%";
        let (name, limit) =
            text.split_once('<').ok_or_else(|| format!("`{text}` has no `<`: {form}"))?;
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name.trim());
        let metric = metric.ok_or_else(|| {
            format!("`{}` is none of mean, p50, p95, p99 and failed: {form}", name.trim())
        })?;
        let limit = limit.trim();
        let (units, unit): (&[(&str, f64)], _) = match metric {
            Metric::Failed => (&[("%", 1.0)], "a percentage such as 1%"),
            // `s` is last, because the others end in it.
            _ => (&[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)], "a time such as 50ms, 800us or 1.5s"),
        };
        let number = units.iter().find_map(|(unit, factor)| {
            let number: f64 = limit.strip_suffix(unit)?.trim().parse().ok()?;
            (number.is_finite() && number > 0.0).then_some(number * factor)
        });
        let most = number
            .ok_or_else(|| format!("`{limit}` is no limit of {}: write {unit}", metric.name()))?;
        if metric == Metric::Failed && most > 100.0 {
            return Err(format!("`{limit}` is more than all: write {unit}"));
        }
        Ok(Self { metric, most })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<{}", self.metric.name(), self.metric.shown(self.most))
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<String> = self.limits.iter().map(ToString::to_string).collect();
        f.write_str(&limits.join(","))
    }
}

impl Serialize for Objective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Objective {
    /// Which limit a run has broken, for people; `None`: it kept all. A run whose numbers may not be used has
    /// kept none.
    #[must_use]
    pub fn broken_by(&self, measured: &Measured) -> Option<String> {
        if let Some(why) = &measured.invalid {
            return Some(format!("the run is not valid: {why}"));
        }
        let sides = [("reads", &measured.read), ("writes", &measured.write)];
        let limits = self.limits.iter().flat_map(|limit| sides.map(|side| (limit, side)));
        limits.into_iter().find_map(|(limit, (name, side))| limit.broken_by(name, side))
    }
}

impl Limit {
    fn broken_by(&self, name: &str, side: &SideSummary) -> Option<String> {
        // Nothing was due.
        if side.offered == 0 {
            return None;
        }
        let Some(value) = self.metric.of(side) else {
            return Some(format!("{name}: {self}, and none ended"));
        };
        let is_kept = value < self.most;
        (!is_kept).then(|| format!("{name}: {self}, and it was {}", self.metric.shown(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(p99: Option<f64>, failure_percent: f64) -> SideSummary {
        SideSummary { offered: 100, p99, failure_percent, ..SideSummary::default() }
    }

    fn broken(objective: &str, read: SideSummary, write: SideSummary) -> Option<String> {
        let objective: Objective = objective.parse().unwrap();
        objective.broken_by(&Measured { read, write, ..Measured::default() })
    }

    #[test]
    fn an_objective_is_read_and_written() {
        for (text, read) in [
            ("p99<50ms", "p99<50ms,failed<1%"),
            ("p99 < 1.5s, failed<0.1%", "p99<1.5s,failed<0.1%"),
            ("failed<100%", "failed<100%"),
            ("mean<800us,p50<20ms,p95<1s", "mean<0.8ms,p50<20ms,p95<1s,failed<1%"),
        ] {
            assert_eq!(text.parse::<Objective>().unwrap().to_string(), read);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
        for (text, why) in [
            ("", "has no `<`"),
            ("p99=50ms", "has no `<`"),
            ("p42<50ms", "`p42` is none of mean, p50, p95, p99 and failed"),
            ("p99<50", "`50` is no limit of p99: write a time such as 50ms"),
            ("p99<-1ms", "is no limit of p99"),
            ("p99<0ms", "is no limit of p99"),
            ("p99<infs", "is no limit of p99"),
            ("p99<50%", "is no limit of p99"),
            ("failed<1", "`1` is no limit of failed: write a percentage"),
            ("failed<101%", "is more than all"),
            ("p99<1s,p99<2s", "`p99` has two limits"),
            ("p99<1s,", "has no `<`"),
        ] {
            let error = text.parse::<Objective>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn both_sides_have_to_keep_every_limit() {
        let good = || side(Some(0.04), 0.0);
        assert_eq!(broken("p99<50ms", good(), good()), None);
        let slow = broken("p99<50ms", good(), side(Some(0.05), 0.0)).unwrap();
        assert_eq!(slow, "writes: p99<50ms, and it was 50ms");
        let failing = broken("p99<50ms", side(Some(0.04), 2.5), good()).unwrap();
        assert_eq!(failing, "reads: failed<1%, and it was 2.5%");
        assert_eq!(broken("p99<50ms,failed<3%", side(Some(0.04), 2.5), good()), None);
        let none = broken("p99<50ms", side(None, 0.0), good()).unwrap();
        assert_eq!(none, "reads: p99<50ms, and none ended");
        assert_eq!(broken("p99<50ms", SideSummary::default(), good()), None);
    }

    #[test]
    fn an_invalid_run_keeps_no_objective() {
        let objective: Objective = "p99<50ms".parse().unwrap();
        let measured = Measured::failed("The machine was suspended.".to_owned());
        let why = objective.broken_by(&measured).unwrap();
        assert_eq!(why, "the run is not valid: The machine was suspended.");
    }
}
