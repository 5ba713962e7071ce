//! Which rows the transactions of a run hit.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Zipf};

use super::model::KeyDistribution;

/// Mean age of the rows that [`KeyDistribution::Latest`] draws, counted in rows created since.
const LATEST_MEAN_AGE: f64 = 100.0;
/// Created rows that are remembered; few draws of `Latest` go back further than 20 times the mean.
const REMEMBERED: usize = 4_096;
/// One of so many keys is hot under [`KeyDistribution::Hotspot`].
const HOT_PART: u32 = 100;
/// Draws of [`describe`].
const DESCRIBED_DRAWS: u32 = 100_000;

impl fmt::Display for KeyDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(theta) => write!(f, "zipf:{theta}"),
            Self::Latest => f.write_str("latest"),
            Self::Hotspot(share) => write!(f, "hotspot:{share}"),
        }
    }
}

impl FromStr for KeyDistribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let within = |least: f64, most: f64| {
            number.parse().ok().filter(|value| (least..=most).contains(value))
        };
        match (name, number) {
            ("uniform", "") => Ok(Self::Uniform),
            ("latest", "") => Ok(Self::Latest),
            ("zipf", _) => within(0.0, 5.0).map(Self::Zipf).ok_or_else(|| {
                format!("`{text}`: write zipf:THETA with a number from 0 to 5, such as zipf:0.99")
            }),
            ("hotspot", _) => within(0.0, 1.0).map(Self::Hotspot).ok_or_else(|| {
                format!(
                    "`{text}`: write hotspot:SHARE with a number from 0 to 1, such as hotspot:0.9"
                )
            }),
            _ => Err(format!("`{text}` is none of uniform, zipf:THETA, latest and hotspot:SHARE")),
        }
    }
}

/// Draws keys from 1 to a number of rows.
#[derive(Debug, Clone, Copy)]
pub struct KeySampler {
    rows: u32,
    shape: Shape,
    stride: u32,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Uniform,
    Zipf(Zipf<f64>),
    Latest,
    Hotspot { share: f64, hot: u32 },
}

impl KeySampler {
    /// A sampler of the keys `1..=rows`; without a row it draws 1, which is then not there.
    #[must_use]
    pub fn new(distribution: KeyDistribution, rows: u32) -> Self {
        let rows = rows.max(1);
        let shape = match distribution {
            KeyDistribution::Uniform => Shape::Uniform,
            // Parsed exponents are never refused.
            KeyDistribution::Zipf(theta) => {
                Zipf::new(f64::from(rows), theta).map_or(Shape::Uniform, Shape::Zipf)
            }
            KeyDistribution::Latest => Shape::Latest,
            KeyDistribution::Hotspot(share) => {
                Shape::Hotspot { share, hot: rows.div_ceil(HOT_PART) }
            }
        };
        Self { rows, shape, stride: stride(rows) }
    }

    /// A key. Under [`KeyDistribution::Latest`] its age counts back from the newest of `created`.
    pub fn sample(&self, rng: &mut StdRng, created: &CreatedKeys) -> u32 {
        self.sample_of(rng, Some(created))
    }

    fn sample_of(&self, rng: &mut StdRng, created: Option<&CreatedKeys>) -> u32 {
        match self.shape {
            Shape::Uniform => rng.random_range(1..=self.rows),
            Shape::Zipf(zipf) => self.key_of_rank(zipf.sample(rng) as u32),
            Shape::Latest => {
                let age: f64 = Exp1.sample(rng);
                self.key_of_age((age * LATEST_MEAN_AGE) as usize, created)
            }
            Shape::Hotspot { share, hot } => {
                let is_hot = hot == self.rows || rng.random_bool(share);
                let ranks = if is_hot { 1..=hot } else { hot + 1..=self.rows };
                self.key_of_rank(rng.random_range(ranks))
            }
        }
    }

    /// A key of rows none of which were created in the run.
    pub fn sample_prepared(&self, rng: &mut StdRng) -> u32 {
        self.sample_of(rng, None)
    }

    /// Spreads ranks over the keys, one to one, so that frequent keys are not neighbours: those would share
    /// pages and partitions. The same in every worker.
    fn key_of_rank(&self, rank: u32) -> u32 {
        let rank = u64::from(rank.clamp(1, self.rows) - 1);
        let rows = u64::from(self.rows);
        // Below `rows`, so that it fits.
        (rank * u64::from(self.stride) % rows) as u32 + 1
    }

