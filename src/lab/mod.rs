//! The lab: load several databases side by side, live.
//!
//! In this module: the checked types of a run ([`model`]); what is due when ([`patterns`]) and which rows it
//! hits ([`keys`]); the rows at its start ([`starting_state`]); the transactions ([`target`]); the driver,
//! which sends them ([`driver`]) and reports seconds ([`worker_window`]) with histograms of times ([`times`]);
//! the windows of a job, merged from those of its workers ([`windows`]); and what the driver itself costs
//! ([`driver_cost`]).
//! Not here: statements and drivers of databases, which are below the traits of [`crate::db::storage`], so
//! that the lab measures a database under this program's own statements.

pub mod driver;
pub mod driver_cost;
pub mod keys;
pub mod model;
pub mod patterns;
pub mod starting_state;
pub mod target;
pub mod times;
pub mod windows;
pub mod worker_window;
