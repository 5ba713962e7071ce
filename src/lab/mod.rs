//! The lab: load several databases side by side, live.
//!
//! In this module: the checked types of a run ([`model`], read from bodies by [`input`]); the registered
//! databases and their resets ([`databases`]) to a known state ([`starting_state`]); starting runs ([`runs`])
//! and driving each of their jobs ([`job_runner`]), with faults ([`faults`]: of servers
//! ([`servers`]), or of the network ([`proxy`])). A job's workers ([`workers`]) run
//! the driver ([`driver`]): what is due when ([`patterns`]), which rows it hits ([`keys`]), and the
//! transactions ([`target`]). They report seconds ([`worker_window`]) with histograms ([`times`]), which are
//! merged ([`windows`]). Then the routes ([`routes`]), the
//! reports ([`report`]), and the cached runs of the program ([`cached_set`]). The same measurements without a
//! browser are in [`mod@bench`].
//! Not here: statements and drivers of databases, which are below the traits of [`crate::db::storage`], so
//! that the lab measures a database under this program's own statements.

pub mod bench;
pub mod cached_set;
pub mod databases;
pub mod driver;
mod faults;
mod input;
mod job_runner;
pub mod keys;
pub mod machine;
pub mod model;
pub mod patterns;
mod proxy;
mod redact;
pub mod report;
pub mod routes;
pub mod runs;
pub mod servers;
pub mod settings;
pub mod starting_state;
pub mod target;
pub mod times;
pub mod windows;
pub mod worker_window;
pub mod workers;
