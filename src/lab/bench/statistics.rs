//! The median of few numbers, and how sure it is.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// Samples that are drawn from the numbers.
const RESAMPLES: usize = 10_000;

/// A median with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Numbers that it is of.
    pub count: usize,
}

impl Estimate {
    /// The median of numbers, with an interval of that confidence, such as 0.95, by the percentile bootstrap;
    /// `None` of fewer than two. The same seed gives the same interval.
    #[must_use]
    pub fn of(values: &[f64], confidence: f64, seed: u64) -> Option<Self> {
        if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sample = values.to_vec();
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                sample.fill_with(|| values[rng.random_range(0..values.len())]);
                median(&mut sample)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[(share * (RESAMPLES - 1) as f64).round() as usize];
        let outside = (1.0 - confidence) / 2.0;
        Some(Self {
            median: median(&mut values.to_vec()),
            low: at(outside),
            high: at(1.0 - outside),
            count: values.len(),
        })
    }

    /// Whether the interval contains a value.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Of at least one number.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ratios of two runs whose times differ by a noise that is usual for short runs.
    fn ratios(rng: &mut StdRng, count: usize, true_ratio: f64) -> Vec<f64> {
        let mut time = |mean: f64| mean * (1.0 + 0.2 * (rng.random::<f64>() - 0.5));
        (0..count).map(|_| time(true_ratio) / time(1.0)).collect()
    }

    #[test]
    fn the_median_of_known_numbers() {
        let of = |values: &[f64]| Estimate::of(values, 0.95, 1);
        let odd = of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.low, odd.high, odd.count), (2.0, 1.0, 3.0, 3));
        let same = of(&[1.5; 10]).unwrap();
        assert_eq!((same.median, same.low, same.high), (1.5, 1.5, 1.5));
        assert_eq!(of(&[1.0, 2.0, 10.0, 3.0]).unwrap().median, 2.5);
        assert_eq!((of(&[]), of(&[1.0]), of(&[1.0, f64::NAN])), (None, None, None));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values = ratios(&mut StdRng::seed_from_u64(7), 10, 1.0);
        assert_eq!(Estimate::of(&values, 0.95, 3), Estimate::of(&values, 0.95, 3));
        let (wide, narrow) =
            (Estimate::of(&values, 0.99, 3).unwrap(), Estimate::of(&values, 0.5, 3).unwrap());
        assert!(wide.low <= narrow.low && narrow.high <= wide.high && wide != narrow);
    }

    #[test]
    fn two_equal_databases_mostly_show_no_difference_and_different_ones_do() {
        let mut rng = StdRng::seed_from_u64(11);
        let (mut equal, mut different) = (0, 0);
        for seed in 0..100 {
            let estimate = |values: &[f64]| Estimate::of(values, 0.95, seed).unwrap();
            equal += u32::from(estimate(&ratios(&mut rng, 10, 1.0)).contains(1.0));
            different += u32::from(!estimate(&ratios(&mut rng, 10, 1.3)).contains(1.0));
        }
        assert!(equal >= 90, "{equal} of 100 intervals contain 1");
        assert!(different >= 99, "{different} of 100 differences are shown");
    }
}