    fn key_of_age(&self, age: usize, created: Option<&CreatedKeys>) -> u32 {
        created.map_or(Err(age), |created| created.of_age(age)).unwrap_or_else(|older| {
            let older = u32::try_from(older).unwrap_or(u32::MAX);
            self.rows - older % self.rows
        })
    }
}

/// A step through `rows` keys that reaches each: near the golden section, and without a common divisor.
fn stride(rows: u32) -> u32 {
    const GOLDEN_SECTION: f64 = 0.618_033_988_749_895;
    let mut stride = ((f64::from(rows) * GOLDEN_SECTION) as u32).max(1);
    while greatest_common_divisor(stride, rows) != 1 {
        stride += 1;
    }
    stride
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The newest keys that this worker has created. A list and not the greatest key, because stores leave gaps
/// between the ids that they assign, and a transaction that began later may end earlier.
#[derive(Debug)]
pub struct CreatedKeys {
    ring: Box<[AtomicU32]>,
    /// Keys that were ever added. Changed under the lock, after the key is in its place.
    count: AtomicUsize,
    adding: Mutex<()>,
}

impl CreatedKeys {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let ring = (0..REMEMBERED).map(|_| AtomicU32::new(0)).collect();
        Self { ring, count: AtomicUsize::new(0), adding: Mutex::new(()) }
    }

    /// Adds a key as the newest.
    pub fn add(&self, key: u32) {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Relaxed);
        self.ring[count % REMEMBERED].store(key, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Release);
    }

    /// The key before which `age` newer ones were added (0: the newest), or how much older than all
    /// remembered ones it is.
    fn of_age(&self, age: usize) -> Result<u32, usize> {
        let count = self.count.load(Ordering::Acquire);
        let remembered = count.min(REMEMBERED);
        match age.checked_sub(remembered) {
            Some(older) => Err(older),
            // A key that was added meanwhile may stand here instead: it exists as well.
            None => Ok(self.ring[(count - 1 - age) % REMEMBERED].load(Ordering::Relaxed)),
        }
    }
}

impl Default for CreatedKeys {
    fn default() -> Self {
        Self::new()
    }
}

/// One sentence on the skew that is drawn, measured by drawing: for reports.
#[must_use]
pub fn describe(distribution: KeyDistribution, rows: u32, seed: u64) -> String {
    let shares = DrawnShares::draw(distribution, rows, DESCRIBED_DRAWS, seed);
    format!(
        "{distribution}: of {DESCRIBED_DRAWS} draws from {rows} keys the most frequent key has {:.1} %, \
         the most frequent 1 % of the keys {:.1} %, and {} keys are drawn at all",
        shares.first * 100.0,
        shares.hundredth * 100.0,
        shares.distinct,
    )
}

/// How unevenly keys were drawn.
#[derive(Debug)]
struct DrawnShares {
    /// Of the most frequent key, of all draws.
    first: f64,
    /// Of the most frequent hundredth of the keys.
    hundredth: f64,
    /// Keys that were drawn.
    distinct: usize,
}

impl DrawnShares {
    fn draw(distribution: KeyDistribution, rows: u32, draws: u32, seed: u64) -> Self {
        let mut counts = count_draws(distribution, rows, draws, seed);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let share = |keys: usize| {
            let sum: u32 = counts.iter().take(keys).sum();
            f64::from(sum) / f64::from(draws)
        };
        Self {
            first: share(1),
            hundredth: share(rows.div_ceil(HOT_PART) as usize),
            distinct: counts.iter().filter(|count| **count > 0).count(),
        }
    }
}

