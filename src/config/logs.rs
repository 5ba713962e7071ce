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

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Without the check of the levels an unknown one, such as `warning`, would be the name of a module,
/// and nothing else would be logged.
fn filter(text: &str) -> Result<String, String> {
    let unknown = text.split(',').map(level).find(|level| !is_level(level));
    if let Some(level) = unknown {
        return Err(format!(
            "`{level}` is not a log level; use {}, or levels by module as info,storefront=debug",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| format!("`{text}` is not a log filter such as info or debug: {e}"))
}

/// The level of one directive: what is behind the last `=`, or all of it.
fn level(directive: &str) -> &str {
    directive.rsplit_once('=').map_or(directive, |(_, level)| level)
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "pretty" => Ok(Format::Pretty),
        "json" => Ok(Format::Json),
        other => Err(format!("`{other}` is not a format; use pretty or json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_is_refused_with_the_known_ones() {
        for text in ["info", "WARN", "off", "info,scylla=off", "storefront::db=trace,error"] {
            assert_eq!(filter(text).as_deref(), Ok(text));
        }
        for (text, named) in [
            ("warning", "`warning`"),
            ("verbose", "`verbose`"),
            ("info\r", "`info\r`"),
            ("", "``"),
            ("storefront", "`storefront`"),
            ("info,storefront=loud", "`loud`"),
            ("info,,debug", "``"),
            ("3", "`3`"),
        ] {
            let error = filter(text).unwrap_err();
            assert!(error.starts_with(named), "{error}");
            assert!(error.contains("use error, warn, info, debug, trace, off"), "{error}");
        }
    }
}
