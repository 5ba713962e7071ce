//! Whether one database is faster than another: pairs of runs, one after the other, and the ratio of their
//! times.
//!
//! Before that the first database is compared with itself in the same way: what that shows is the noise of
//! the machine, or a defect of the method, and a result is not to be trusted where it shows a difference.

use serde::Serialize;

use super::database::Prepared;
use super::run::{Bench, Load, Row};
use super::statistics::Estimate;
use super::summary::{Measured, SideSummary};

/// Of the interval of a result.
const CONFIDENCE: f64 = 0.95;
/// Of the interval of the calibration. There are six of them, so that at 95 % one of four calibrations of
/// equal databases would fail; at 99 % one of seventeen.
const CALIBRATION_CONFIDENCE: f64 = 0.99;

/// A time of one side.
type MetricOf = fn(&SideSummary) -> Option<f64>;

/// One side of a run.
type SideOf = fn(&Measured) -> &SideSummary;

const SIDES: [(&str, SideOf); 2] =
    [("reads", |measured| &measured.read), ("writes", |measured| &measured.write)];
/// The compared times.
const METRICS: [(&str, MetricOf); 3] =
    [("mean", |side| side.mean), ("p50", |side| side.p50), ("p99", |side| side.p99)];

/// The result of a comparison of A with B.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of A.
    pub a: String,
    /// Name of B.
    pub b: String,
    /// Six: mean, p50 and p99 of reads, then of writes.
    pub metrics: Vec<MetricComparison>,
    /// Pairs of A and A.
    pub calibration: Vec<(Row, Row)>,
    /// Pairs of A and B.
    pub rounds: Vec<(Row, Row)>,
}

/// The ratio of one time of A to that of B.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricComparison {
    /// Such as `reads p99`.
    pub name: String,
    /// Of A to A; `None`: too few pairs have the time.
    pub calibration: Option<Estimate>,
    /// Of A to B.
    pub ratio: Option<Estimate>,
    /// What they show.
    pub finding: Finding,
}

/// What the ratios of a metric show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The interval contains 1.
    NoDifferenceShown,
    /// A's time is shorter.
    AFaster,
    /// B's time is shorter.
    BFaster,
    /// A differs from itself: the result cannot be used.
    NotCalibrated,
    /// Too few pairs.
    TooFew,
}

impl Finding {
    fn of(calibration: Option<Estimate>, ratio: Option<Estimate>) -> Self {
        let (Some(calibration), Some(ratio)) = (calibration, ratio) else { return Self::TooFew };
        match ratio {
            _ if !calibration.contains(1.0) => Self::NotCalibrated,
            _ if ratio.contains(1.0) => Self::NoDifferenceShown,
            _ if ratio.high < 1.0 => Self::AFaster,
            _ => Self::BFaster,
        }
    }
}

impl Comparison {
    /// Makes the estimates of pairs.
    #[must_use]
    pub fn new(
        names: [String; 2],
        calibration: Vec<(Row, Row)>,
        rounds: Vec<(Row, Row)>,
        seed: u64,
    ) -> Self {
        let mut metrics = Vec::new();
        for (side_name, side) in SIDES {
            for (metric_name, metric) in METRICS {
                let time = |row: &Row| metric(side(&row.measured));
                let estimate = |pairs: &[(Row, Row)], confidence| {
                    Estimate::of(&ratios(pairs, time), confidence, seed)
                };
                let calibration = estimate(&calibration, CALIBRATION_CONFIDENCE);
                let ratio = estimate(&rounds, CONFIDENCE);
                let finding = Finding::of(calibration, ratio);
                let name = format!("{side_name} {metric_name}");
                metrics.push(MetricComparison { name, calibration, ratio, finding });
            }
        }
        let [a, b] = names;
        Self { a, b, metrics, calibration, rounds }
    }

    /// Every run, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.calibration.iter().chain(&self.rounds).flat_map(|(a, b)| [a, b])
    }
}

