//! Settings of the log.

use tracing_subscriber::EnvFilter;

use super::loader::SettingsLoader;
use super::setting::{Setting, settings};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

settings! {
    /// What is logged, and how.
    pub struct Logs {
        /// Log level, or levels by module as info,storefront=debug. At debug every request is a line.
        /// The Cassandra driver is off because the program logs the same
        log: String = filter("LEVEL"), default "info,scylla=off";
        /// How log lines look: pretty or json
        log_format: Format = format("FORMAT"), default "pretty";
    }
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| format!("`{text}` is not a log filter such as info or debug: {e}"))
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "pretty" => Ok(Format::Pretty),
        "json" => Ok(Format::Json),
        other => Err(format!("`{other}` is not a format; use pretty or json")),
    }
}
