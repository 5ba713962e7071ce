//! The lab: load several databases side by side, live.
//!
//! In this module: the checked types of a run ([`model`]); the registered databases and their resets
//! ([`databases`]); starting runs and driving their jobs ([`runs`], [`job_runner`]) in workers
//! ([`workers`]) by the driver ([`driver`]: rates and kinds of transactions are in [`patterns`], keys in [`keys`], what is loaded in
//! [`target`]), whose windows are merged in [`windows`]; what a database holds at the start of a lease
//! ([`starting_state`]); faults ([`servers`]); reports ([`report`]); and the routes ([`routes`], with their bodies in [`input`]).
//! Not here: statements and drivers, which are below the traits of [`crate::db::storage`], so that the lab
//! measures a database under this program's own statements.

pub mod databases;
mod input;
mod job_runner;
pub mod machine;
pub mod model;
mod redact;
pub mod report;
pub mod routes;
pub mod runs;
pub mod servers;
pub mod settings;
pub mod workers;
