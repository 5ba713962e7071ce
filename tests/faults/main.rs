//! The program while its database fails: cut off, slow, silent, restarted, read-only, full, locked,
//! altered.
//!
//! The real program is connected to a real server, mostly through a
//! [`Proxy`](testkit::proxy::Proxy) that fails on purpose. Two things hold throughout: clients are told at once and truthfully, and what was
//! acknowledged ([`acknowledged_writes`]) is there afterwards, without a restart.
//!
//! `STOREFRONT_SOAK_ROUNDS=N` repeats each fault N times; `STOREFRONT_TEST_SEED=N`, as printed,
//! draws the same moments again.

#![expect(unreachable_pub, reason = "a test program has no interface")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod acknowledged_writes;
mod altered;
mod auth;
mod cut;
mod delay;
mod disk;
mod every_route;
mod full_queues;
mod generations;
mod hang_ups;
mod late;
mod locks;
mod nodes;
mod postgres_activities;
mod read_only;
mod replica_check;
mod requests;
mod restart;
mod row_locks;
mod silence;
mod unknown;
mod unread_log;