/// The ratios of the pairs that both have the time and may be used.
fn ratios(pairs: &[(Row, Row)], time: impl Fn(&Row) -> Option<f64>) -> Vec<f64> {
    let usable = |row: &Row| time(row).filter(|time| row.measured.invalid.is_none() && *time > 0.0);
    pairs.iter().filter_map(|(a, b)| Some(usable(a)? / usable(b)?)).collect()
}

/// Compares A with B. After a stop it returns the pairs that are whole.
pub async fn run(bench: &Bench<'_>, [a, b]: [&Prepared; 2], load: Load, rounds: u16) -> Comparison {
    let calibration = pairs(bench, [a, a], load, rounds).await;
    let compared = pairs(bench, [a, b], load, rounds).await;
    let names = [a.name.clone(), b.name.clone()];
    Comparison::new(names, calibration, compared, bench.settings.seed)
}

/// Runs pairs in the order A B, B A, A B: a machine that gets steadily slower, or the mere place in a pair,
/// favours neither.
async fn pairs(
    bench: &Bench<'_>,
    [a, b]: [&Prepared; 2],
    load: Load,
    rounds: u16,
) -> Vec<(Row, Row)> {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        let is_swapped = round % 2 == 1;
        let (first, second) = if is_swapped { (b, a) } else { (a, b) };
        let first = bench.run(first, load).await;
        if bench.is_stopped() {
            break;
        }
        let second = bench.run(second, load).await;
        if bench.is_stopped() {
            break;
        }
        pairs.push(if is_swapped { (second, first) } else { (first, second) });
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::model::{Intensity, Pattern};

    fn row(time: Option<f64>, invalid: Option<&str>) -> Row {
        let side = || SideSummary { mean: time, p50: time, p99: time, ..SideSummary::default() };
        let measured = Measured {
            read: side(),
            write: side(),
            invalid: invalid.map(str::to_owned),
            ..Measured::default()
        };
        let (pattern, intensity) = (Pattern::ALL[0], Intensity::ALL[0]);
        let load =
            Load { read_pattern: pattern, write_pattern: pattern, intensity, rate_scale: 1.0 };
        Row { database: "a".to_owned(), load, measured }
    }

    fn pairs(ratio: f64) -> Vec<(Row, Row)> {
        let noise = [0.98, 1.01, 0.99, 1.02, 1.0];
        noise.iter().map(|noise| (row(Some(ratio * noise), None), row(Some(1.0), None))).collect()
    }

    fn compared(calibration: Vec<(Row, Row)>, rounds: Vec<(Row, Row)>) -> Comparison {
        Comparison::new(["a".to_owned(), "b".to_owned()], calibration, rounds, 1)
    }

    fn finding(calibration: f64, ratio: f64) -> Finding {
        let comparison = compared(pairs(calibration), pairs(ratio));
        assert_eq!(comparison.metrics.len(), 6);
        comparison.metrics[5].finding
    }

    #[test]
    fn a_difference_is_shown_only_outside_the_noise_and_after_a_calibration() {
        assert_eq!(finding(1.0, 1.0), Finding::NoDifferenceShown);
        assert_eq!(finding(1.0, 0.5), Finding::AFaster);
        assert_eq!(finding(1.0, 2.0), Finding::BFaster);
        assert_eq!(finding(1.2, 2.0), Finding::NotCalibrated);
    }

    #[test]
    fn pairs_that_are_not_valid_or_lack_the_time_are_left_out() {
        let bad = [
            (row(Some(9.0), Some("late")), row(Some(1.0), None)),
            (row(Some(9.0), None), row(None, None)),
            (row(Some(9.0), None), row(Some(0.0), None)),
        ];
        let mut rounds = pairs(1.0);
        rounds.extend(bad.clone());
        let comparison = compared(pairs(1.0), rounds);
        assert_eq!(comparison.metrics[0].ratio.unwrap().count, 5);
        assert_eq!(comparison.rows().count(), 2 * (5 + 8));
        let none = compared(pairs(1.0), bad.to_vec());
        assert!(none.metrics.iter().all(|metric| metric.finding == Finding::TooFew));
    }
}
