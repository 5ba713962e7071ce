//! The cart, and activities, under everything at once: many clients, several programs on one store, kills, broken
//! connections. The invariant of [`storefront::db::storage::CartStore`] holds throughout, in the
//! answers and in the store.
//!
//! A backend is a line in [`each_backend`]. What is drawn at random is drawn from a seed that is
//! printed; `STOREFRONT_TEST_SEED=N` draws the same again. `scripts/soak` runs these for longer.

#![expect(unreachable_pub, reason = "a test program has no interface")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

/// Makes a test of each async function for every backend that has a cart.
macro_rules! each_backend {
    ($($name:ident)*) => {
        each_backend! { @ embedded: $($name)* }
        each_backend! { @ postgres: $($name)* }
        each_backend! { @ cassandra: $($name)* }
    };
    (@ $backend:ident: $($name:ident)*) => {
        mod $backend {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(stringify!($backend)).await;
            })*
        }
    };
}

mod acceptance;
mod activities;
mod audit;
mod balancer;
mod clients;
mod clocks;
mod expected_state;
mod http;
mod model;
mod nemesis;
mod orphans;
mod ports;
mod sequences;
mod server_group;
