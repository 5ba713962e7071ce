//! Random draws that can be repeated, and how often a proof is repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The seed of a test: `STOREFRONT_TEST_SEED`, else a new one. It is printed with the test's name,
/// because tests run beside each other.
pub fn seed() -> u64 {
    let seed = number("STOREFRONT_TEST_SEED").unwrap_or_else(rand::random);
    let thread = std::thread::current();
    println!("STOREFRONT_TEST_SEED={seed} {}", thread.name().unwrap_or_default());
    seed
}

/// A generator from that [`seed`].
pub fn rng() -> StdRng {
    StdRng::seed_from_u64(seed())
}

/// How often a proof is repeated: `STOREFRONT_SOAK_ROUNDS`, which `scripts/soak` sets, else `short`.
pub fn rounds(short: usize) -> usize {
    number("STOREFRONT_SOAK_ROUNDS").map_or(short, |rounds| rounds as usize)
}

/// How many minutes a proof goes on: `STOREFRONT_SOAK_MINUTES`, else none.
pub fn minutes() -> u64 {
    number("STOREFRONT_SOAK_MINUTES").unwrap_or(0)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")))
}
