//! The highest rate that a database holds within an objective.
//!
//! The factor of the rates is doubled until the objective breaks, or halved until it holds, and then the gap
//! is bisected. Each factor is tried twice, and a third time if the two disagree: one probe is short, and a
//! pause of the machine would decide it.

use serde::Serialize;

use super::database::Prepared;
use super::objective::Objective;
use super::run::{Bench, Load, Row};

/// The search ends when the lowest factor that breaks is not more than this times the highest that holds.
const PRECISION: f64 = 1.05;
/// Factors beyond which nothing is tried.
const SCALES: (f64, f64) = (0.01, 1_000.0);
/// Probes that have to agree.
const AGREE: usize = 2;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Knee {
    /// Name of the database.
    pub database: String,
    /// The probe at the highest factor that held.
    pub holds: Option<Row>,
    /// The lowest factor that did not, and why; `None`: none was found, or the search was interrupted.
    pub bound: Option<Broken>,
    /// Whether the search came to its end.
    pub complete: bool,
    /// Every probe, in order.
    pub probes: Vec<Probe>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// What was measured.
    #[serde(flatten)]
    pub row: Row,
    /// Which limit it broke; `None`: it held.
    pub broken: Option<String>,
}

/// A factor at which the objective broke.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Broken {
    /// The factor.
    pub rate_scale: f64,
    /// Which limit, and by how much.
    pub why: String,
}

/// Which factor is tried next.
#[derive(Debug, Clone, PartialEq)]
pub struct KneeSearch {
    next: Option<f64>,
    /// Outcomes of the probes of the present factor.
    held: usize,
    broke: usize,
    holds: Option<f64>,
    broken: Option<Broken>,
}

impl KneeSearch {
    /// A search that begins at a factor.
    #[must_use]
    pub const fn new(start: f64) -> Self {
        Self { next: Some(start), held: 0, broke: 0, holds: None, broken: None }
    }

    /// The factor to try; `None`: the search has ended.
    #[must_use]
    pub const fn next(&self) -> Option<f64> {
        self.next
    }

    /// The highest factor that held.
    #[must_use]
    pub const fn holds(&self) -> Option<f64> {
        self.holds
    }

    /// The lowest factor that broke.
    #[must_use]
    pub const fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Takes the outcome of a probe of the factor to try: why it broke, or that it held.
    pub fn judge(&mut self, broken: Option<String>) {
        let Some(scale) = self.next else { return };
        let is_decided = match &broken {
            None => {
                self.held += 1;
                self.held >= AGREE
            }
            Some(_) => {
                self.broke += 1;
                self.broke >= AGREE
            }
        };
        if !is_decided {
            return;
        }
        match broken {
            None => self.holds = Some(scale),
            Some(why) => self.broken = Some(Broken { rate_scale: scale, why }),
        }
        (self.held, self.broke) = (0, 0);
        self.next = self.after(scale);
    }

    fn after(&self, scale: f64) -> Option<f64> {
        let (least, most) = SCALES;
        match (self.holds, &self.broken) {
            (Some(holds), Some(Broken { rate_scale: broken, .. })) => {
                (broken / holds > PRECISION).then_some(f64::midpoint(holds, *broken))
            }
            (Some(_), None) => (scale < most).then_some((scale * 2.0).min(most)),
            (None, _) => (scale > least).then_some((scale / 2.0).max(least)),
        }
    }
}

/// Searches the knee of one database. After a stop it returns what was measured.
pub async fn find(
    bench: &Bench<'_>,
    database: &Prepared,
    start: Load,
    objective: &Objective,
) -> Knee {
    let (mut search, mut probes) = (KneeSearch::new(start.rate_scale), Vec::<Probe>::new());
    while let Some(rate_scale) = search.next() {
        if bench.is_stopped() {
            break;
        }
        let row = bench.run(database, Load { rate_scale, ..start }).await;
        if bench.is_stopped() {
            break;
        }
        let broken = objective.broken_by(&row.measured);
        search.judge(broken.clone());
        probes.push(Probe { row, broken });
    }
    let at = |scale: f64| {
        let held = |probe: &&Probe| probe.broken.is_none() && probe.row.load.rate_scale == scale;
        probes.iter().rfind(held).map(|probe| probe.row.clone())
    };
    Knee {
        database: database.name.clone(),
        holds: search.holds().and_then(at),
        bound: search.broken().cloned(),
        complete: search.next().is_none(),
        probes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches where everything below a capacity holds, and counts the probes.
    fn searched(start: f64, mut holds: impl FnMut(f64) -> bool) -> (KneeSearch, usize) {
        let (mut search, mut probes) = (KneeSearch::new(start), 0);
        while let Some(scale) = search.next() {
            assert!((SCALES.0..=SCALES.1).contains(&scale), "{scale}");
            search.judge((!holds(scale)).then(|| "too slow".to_owned()));
            probes += 1;
            assert!(probes < 200, "no end");
        }
        (search, probes)
    }

    #[test]
    fn where_everything_holds_the_search_ends_at_the_highest_factor() {
        let (search, _) = searched(1.0, |_| true);
        assert_eq!((search.holds(), search.broken()), (Some(SCALES.1), None));
    }

    #[test]
    fn where_nothing_holds_the_search_ends_at_the_lowest_factor() {
        let (search, _) = searched(1.0, |_| false);
        assert_eq!(search.holds(), None);
        assert_eq!(search.broken().map(|broken| broken.rate_scale), Some(SCALES.0));
    }

    #[test]
    fn one_probe_of_three_decides_nothing() {
        let mut probes = 0;
        // Each first probe of a factor is wrong, and is outvoted.
        let mut tried = 0.0;
        let (search, _) = searched(1.0, |scale| {
            probes += 1;
            let is_first = tried != scale;
            tried = scale;
            (scale < 10.0) != is_first
        });
        let (holds, broken) = (search.holds().unwrap(), search.broken().unwrap().rate_scale);
        assert!(holds < 10.0 && broken >= 10.0, "{holds} {broken}");
        assert_eq!(probes % 3, 0, "two of three agree");
    }

    proptest! {
        #[test]
        fn the_capacity_is_found_to_five_percent(capacity in 0.02..900.0_f64, start in 0.01..1_000.0_f64) {
            let (search, probes) = searched(start, |scale| scale < capacity);
            let (holds, broken) = (search.holds().unwrap(), search.broken().unwrap());
            prop_assert!(holds < capacity && capacity <= broken.rate_scale, "{} {}", holds, broken.rate_scale);
            prop_assert!(broken.rate_scale / holds <= PRECISION + 1e-9);
            prop_assert_eq!(&broken.why, "too slow");
            prop_assert!(probes <= 2 * (17 + 6), "{} probes", probes);
        }
    }
}
