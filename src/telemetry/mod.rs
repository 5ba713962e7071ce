//! What an operator sees of a running program.
//!
//! In this module: the [`Registry`] of metrics, and the log ([`logs`]). Not here: the metrics
//! themselves, which are in the modules that count them, and the route that shows them
//! ([`crate::server::operations`]).

pub mod logs;
mod registry;

pub use registry::Registry;
