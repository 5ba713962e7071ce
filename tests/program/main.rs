//! The real program, as its users start and kill it.
//!
//! Each test has a folder of its own and free ports; a program that is still running when its
//! test ends is killed.

#![expect(unreachable_pub, reason = "a test program has no interface")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod activities;
mod bench;
mod configuration;
mod crash;
mod dashboard;
mod disk;
mod few_connections;
mod first_run;
mod legacy_schema;
mod locked_file;
mod logging;
mod long_read;
mod lost_file;
mod opening;
mod pooler;
mod refusals;
mod replica;
mod seeding;
mod shared_database;
mod synced;
mod visits;
