//! What an operator sees of a running program.
//!
//! In this module: the [`Registry`] of metrics, the log ([`logs`]), and the [`Supervisor`] that
//! restarts tasks and knows which are down. Not here: the metrics themselves, which are in the modules
//! that count them, and the routes that show them ([`crate::server::operations`]).

mod log_writer;
pub mod logs;
mod registry;
mod supervisor;

pub use registry::Registry;
pub use supervisor::Supervisor;
