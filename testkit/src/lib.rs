//! What the integration tests share: databases of a test's own, server processes, faults, waiting.
//!
//! In this crate: a database for one test on any backend ([`database`], with [`postgres`],
//! [`postgres_database`], [`cassandra`] and [`shared_keyspace`] behind it), the program as a process ([`process`]), a
//! database server that a test may kill or fill ([`db_server`], [`small_disk`]), a pooler
//! ([`pgbouncer`]), a NATS server ([`nats`]), a TCP proxy that fails on purpose ([`proxy`]), a wrong clock ([`clock`]), waiting
//! for a condition ([`wait`]), seeds and rounds ([`random`]), games as clients send them ([`games`]),
//! clients and what was acknowledged to them ([`workload`]), the audit of a store at rest
//! ([`audit`]), and a lab's databases ([`generations`]).
//!
//! Not here: what one test program alone needs, such as the byte-exact HTTP client of `tests/api`.
//!
//! Everything that a test makes is removed when its value is dropped, also when the test fails; keyspaces
//! are kept for the next test.
//! Functions panic where something is not as it should be: that ends the test.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

pub mod audit;
pub mod cassandra;
pub mod clock;
pub mod database;
pub mod db_server;
pub mod games;
pub mod generations;
pub mod nats;
pub mod pgbouncer;
pub mod postgres;
pub mod postgres_database;
pub mod process;
pub mod proxy;
pub mod random;
pub mod shared_keyspace;
pub mod small_disk;
pub mod wait;
pub mod workload;
