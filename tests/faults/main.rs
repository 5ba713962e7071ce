//! The program while its database fails: cut off, slow, silent, restarted, read-only, full.
//!
//! The real program is connected to a real server, mostly through a [`proxy`] that fails on
//! purpose. Two things hold throughout: clients are told at once and truthfully, and what was
//! acknowledged ([`ledger`]) is there afterwards, without a restart.
//!
//! `STOREFRONT_SOAK_ROUNDS=N` repeats each fault N times; `STOREFRONT_TEST_SEED=N`, as printed,
//! draws the same moments again.

#![expect(unreachable_pub, reason = "a test program has no interface")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod copies;
mod cut;
mod delay;
mod disk;
mod ledger;
mod nodes;
mod own_server;
#[path = "../program/process.rs"]
#[expect(dead_code, reason = "other test programs use the rest")]
mod process;
mod proxy;
mod read_only;
mod restart;
mod shop;
mod silence;
mod small_disk;
mod stranger;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test programs use the rest")]
mod support;

/// How often each fault is repeated.
fn rounds() -> usize {
    std::env::var("STOREFRONT_SOAK_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"))
}

/// Random moments, which can be drawn again.
fn random() -> rand::rngs::StdRng {
    let seed = std::env::var("STOREFRONT_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("STOREFRONT_TEST_SEED={seed}");
    rand::SeedableRng::seed_from_u64(seed)
}