/// How often each key is drawn, key 1 first.
fn count_draws(distribution: KeyDistribution, rows: u32, draws: u32, seed: u64) -> Vec<u32> {
    let (sampler, created) = (KeySampler::new(distribution, rows), CreatedKeys::new());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut counts = vec![0_u32; sampler.rows as usize];
    for _ in 0..draws {
        counts[sampler.sample(&mut rng, &created) as usize - 1] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS: u32 = 10_000;

    fn shares(text: &str) -> DrawnShares {
        DrawnShares::draw(text.parse().unwrap(), ROWS, 200_000, 7)
    }

    #[test]
    fn a_distribution_is_written_as_it_is_read() {
        for text in ["uniform", "zipf:0.99", "zipf:1", "latest", "hotspot:0.9"] {
            assert_eq!(text.parse::<KeyDistribution>().unwrap().to_string(), text);
        }
        for text in
            ["", "zipf", "zipf:-1", "zipf:x", "zipf:NaN", "hotspot:1.1", "uniform:1", "newest"]
        {
            let error = text.parse::<KeyDistribution>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn uniform_draws_pass_a_chi_square_test() {
        let (rows, draws) = (1_000, 100_000);
        let counts = count_draws(KeyDistribution::Uniform, rows, draws, 3);
        let expected = f64::from(draws) / f64::from(rows);
        let chi: f64 =
            counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // Mean 999 and standard deviation 45 with 999 degrees of freedom.
        assert!((800.0..1_200.0).contains(&chi), "{chi}");
    }

    #[test]
    fn zipf_draws_have_the_shares_of_the_theory() {
        for theta in [0.5, 0.99, 1.0, 1.5] {
            let weights: Vec<f64> = (1..=ROWS).map(|r| f64::from(r).powf(-theta)).collect();
            let all: f64 = weights.iter().sum();
            let top: f64 = weights.iter().take(100).sum();
            let drawn = shares(&format!("zipf:{theta}"));
            // The most frequent of what was drawn is a little more than the share of the first ranks.
            assert!((drawn.hundredth - top / all).abs() < 0.02, "{theta}: {drawn:?} {}", top / all);
            assert!((drawn.first - weights[0] / all).abs() < 0.005, "{theta}: {drawn:?}");
        }
    }

    #[test]
    fn a_hotspot_is_one_hundredth_of_the_keys_with_its_share_of_the_draws() {
        for share in [0.5, 0.9] {
            let drawn = shares(&format!("hotspot:{share}"));
            assert!((drawn.hundredth - share).abs() < 0.01, "{share}: {drawn:?}");
        }
        assert_eq!(shares("hotspot:1").distinct, 100);
    }

    #[test]
    fn the_latest_keys_have_exponential_ages() {
        let counts = count_draws(KeyDistribution::Latest, ROWS, 200_000, 5);
        let newer = |age: usize| {
            let sum: u32 = counts.iter().rev().take(age).sum();
            f64::from(sum) / 200_000.0
        };
        for age in [10, 100, 300] {
            let expected = 1.0 - (-(age as f64) / LATEST_MEAN_AGE).exp();
            assert!((newer(age) - expected).abs() < 0.01, "{age}: {} {expected}", newer(age));
        }
    }

    #[test]
    fn ages_count_back_through_created_keys_and_then_through_those_of_the_start() {
        let (sampler, created) = (KeySampler::new(KeyDistribution::Latest, 10), CreatedKeys::new());
        assert_eq!(sampler.key_of_age(0, Some(&created)), 10);
        // With gaps, as stores leave them.
        for key in [15, 12, 40] {
            created.add(key);
        }
        let keys: Vec<u32> = (0..6).map(|age| sampler.key_of_age(age, Some(&created))).collect();
        assert_eq!(keys, [40, 12, 15, 10, 9, 8]);
        for key in 0..3 * REMEMBERED as u32 {
            created.add(1_000 + key);
        }
        let newest = 1_000 + 3 * REMEMBERED as u32 - 1;
        assert_eq!(sampler.key_of_age(0, Some(&created)), newest);
        assert_eq!(
            sampler.key_of_age(REMEMBERED - 1, Some(&created)),
            newest + 1 - REMEMBERED as u32
        );
        assert_eq!(sampler.key_of_age(REMEMBERED, Some(&created)), 10);
    }

    #[test]
    fn the_skew_is_described_in_numbers() {
        let text = describe(KeyDistribution::Hotspot(0.9), ROWS, 1);
        assert!(text.starts_with("hotspot:0.9: of 100000 draws from 10000 keys"), "{text}");
        assert!(
            text.contains("1 % of the keys 90.") || text.contains("1 % of the keys 89."),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn ranks_are_keys_one_to_one(rows in 1..3_000_u32) {
            let sampler = KeySampler::new(KeyDistribution::Uniform, rows);
            let mut keys: Vec<u32> = (1..=rows).map(|rank| sampler.key_of_rank(rank)).collect();
            keys.sort_unstable();
            prop_assert_eq!(keys, (1..=rows).collect::<Vec<_>>());
        }

        #[test]
        fn every_draw_is_a_key(rows in 1..500_u32, seed in any::<u64>(), theta in 0.0..5.0_f64) {
            let created = CreatedKeys::new();
            let mut rng = StdRng::seed_from_u64(seed);
            for distribution in [
                KeyDistribution::Uniform,
                KeyDistribution::Zipf(theta),
                KeyDistribution::Latest,
                KeyDistribution::Hotspot(theta / 5.0),
            ] {
                let key = KeySampler::new(distribution, rows).sample(&mut rng, &created);
                prop_assert!((1..=rows).contains(&key), "{}", distribution);
            }
        }
    }
}
