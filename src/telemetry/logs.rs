//! Log lines on standard error: one a line, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::EnvFilter;

use crate::config::logs::{Format, Logs};

/// Starts logging for the rest of the process; a second call changes nothing.
pub fn start(logs: &Logs) {
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(EnvFilter::new(&logs.filter))
        .with_target(false);
    let started = match logs.format {
        Format::Pretty => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
}
